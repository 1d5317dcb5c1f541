"""Whether a run's curve rises or falls over a stretch of epochs, or only wobbles: the Mann-Kendall test."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
from scipy.special import ndtri

LEVEL = 0.05
"""Largest probability of calling independent values a trend; those of a run's epochs are not quite independent."""
LEAST = 4
"""Epochs without which nothing can be called a trend: 3 values are in order with probability 1/6."""
MOST = 100
"""Of longer stretches, so many epochs at equal distances are looked at."""
_EXACT = 50


def rises(rows: pd.DataFrame, column: str) -> pd.Series[bool]:
    """Run -> whether its values go up over its rows: exact, one-sided, at LEVEL; False with fewer than LEAST.

    rows: columns run and ``column``, in order of epochs; values that are not finite are left out. If the order of the
    values is random, whatever their distribution, the probability of True is at most LEVEL; of a slow wobble, in which
    neighbours are alike, it is higher. Kendall (1975), Rank correlation methods: S, the number of pairs that rise minus
    those that fall, against its exact distribution.
    """
    known = rows[np.isfinite(rows[column])]
    groups = known.groupby("run", sort=False)
    size, place = groups["run"].transform("size"), groups.cumcount()
    step = -(-size // MOST)
    kept = known[place % step == 0].assign(place=place // step)
    wide = kept.pivot_table(index="run", columns="place", values=column, sort=False).to_numpy("float64")
    names = kept["run"].unique()
    score = np.zeros(len(names))
    for place_ in range(wide.shape[1] - 1):
        score += np.nansum(np.sign(wide[:, place_ + 1 :] - wide[:, [place_]]), axis=1)
    least = np.array([critical(int(count)) for count in np.isfinite(wide).sum(axis=1)])
    return pd.Series(score >= least, index=names, dtype=bool)


@cache
def critical(count: int) -> float:
    """The smallest S of so many values that has a probability of at most LEVEL if their order is random."""
    if count < LEAST:
        return np.inf
    if count > _EXACT:  # the normal approximation, with its correction for continuity
        return float(ndtri(1 - LEVEL) * (count * (count - 1) * (2 * count + 5) / 18) ** 0.5 + 1)
    inversions = np.ones(1)  # probabilities of 0, 1, ... inversions
    for size in range(2, count + 1):
        inversions = np.convolve(inversions, np.full(size, 1 / size))
    most = int((inversions.cumsum() <= LEVEL + 1e-12).sum()) - 1
    return float(count * (count - 1) / 2 - 2 * most)
