"""Statistics of samples: means and their confidence intervals."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.special import stdtrit

LEVEL = 0.95
"""Probability that an interval covers the mean, for values that are normally distributed over seeds."""


def interval(
    values: pd.Series[float], within: tuple[float, float] = (-np.inf, np.inf)
) -> tuple[float, float, float, float]:
    """Mean, standard deviation, and the ends of the mean's 95% interval by Student's t.

    within: the range that a mean can have, at which the interval ends. Values that are not finite are left out. With
    one value left, all but the mean are NaN; with none, all four are.
    """
    known = values[np.isfinite(values)]
    mean, sd, count = float(known.mean()), float(known.std()), len(known)
    if count < 2:  # noqa: PLR2004
        return mean, np.nan, np.nan, np.nan
    half = float(stdtrit(count - 1, (1 + LEVEL) / 2)) * sd / count**0.5
    return mean, sd, max(mean - half, within[0]), min(mean + half, within[1])
