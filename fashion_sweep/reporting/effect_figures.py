"""Figures of what swept parameters do: a panel per parameter, and a heat map per pair of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import prod
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from fashion_sweep.analysis.effects import level_effects
from fashion_sweep.analysis.measure import Measure
from fashion_sweep.analysis.parameters import cells_of, says_something
from fashion_sweep.analysis.settings import label, levels
from fashion_sweep.reporting.figure_style import ShownFigure, style, title
from fashion_sweep.reporting.labels import inner_range
from fashion_sweep.reporting.section import spoken

MAX_LEVELS = 40
"""Levels of a panel; of more texts the best are shown, and more numbers have a plain axis."""
MAX_PANELS = 8
MAX_PAIRS = 6
MAX_TICKS = 10
"""Numbers that have a tick each; of more, an axis has ticks of its own."""
MAX_NUMBERED = 8
"""Levels of both axes up to which a heat map's cells have numbers."""
NAME = 28  # characters of a level's name
DECADE = 10
POINT, MEAN = "#9aa4b5", "#0173b2"


@dataclass(frozen=True)
class _Range:
    """Of the axis or the colours, without huge losses; accuracies are shown whole, as they end at 0."""

    low: float
    high: float
    beyond: int  # values above it

    @property
    def margin(self) -> float:
        return 0.04 * (self.high - self.low) or 0.05 * abs(self.high) or 0.01


def can_draw_levels(table: pd.DataFrame, parameters: Sequence[str], measure: Measure) -> bool:
    """Whether some level averages several results."""
    cells = cells_of(table, parameters, measure)
    return any(says_something(cells, name) for name in parameters)


def pairs_of(table: pd.DataFrame, parameters: Sequence[str], measure: Measure) -> list[tuple[str, str]]:
    """The pairs of parameters to draw: those of few enough levels, and with fewer levels than results.

    None of three or more parameters in an incomplete grid, where the other parameters would differ between cells.
    """
    cells = cells_of(table, parameters, measure)
    points, grid = len(cells[list(parameters)].drop_duplicates()), prod(cells[name].nunique() for name in parameters)
    if len(parameters) > 2 and points < grid:  # noqa: PLR2004
        return []
    few = [name for name in parameters if says_something(cells, name) and len(levels(table[name])) <= MAX_LEVELS]
    return list(combinations(few, 2))


def draw_levels(table: pd.DataFrame, parameters: Sequence[str], measure: Measure) -> Figure:
    """A panel per parameter: a row per level with a dot per run, and the level's mean with the interval of its effect.

    Numbers have an axis, logarithmic where they span a decade; the measure's axis is the same in all panels.
    """
    effects, cells = level_effects(table, parameters, measure), cells_of(table, parameters, measure)
    names = list(dict.fromkeys(effects["parameter"]))[:MAX_PANELS]
    span = _range(cells[measure.column].to_numpy(), measure)
    shown = {name: _shown(effects, name, table[name], measure) for name in names}
    heights = [0.45 + 0.19 * _rows(table[name], rows) for name, rows in shown.items()]
    with style():
        figure = ShownFigure(figsize=(7.2, sum(heights) + 1.0), layout="constrained")
        grid = figure.subplots(len(names), 1, sharex=True, squeeze=False, height_ratios=heights)[:, 0]
        for axes, (name, rows) in zip(grid, shown.items(), strict=True):
            places = _place(axes, table[name], rows["level"].tolist())
            values = cells[[name, measure.column]].set_axis(["level", "value"], axis=1)
            _draw_level_rows(axes, places, rows, values)
            axes.set_title(spoken(name), loc="left")
        grid[-1].set_xlim(_with_bars(span, effects))
        grid[-1].set_xlabel(f"{measure.result}{' (axis cut)' * bool(span.beyond)}")
        title(figure, [*_titles(effects, shown, cells, measure), _cut(span)])
    return figure


