"""Shares of the variance of the measure that parameters account for: analysis of variance.

For complete grids alone, where sums of squares add up whatever the order of the terms.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np
import pandas as pd
from scipy.special import fdtrc

from fashion_sweep.analysis.measure import Measure
from fashion_sweep.analysis.parameters import SEED, cells_of

SEEDS = "seeds"
HIGHER = "higher-order interactions"
TIMES = " x "
"""Between the parameters of a pair."""


def shares(table: pd.DataFrame, parameters: Sequence[str], measure: Measure) -> pd.DataFrame:
    """One row per parameter, pair of parameters and rest, largest share first; no rows if the grid is not complete.

    Complete: some seeds have a result in every combination of the levels that have any. Other seeds are left out.
    Columns: term (``a``, ``a x b``, HIGHER, SEEDS: what seeds change within settings), df (degrees of freedom),
    sum_of_squares, share (of the total, 0 to 1), noise_share (the share expected of a term without any effect,
    df times the mean square of SEEDS; NaN with one seed, where the noise is part of every term). A term's F statistic
    is share / noise_share. Levels are categories, numbers or not.
    """
    columns = ["term", "df", "sum_of_squares", "share", "noise_share"]
    values = complete_grid(cells_of(table, parameters, measure), parameters, measure)
    if values is None or values.size < 3:  # noqa: PLR2004
        return pd.DataFrame(columns=columns)
    frame = pd.DataFrame(_terms(values, parameters), columns=columns[:3])
    total = frame["sum_of_squares"].sum()
    if not total > 0:
        return pd.DataFrame(columns=columns)
    noise = frame[frame["term"] == SEEDS]
    mean_square = float(noise["sum_of_squares"].iloc[0] / noise["df"].iloc[0]) if len(noise) else np.nan
    frame = frame.assign(share=frame["sum_of_squares"] / total, noise_share=frame["df"] * mean_square / total)
    return frame.sort_values("share", ascending=False, kind="stable", ignore_index=True)


def p_value(found: pd.DataFrame) -> float:
    """Of the F test whether the terms of ``shares`` explain more than chance does.

    With several seeds, all terms are compared with what seeds change within settings. With one, the parameters alone
    are compared with what they do together, which holds the noise. NaN where nothing is left to compare with.
    """
    is_noise = found["term"].eq(SEEDS)
    if not is_noise.any():
        is_noise = found["term"].str.contains(TIMES, regex=False) | found["term"].eq(HIGHER)
    noise, terms = found[is_noise], found[~is_noise]
    if noise.empty or terms.empty:
        return np.nan
    if not noise["sum_of_squares"].sum() > 0:
        return 0.0
    df, noise_df = terms["df"].sum(), noise["df"].sum()
    ratio = (terms["sum_of_squares"].sum() / df) / (noise["sum_of_squares"].sum() / noise_df)
    return float(fdtrc(df, noise_df, ratio))


def complete_grid(cells: pd.DataFrame, parameters: Sequence[str], measure: Measure) -> np.ndarray | None:
    """Values [levels of each parameter..., seeds], of the seeds with a result everywhere; None without any.

    cells: see ``cells_of``. Levels come in the order of their labels.
    """
    if not len(cells) or not parameters:
        return None
    wide = cells.pivot_table(index=list(parameters), columns=SEED, values=measure.column, aggfunc="mean").dropna(axis=1)
    sizes = [cells[name].nunique() for name in parameters]
    if len(wide) != np.prod(sizes) or not wide.shape[1]:
        return None
    return wide.to_numpy().reshape(*sizes, -1)


def _terms(values: np.ndarray, parameters: Sequence[str]) -> Iterator[tuple[str, int, float]]:
    """Term, degrees of freedom, sum of squares."""
    *sizes, seeds = values.shape
    centred = values - values.mean()
    cells = centred.mean(axis=-1)
    mains = {axis: _mean_over_others(cells, [axis]) for axis in range(len(sizes))}
    explained, freedom = 0.0, 0
    for axes in [*((axis,) for axis in mains), *combinations(mains, 2)]:
        effect = mains[axes[0]] if len(axes) == 1 else _mean_over_others(cells, axes) - sum(mains[a] for a in axes)
        squares, df = values.size * float((effect**2).mean()), int(np.prod([sizes[axis] - 1 for axis in axes]))
        explained, freedom = explained + squares, freedom + df
        yield TIMES.join(parameters[axis] for axis in axes), df, squares
    between = seeds * float((cells**2).sum())
    if cells.size - 1 > freedom:
        yield HIGHER, cells.size - 1 - freedom, max(between - explained, 0.0)
    if seeds > 1:
        yield SEEDS, cells.size * (seeds - 1), float(((centred - cells[..., None]) ** 2).sum())


def _mean_over_others(cells: np.ndarray, axes: Sequence[int]) -> np.ndarray:
    others = tuple(axis for axis in range(cells.ndim) if axis not in axes)
    means: np.ndarray = cells.mean(axis=others, keepdims=True)
    return means
