"""Mean lines under early stopping: pale where some of their seeds have stopped, with the number that is left."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.axes import Axes

PALE = 0.4
"""Opacity of such a stretch."""
MAX_NUMBERS = 12


def stretches(points: pd.DataFrame) -> tuple[pd.Series[bool], pd.Series[bool]]:
    """The points of lines up to the last epoch that all of their seeds reached, and those from that epoch on."""
    most = points.groupby("run")["seeds"].transform("max")
    last = points["epoch"].where(points["seeds"] == most).groupby(points["run"]).transform("max")
    stops = points.groupby("run")["epoch"].transform("max") > last
    return points["epoch"] <= last, stops & (points["epoch"] >= last)


def have_stopped(points: pd.DataFrame) -> bool:
    """Whether some line goes on when some of its seeds have stopped."""
    return bool(stretches(points)[1].any())


def number(axes: Axes, points: pd.DataFrame, metric: str) -> None:
    """Write how many seeds are left where a line has lost some; of many lines at their ends alone."""
    is_whole, _ = stretches(points)
    pale = points[~is_whole]
    changed = pale[pale["seeds"] != pale.groupby("run")["seeds"].shift()]
    look: dict[str, Any] = {"fontsize": 6, "color": "#333333", "zorder": 5}
    look["bbox"] = {"facecolor": "white", "alpha": 0.7, "edgecolor": "none", "pad": 0.4}
    shown = changed if len(changed) <= MAX_NUMBERS else pale.groupby("run").tail(1)
    for epoch, value, seeds in shown[["epoch", metric, "seeds"]].itertuples(index=False):
        axes.annotate(f"n={seeds}", (epoch, value), (2, 3), textcoords="offset points", **look)
