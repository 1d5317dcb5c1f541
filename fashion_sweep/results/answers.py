"""Which setting is the best, and how two settings differ: answers that say no more than the numbers carry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from fashion_sweep.analysis.comparison import difference
from fashion_sweep.analysis.effects import gaps
from fashion_sweep.analysis.measure import Measure
from fashion_sweep.analysis.statistics import LEVEL as COVERAGE
from fashion_sweep.analysis.verdict import LEAST, LEVEL
from fashion_sweep.reporting import effects as effects_section
from fashion_sweep.reporting.verdict import p_text


@dataclass(frozen=True, eq=False, repr=False)
class Best:
    """The setting of the best mean, and those that cannot be told from it.

    setting: its name; tied: the names of the others with results that no test tells from it, all of them where settings
    have one seed each; is_certain: whether there are other settings with results, and it is told from each of them;
    runs: its rows of ``Results.runs``; verdict: the same in sentences.
    """

    setting: str
    tied: list[str]
    is_certain: bool
    runs: pd.DataFrame
    verdict: str

    def __repr__(self) -> str:
        return self.verdict


@dataclass(frozen=True, eq=False, repr=False)
class Difference:
    """The results of setting ``a`` minus those of setting ``b``, by the measure that settings are ranked by.

    by_seed: of the seeds that both have.
    mean: of by_seed; where it has fewer than two, the difference of the means over all seeds of each.
    low, high: the ends of its 95% interval by Student's t, NaN where by_seed has fewer than two.
    p_value: two-sided, of Student's t, or of Welch's where by_seed has fewer than two; NaN where one of the settings
        has fewer than two seeds. It and the interval are right for two settings that were chosen before the results
        were seen.
    corrected: the p-value for two settings that were chosen because of their results, among all pairs; that of the
        report where one of them is the best, else Bonferroni's.
    """

    a: str
    b: str
    by_seed: pd.Series
    mean: float
    low: float
    high: float
    p_value: float
    corrected: float
    measure: Measure

    @property
    def is_paired(self) -> bool:
        return len(self.by_seed) >= LEAST

    def __repr__(self) -> str:
        what = f"{self.a} minus {self.b}: {self.measure.best}{self.measure.when} {self.mean:+.4f}"
        if np.isnan(self.p_value):
            return f"{what}. Too few seeds for a test: it takes {LEAST} of each setting."
        interval = f"{COVERAGE:.0%} interval {self.low:+.4f} to {self.high:+.4f}; " if self.is_paired else ""
        test = f"t-test paired by {len(self.by_seed)} seeds" if self.is_paired else "Welch's t-test"
        chosen = f"; {p_text(self.corrected)} if the results chose the two" if self.corrected != self.p_value else ""
        return f"{what} ({interval}{test}, p {p_text(self.p_value)}{chosen}). {self._claim}"

    @property
    def _claim(self) -> str:
        better = self.a if self.measure.sign * self.mean < 0 else self.b
        if self.corrected < LEVEL:
            return f"{better} is better."
        if self.p_value < LEVEL:
            return (
                f"{better} is better if these two were chosen before the results were seen; otherwise that is no claim."
            )
        return "Neither can be told from the other."


@dataclass(frozen=True, eq=False, repr=False)
class Effects:
    """What each swept parameter does to the measure, compared where everything else is equal.

    levels: a row for each level of each parameter, as in effects.csv; empty where no level averages several results.
    gaps: a row for each parameter, how far its best and worst level are apart, largest first; its 95% interval (low,
        high) is corrected for all pairs of levels of all parameters.
    importance: shares of the variance in a complete grid, else permutation importance of a random forest, as in
        importance.csv; empty where neither is better than chance.
    text: the report's sentences.
    """

    levels: pd.DataFrame
    gaps: pd.DataFrame
    importance: pd.DataFrame
    text: str

    def __repr__(self) -> str:
        return self.text


def effects(table: pd.DataFrame, parameters: Sequence[str], measure: Measure) -> Effects:
    """table: of ``summary.summarize``; parameters: of ``swept_parameters``."""
    section = effects_section.section(table, parameters, measure)
    if section is None:
        return Effects(
            pd.DataFrame(), pd.DataFrame(), pd.DataFrame(), "No level of a parameter averages several results."
        )
    levels, importance = section.files["effects.csv"], section.files.get("importance.csv", pd.DataFrame())
    return Effects(levels, gaps(table, parameters, measure), importance, " ".join(section.sentences))


def compare(values: pd.DataFrame, measure: Measure, reported: float | None, among: int) -> Difference:
    """Compare two settings.

    values: their rows of ``replicates.by_seed``, under their names; reported: the report's p-value for the two, None
    where it has none; among: how many pairs might have been compared.
    """
    a, b = map(str, values.index)
    first, second = (row.dropna() for _, row in values.iterrows())
    mean, low, high, p_value = difference(second, first)
    by_seed = (first - second).dropna().rename("difference")
    by_seed.index = pd.Index([int(seed) if seed.isdecimal() else seed for seed in by_seed.index], name="seed")
    corrected = min(1.0, p_value * among) if reported is None else reported
    return Difference(a, b, by_seed.sort_index(), mean, low, high, p_value, corrected, measure)
