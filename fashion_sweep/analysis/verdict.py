"""Which settings can be told from the best one: paired tests over shared seeds, corrected for all pairs.

The best setting is known only after looking at the results, so that any of the k (k - 1) / 2 pairs of settings might
have been compared. Pooling the variance of all settings would find more (Tukey's range test does), but claims
differences that do not exist where some settings vary more than others, as unstable optimizers do.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import stats

from fashion_sweep.analysis.measure import Measure

LEVEL = 0.05
"""Probability of claiming any difference where there is none."""
POWER = 0.8
"""Probability of finding a difference as large as the one observed, with ``seeds_needed`` seeds."""
MOST_SEEDS = 1000
LEAST = 2
"""Seeds that a test needs."""


def comparisons(values: pd.DataFrame) -> pd.DataFrame:
    """Compare each setting with the first.

    values: one row per setting, best mean first, one column per seed; NaN where a setting lacks a seed. Returns, with
    the same index: difference, mean minus the best's; effect, the mean of the differences over their standard
    deviation; p_value, two-sided, of Student's t over the seeds that both have, or Welch's where they share fewer than
    two, corrected by Holm's method for all pairs of settings. NaN for the first, and where a setting has fewer than two
    seeds.
    """
    columns = ["difference", "effect", "p_value"]
    if values.empty:
        return pd.DataFrame(index=values.index, columns=columns, dtype="float64")
    rows = values.to_numpy("float64")
    paired, apart = _paired(rows), _apart(rows)
    effects, errors, freedom = (np.where(paired[2] >= 1, one, two) for one, two in zip(paired, apart, strict=True))
    with np.errstate(divide="ignore", invalid="ignore"):
        p_values = np.asarray(2 * stats.t.sf(np.abs(effects / errors), freedom))
    p_values[(effects == 0) & (freedom >= 1)] = 1.0  # also where the seed changes nothing
    p_values[0] = effects[0] = np.nan
    means = values.mean(axis=1)
    p_values = holm(p_values, pairs(values.notna().sum(axis=1)))
    return pd.DataFrame(dict(zip(columns, (means - means.iloc[0], effects, p_values), strict=True)), index=values.index)


def tied(settings: pd.DataFrame, measure: Measure) -> pd.Series[bool]:
    """Which rows of ``replicates`` have a result that cannot be told from the first's; never the first."""
    others = pd.Series(range(len(settings)), index=settings.index).gt(0)
    return others & settings[f"{measure.column}_mean"].notna() & ~settings["p_value"].lt(LEVEL)


def pairs(seeds: pd.Series[int]) -> int:
    """How many pairs of settings can be compared, at least 1. seeds: of each setting."""
    tested = int(seeds.ge(LEAST).sum())
    return max(tested * (tested - 1) // 2, 1)


def seeds_needed(effect: float, among: int) -> int | None:
    """How many shared seeds find an effect with probability POWER at level LEVEL / among; None above MOST_SEEDS.

    effect: see ``comparisons``; among: how many pairs might be compared. From the noncentral t distribution.
    """
    counts = np.arange(LEAST, MOST_SEEDS + 1)
    critical = stats.t.isf(LEVEL / among / 2, counts - 1)
    power = stats.nct.sf(critical, counts - 1, abs(effect) * np.sqrt(counts))
    enough = counts[power >= POWER]
    return int(enough[0]) if len(enough) else None


def optimism(scores: pd.DataFrame) -> float:
    """By how much choosing the best of several settings makes its mean look better than on seeds that did not choose.

    Each seed is left out in turn: the others choose the setting of the lowest mean, whose score on that seed is
    compared with this mean (cross-validated selection, as Varma and Simon, BMC Bioinformatics 7:91, 2006, correct the
    choice of parameters). scores: as ``comparisons`` takes values, lower is better. NaN where no seed can be left out.
    """
    rows = scores.to_numpy("float64")
    rows = rows[np.isfinite(rows).sum(axis=1) >= LEAST]
    found = [_of_choice(np.delete(rows, place, axis=1), rows[:, place]) for place in range(rows.shape[1])]
    known = [each for each in found if each is not None]
    return float(np.mean(known)) if len(rows) > 1 and known else np.nan


def _of_choice(others: np.ndarray, left_out: np.ndarray) -> float | None:
    """Score of the setting that other seeds choose, minus its mean there; None where there is no choice."""
    takes_part = np.isfinite(left_out) & np.isfinite(others).any(axis=1)
    if takes_part.sum() < 2:  # noqa: PLR2004
        return None
    means = np.nanmean(others[takes_part], axis=1)
    best = int(means.argmin())
    return float(left_out[takes_part][best] - means[best])


Test = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Effects, their standard errors and degrees of freedom (below 1 where there is no test), a setting each."""


def _paired(rows: np.ndarray) -> Test:
    """Over the seeds shared with the first row."""
    mean, variance, count = _moments(rows - rows[0])
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(mean == 0, 0.0, mean / np.sqrt(variance)), 1 / np.sqrt(count), count - 1


def _apart(rows: np.ndarray) -> Test:
    """Over all seeds of both, by Welch's approximation; effects as if their seeds were drawn in pairs."""
    mean, variance, count = _moments(rows)
    with np.errstate(divide="ignore", invalid="ignore"):
        both, each = np.sqrt(variance + variance[0]), variance / count
        freedom = (each + each[0]) ** 2 / (each**2 / (count - 1) + each[0] ** 2 / (count[0] - 1))
        return (mean - mean[0]) / both, np.sqrt(each + each[0]) / both, freedom


def _moments(rows: np.ndarray) -> Test:
    """Mean, variance (n - 1) and count of the finite values of each row; NaN without two of them."""
    count = np.isfinite(rows).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.nansum(rows, axis=1) / count
        variance = np.nansum((rows - mean[:, None]) ** 2, axis=1) / (count - 1)
    return mean, np.where(count < LEAST, np.nan, variance), count


def holm(p_values: np.ndarray, among: int) -> np.ndarray:
    """Corrected by Holm's method, as the smallest of the p-values of so many pairs. NaN stays NaN."""
    adjusted = p_values.copy()
    order = np.argsort(p_values)[: int(np.isfinite(p_values).sum())]
    adjusted[order] = np.minimum(1, np.maximum.accumulate(p_values[order] * (among - np.arange(len(order)))))
    return adjusted
