"""Statistics of samples: means and their confidence intervals."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.special import stdtrit

LEVEL = 0.95
"""Probability that an interval covers the mean, for values that are normally distributed over seeds."""


def intervals(
    values: pd.Series[float], by: Sequence[pd.Series], within: tuple[float, float] = (-np.inf, np.inf)
) -> pd.DataFrame:
    """Mean, standard deviation (n - 1), and the ends of the mean's 95% interval by Student's t, of each group.

    Columns: mean, sd, low, high; one row per combination of values of ``by``. within: the range that a mean can have,
    at which the interval ends. Values that are not finite are left out. With one value left, all but the mean are NaN;
    with none, all four are.
    """
    groups = values.where(np.isfinite(values)).groupby(list(by))
    mean, sd, count = groups.mean(), groups.std(), groups.count()
    half = stdtrit(count.clip(2) - 1, (1 + LEVEL) / 2) * sd / count**0.5
    return pd.DataFrame(
        {
            "mean": mean,
            "sd": sd,
            "low": (mean - half).clip(lower=within[0]),
            "high": (mean + half).clip(upper=within[1]),
        }
    )


def interval(
    values: pd.Series[float], within: tuple[float, float] = (-np.inf, np.inf)
) -> tuple[float, float, float, float]:
    """``intervals`` of a single group."""
    if values.empty:
        return np.nan, np.nan, np.nan, np.nan
    row = intervals(values, [pd.Series(0, index=values.index)], within).iloc[0]
    return float(row["mean"]), float(row["sd"]), float(row["low"]), float(row["high"])
