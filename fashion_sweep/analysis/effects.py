"""What each level of a swept parameter does to the measure.

Levels are compared where everything else is equal: only combinations of the other parameters and seeds count in which
every level has a result. Otherwise a level whose hard cases diverged would look better than it is, and in an
incomplete grid the other parameters would mix in. The unit of an interval is the seed where there are several, as in
the verdict: runs that share one are not independent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from fashion_sweep.analysis.measure import Measure
from fashion_sweep.analysis.parameters import SEED, cells_of, says_something
from fashion_sweep.analysis.settings import label, levels
from fashion_sweep.analysis.statistics import LEVEL
from fashion_sweep.analysis.summary import is_ranked
from fashion_sweep.storage.record import Status

SEEDS, COMBINATIONS = "seeds", "combinations"
"""Units of intervals: seeds, or, where there is one seed, the combinations of the other parameters."""

ENDED = (Status.COMPLETED.value, Status.DIVERGED.value, Status.FAILED.value)


@dataclass(frozen=True)
class Blocks:
    """The results of one parameter's levels side by side.

    values: [units, levels], each the mean over the matched runs of one unit; without rows where nothing is matched.
    """

    values: pd.DataFrame
    unit: str
    matched: int  # combinations of the other parameters in which every level has a result, for some seed
    combinations: int  # of the other parameters, with a result of any level

    @property
    def pairs(self) -> float:
        """How many pairs of levels have an interval of their difference."""
        count = self.values.shape[1]
        return count * (count - 1) / 2 if len(self.values) > 1 else 0


def blocks(cells: pd.DataFrame, parameters: Sequence[str], parameter: str, measure: Measure) -> Blocks:
    """Match the levels of a parameter. cells: see ``cells_of``."""
    others = [name for name in parameters if name != parameter]
    index = [*others, SEED]
    wide = cells.pivot_table(index=index, columns=parameter, values=measure.column, aggfunc="mean", sort=False)
    matched = wide.dropna()
    by_seed = matched.groupby(level=SEED, sort=False).mean()
    values, unit = (by_seed, SEEDS) if len(by_seed) > 1 else (matched, COMBINATIONS)
    return Blocks(values, unit, _combinations(matched), _combinations(wide))


def level_effects(table: pd.DataFrame, parameters: Sequence[str], measure: Measure) -> pd.DataFrame:
    """One row per level of each parameter that says something, in the order of parameters and levels.

    Columns: parameter, level; runs that count, and those left out as failed, diverged or without_result; failure_rate,
    failed and diverged among those that ended; mean, of the measure of matched runs, or of all settings where none
    match; effect, its distance from the mean of all levels, and the ends low and high of that distance's 95% interval
    by Student's t over ``units`` seeds or combinations (``unit``). The interval covers the expected distance over
    further seeds of the same settings; for combinations, over further combinations like these, with the noise of the
    one seed included. It is corrected as that of ``gaps``, so that intervals of two levels lie apart only where these
    differ. NaN where nothing is matched; without an interval where there is one unit.
    """
    cells = cells_of(table, parameters, measure)
    matched = _matched(cells, parameters, measure)
    pairs = sum(each.pairs for each in matched.values())
    settings = cells.groupby(list(parameters), sort=False)[measure.column].mean() if matched else pd.Series(dtype=float)
    found = [_of_parameter(_counts(table, name), settings, each, pairs) for name, each in matched.items()]
    return pd.concat(found, ignore_index=True) if found else pd.DataFrame()


def gaps(table: pd.DataFrame, parameters: Sequence[str], measure: Measure) -> pd.DataFrame:
    """One row per parameter that says something, largest gap first: how far its best and worst level are apart.

    Columns: parameter, levels, best, worst, gap (between their means, at least 0), low, high, unit, units, matched,
    combinations. The two levels, and the parameter, are known only after looking, so that the intervals are corrected
    by Bonferroni's method for all pairs of levels of all parameters: together they cover the expected differences with
    a probability of at least 95%.
    """
    cells = cells_of(table, parameters, measure)
    found = _matched(cells, parameters, measure)
    pairs = sum(each.pairs for each in found.values())
    rows = [{"parameter": name} | _gap(each, measure, pairs) for name, each in found.items()]
    frame = pd.DataFrame(rows)
    return frame.sort_values("gap", ascending=False, kind="stable", ignore_index=True) if rows else frame


def _matched(cells: pd.DataFrame, parameters: Sequence[str], measure: Measure) -> dict[str, Blocks]:
    """The blocks of each parameter that says something."""
    return {name: blocks(cells, parameters, name, measure) for name in parameters if says_something(cells, name)}


def _half_width(values: pd.DataFrame | pd.Series[float], pairs: float) -> Any:
    """Of the intervals of the means over units, corrected for so many pairs of levels; NaN with one unit."""
    count = len(values)
    if count < 2:  # noqa: PLR2004
        return np.nan
    return float(stdtrit(count - 1, 1 - (1 - LEVEL) / 2 / pairs)) * values.std() / count**0.5


def _combinations(rows: pd.DataFrame) -> int:
    """How many there are of everything but the seed, which is the last level of the index."""
    return len({key[:-1] if isinstance(key, tuple) else () for key in rows.index})


def _of_parameter(counts: pd.DataFrame, settings: pd.Series[float], found: Blocks, pairs: float) -> pd.DataFrame:
    """counts: of ``_counts``; settings: the mean of each, by its parameters; pairs: see ``_half_width``."""
    apart = found.values.sub(found.values.mean(axis=1), axis=0)
    effect, half = apart.mean(), _half_width(apart, pairs)
    means = found.values.mean() if len(apart) else settings.groupby(level=counts.index.name).mean()
    effects = pd.DataFrame({"mean": means, "effect": effect, "low": effect - half, "high": effect + half})
    frame = counts.join(effects).rename_axis("level").reset_index()
    frame.insert(0, "parameter", str(counts.index.name))
    return frame.assign(units=len(apart), unit=found.unit if len(apart) else None)


def _counts(table: pd.DataFrame, name: str) -> pd.DataFrame:
    """Level -> how many of its runs count, and how many have no result for which reason."""
    level = table[name].map(label)
    counts = pd.crosstab(level, table["status"]).reindex(index=levels(table[name]), fill_value=0)
    counts = counts.reindex(columns=list(ENDED), fill_value=0)
    ended, lost = counts.sum(axis=1), counts["failed"] + counts["diverged"]
    without = (~is_ranked(table) & table["status"].eq(Status.COMPLETED.value)).groupby(level).sum()
    without = without.reindex(counts.index)  # a sum of frames in other orders would come in the order of the alphabet
    runs = counts["completed"] - without
    frame = pd.DataFrame({"runs": runs, "failed": counts["failed"], "diverged": counts["diverged"]})
    return frame.assign(without_result=without, failure_rate=lost / ended.where(ended > 0))


def _gap(found: Blocks, measure: Measure, pairs: float) -> dict[str, Any]:
    """pairs: how many the interval is corrected for."""
    values, count = found.values, len(found.values)
    row: dict[str, Any] = {"levels": values.shape[1], "best": None, "worst": None}
    row |= dict.fromkeys(("gap", "low", "high"), np.nan) | {"unit": found.unit if count else None, "units": count}
    row |= {"matched": found.matched, "combinations": found.combinations}
    if not count:
        return row
    scores = measure.sign * values
    best, worst = scores.mean().idxmin(), scores.mean().idxmax()
    apart = scores[worst] - scores[best]
    row |= {"best": best, "worst": worst, "gap": apart.mean()}
    half = _half_width(apart, pairs)
    return row | {"low": apart.mean() - half, "high": apart.mean() + half}