def draw_pairs(table: pd.DataFrame, parameters: Sequence[str], measure: Measure) -> Figure:
    """A heat map per pair of parameters: means over settings of their mean, hatched where there is no result."""
    cells, every = cells_of(table, parameters, measure), pairs_of(table, parameters, measure)
    settings = cells.groupby(list(parameters), sort=False)[measure.column].mean()
    maps = [_map(settings, table, *pair) for pair in every[:MAX_PAIRS]]
    values = np.concatenate([found.to_numpy().ravel() for found in maps])
    span = _range(values[np.isfinite(values)], measure)
    columns = 1 if len(maps) == 1 or max(found.shape[1] for found in maps) > MAX_NUMBERED * 2 else 2
    tallest = [max(len(found) for found in maps[place : place + columns]) for place in range(0, len(maps), columns)]
    heights = [1.0 + 0.24 * max(count, 4) for count in tallest]
    with style():
        figure = ShownFigure(figsize=(9.2 if columns > 1 else 6.8, sum(heights) + 1.1), layout="constrained")
        grid = figure.subplots(len(heights), columns, squeeze=False, height_ratios=heights)
        for axes in grid.flat[len(maps) :]:
            axes.remove()
        for axes, found in zip(grid.flat, maps, strict=False):
            image = _draw_map(axes, found, span, measure)
        end = "max" if span.beyond else "neither"
        bar: dict[str, Any] = {"extend": end, "shrink": min(1, 3 / sum(heights)), "label": f"mean {measure.result}"}
        figure.colorbar(image, ax=list(grid.flat[: len(maps)]), **bar)
        if any(found.isna().to_numpy().any() for found in maps):
            figure.legend(handles=[_hatch()], loc="outside lower left")
        cut = f"{len(maps)} of {len(every)} pairs of parameters." if len(every) > len(maps) else ""
        ends = f"Losses above {span.high:.2g} have the colour of the end." if span.beyond else ""
        title(figure, [f"Mean {measure.result} by pairs of parameters", cut, ends])
    return figure


def _range(values: np.ndarray, measure: Measure) -> _Range:
    frame = pd.DataFrame({"run": range(len(values)), "value": values})
    low, high = inner_range(frame, "high") if measure.sign == 1 else (float(values.min()), float(values.max()))
    return _Range(low, high, int(frame["value"].gt(high).sum()))


def _with_bars(span: _Range, effects: pd.DataFrame) -> tuple[float, float]:
    """The ends of an axis that shows the intervals, too, but for those of hopelessly few seeds."""
    most, bars = span.high - span.low, effects["mean"] - effects["effect"]
    low, high = (bars + effects["low"]).min(), (bars + effects["high"]).max()
    ends = np.fmax(np.fmin(span.low, low), span.low - most), np.fmin(np.fmax(span.high, high), span.high + most)
    return float(ends[0] - span.margin), float(ends[1] + span.margin)


def _cut(span: _Range) -> str:
    goes = f"{span.beyond} run{' is' if span.beyond == 1 else 's are'} above {span.high:.2g}"
    return f"The axis is cut: {goes}." if span.beyond else ""


def _titles(
    effects: pd.DataFrame, shown: Mapping[str, pd.DataFrame], cells: pd.DataFrame, measure: Measure
) -> list[str]:
    """What is drawn, and what is left out."""
    every = effects["parameter"].value_counts()
    left = f"{len(shown)} of {len(every)} parameters." if len(every) > len(shown) else ""
    lost = [
        f"The best {len(rows)} of {every[name]} levels of {spoken(name)}."
        for name, rows in shown.items()
        if len(rows) < every[name]
    ]
    return [f"{measure.result.capitalize()} by level: {len(cells)} completed runs", left, *lost]


def _shown(effects: pd.DataFrame, name: str, values: pd.Series, measure: Measure) -> pd.DataFrame:
    """The rows of a parameter's levels; of too many texts the best."""
    rows = effects[effects["parameter"] == name]
    if len(rows) <= MAX_LEVELS or _are_numbers(values):
        return rows
    return rows.loc[(measure.sign * rows["mean"]).nsmallest(MAX_LEVELS).index.sort_values()]


def _rows(values: pd.Series, rows: pd.DataFrame) -> int:
    """How many rows high a panel is: many numbers are close together."""
    return max(min(len(rows), MAX_TICKS) if _are_numbers(values) else len(rows), 3)


def _are_numbers(values: Iterable[object]) -> bool:
    return all(type(value) in (int, float) for value in values)


def _place(axes: Axes, values: pd.Series, names: Sequence[str]) -> dict[str, float]:
    """Level -> its place on the y axis, which gets its scale and ticks."""
    by_label = {label(value): value for value in values}
    numbers = [by_label[name] for name in names]
    if not _are_numbers(numbers):
        axes.set_yticks(range(len(names)), [_short(name) for name in names], fontsize=7)
        axes.set_ylim(len(names) - 0.5, -0.5)
        return {name: float(place) for place, name in enumerate(names)}
    positive = [number for number in numbers if number > 0]
    if positive and min(numbers) >= 0 and max(positive) >= DECADE * min(positive):
        whole: dict[str, Any] = {"linthresh": min(positive), "linscale": 0.4} if min(numbers) == 0 else {}
        axes.set_yscale("symlog" if whole else "log", **whole)
    if len(names) <= MAX_TICKS:
        axes.set_yticks(numbers, names)
    elif axes.get_yscale() != "linear":
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.margins(y=0.18)
    return dict(zip(names, map(float, numbers), strict=True))


def _draw_level_rows(axes: Axes, places: dict[str, float], rows: pd.DataFrame, values: pd.DataFrame) -> None:
    """values: columns level and value, one row per run."""
    runs = values[values["level"].isin(places)]
    axes.scatter(runs["value"], runs["level"].map(places), s=9, color=POINT, alpha=0.6, linewidth=0, zorder=2)
    for row in rows[rows["low"].notna()].to_dict("records"):
        ends, place = [row["mean"] - row["effect"] + row[end] for end in ("low", "high")], places[row["level"]]
        axes.plot(ends, [place, place], color=MEAN, linewidth=1.8, zorder=3)
    means = rows[rows["mean"].notna() & rows["runs"].gt(1)]
    look: dict[str, Any] = {"color": MEAN, "edgecolor": "white", "linewidth": 0.6, "zorder": 4}
    axes.scatter(means["mean"], means["level"].map(places), s=26, **look)


def _map(settings: pd.Series, table: pd.DataFrame, one: str, two: str) -> pd.DataFrame:
    """Means of settings, the parameter of more levels downwards; NaN without a result."""
    down, across = (one, two) if len(levels(table[one])) >= len(levels(table[two])) else (two, one)
    means = settings.groupby(level=[down, across]).mean().unstack(across)
    found = means.reindex(index=levels(table[down]), columns=levels(table[across]))
    return found.rename_axis(index=down, columns=across)


def _draw_map(axes: Axes, found: pd.DataFrame, span: _Range, measure: Measure) -> Any:
    """Bright is good."""
    colours = "viridis_r" if measure.sign == 1 else "viridis"
    image = axes.imshow(found.to_numpy("float64"), cmap=colours, vmin=span.low, vmax=span.high, aspect="auto")
    for row, column in np.argwhere(found.isna().to_numpy()):
        axes.add_patch(_hatch((column - 0.5, row - 0.5)))
    if max(found.shape) <= MAX_NUMBERED:
        for (row, column), value in np.ndenumerate(found.to_numpy("float64")):
            if np.isfinite(value):
                is_bad = measure.sign * (value - (span.low + span.high) / 2) > 0
                colour = "white" if is_bad else "black"
                axes.text(column, row, f"{value:.3g}", ha="center", va="center", fontsize=7, color=colour)
    long = max(map(len, found.columns)) * found.shape[1] > 40  # noqa: PLR2004
    axes.set_xticks(range(found.shape[1]), [_short(name) for name in found.columns], fontsize=7)
    axes.tick_params(axis="x", rotation=90 if long else 0)
    axes.set_yticks(range(len(found)), [_short(name) for name in found.index], fontsize=7)
    axes.set(xlabel=spoken(found.columns.name), ylabel=spoken(found.index.name))
    axes.grid(visible=False)
    return image


def _hatch(corner: tuple[float, float] = (0, 0)) -> Any:
    """A cell without a result."""
    look: dict[str, Any] = {"facecolor": "#f2f2f2", "edgecolor": "#9a9a9a", "hatch": "////", "linewidth": 0}
    return Rectangle(corner, 1, 1, label="no result", **look)


def _short(name: str) -> str:
    """A level's name, shortened in the middle, as names often differ at their ends."""
    return name if len(name) <= NAME else f"{name[: NAME // 2 - 1]}…{name[-NAME // 2 :]}"
