"""Figures of the notes' numbers and curves, in the style of the reports."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from fashion_sweep.reporting.curves import TRAIN, VALIDATION
from fashion_sweep.reporting.figure_style import Span, label_axes, panels, style, title
from notes.compare import Comparison, selected
from notes.outcome import measure
from notes.rows import EPOCHS, Curve
from notes.sweeps import Sweep

OUTSIDE = "#c03d2b"
KINDS = {"accuracy": ("last_accuracy", "last_val_accuracy", "best_val_accuracy"),
         "loss": ("last_loss", "last_val_loss", "best_val_loss"), "epoch": EPOCHS}  # fmt: skip


def intervals(comparisons: Sequence[Comparison]) -> Figure | None:
    """Our replicates with their prediction interval, and the notes' number, for every number; a panel for each kind.

    None if there is nothing to draw.
    """
    known = [each for each in comparisons if each.ours]
    groups = {kind: [each for each in known if each.measure in names] for kind, names in KINDS.items()}
    groups = {kind: group for kind, group in groups.items() if group}
    if not groups:
        return None
    heights = [len(group) for group in groups.values()]
    with style():
        figure = Figure(figsize=(8.2, 0.21 * sum(heights) + 0.75 * len(heights) + 0.9), layout="constrained")
        grid = figure.subplots(len(groups), 1, squeeze=False, height_ratios=[height + 1 for height in heights])
        for axes, (kind, group) in zip(grid[:, 0], groups.items(), strict=True):
            _draw_intervals(axes, group)
            axes.set_xlabel(kind)
        figure.legend(handles=_interval_handles(), loc="outside lower center", ncols=4)
        title(figure, ["The notes' numbers and ours"])
    return figure


def curves(shown: Sequence[Curve], sweeps: Mapping[str, Sweep]) -> Figure | None:
    """Training and validation loss by epoch: mean over replicates, and one standard deviation to either side.

    One panel per curve, titled with what the notes say about it. None if there is nothing to draw.
    """
    points = [(each, _points(each, sweeps[each.experiment])) for each in shown if each.experiment in sweeps]
    points = [(curve, rows) for curve, rows in points if not rows.empty]
    if not points:
        return None
    every = pd.concat([rows for _, rows in points])
    low, high = float(every["value"].min()), float(every["value"].quantile(0.995))
    margin = 0.05 * (high - low) or 0.01
    epochs = int(every["epoch"].min()), int(every["epoch"].max())
    with style():
        figure, grid = panels(len(points), min(len(points), 3), panel=(2.5, 2.4))
        for axes, (curve, rows) in zip(grid, points, strict=True):
            _draw_curve(axes, rows)
            axes.set_title(f"{curve.what}\n" + textwrap.fill(f"The notes: {curve.says}", 36), fontsize=8)
        label_axes(figure, grid, epochs, Span(low - margin, high + margin, ""), "loss")
        figure.legend(handles=_curve_handles(), loc="outside lower center", ncols=3)
        title(figure, ["Training and validation loss, mean over replicates"])
    return figure


def stopping(counted: Mapping[str, Mapping[int, int]]) -> Figure | None:
    """How many runs stopped after, and were best in, each epoch. None if there is nothing to draw."""
    if not any(counted.values()):
        return None
    epochs = [epoch for counts in counted.values() for epoch in counts]
    with style():
        figure = Figure(figsize=(6.4, 2.6), layout="constrained")
        grid = figure.subplots(1, len(counted), sharex=True, sharey=True, squeeze=False)[0]
        for axes, (name, counts), colour in zip(grid, counted.items(), (TRAIN, VALIDATION), strict=True):
            axes.bar(list(counts), list(counts.values()), width=0.8, color=colour)
            axes.set_title(name)
            axes.set(xlabel="epoch", xlim=(0, max(epochs) + 1))
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.yaxis.set_major_locator(MaxNLocator(integer=True))
            axes.grid(visible=False, axis="x")
        grid[0].set_ylabel("runs")
        title(figure, ["Early stopping"])
    return figure


def _draw_intervals(axes: Axes, group: Sequence[Comparison]) -> None:
    for row, each in enumerate(group):
        if each.interval:
            axes.hlines(row, *each.interval, color=TRAIN, linewidth=5, alpha=0.25, zorder=2)
        axes.plot(each.ours, [row] * len(each.ours), "o", color=TRAIN, markersize=2.5, alpha=0.8, zorder=6)
        colour = OUTSIDE if each.distance else VALIDATION
        axes.hlines(row, *each.span, color=colour, linewidth=1.5, zorder=4)
        shape, size = ("X", 8) if each.distance else ("D", 6)
        axes.plot(sum(each.span) / 2, row, shape, color=colour, markersize=size, markeredgecolor="white", zorder=5)
    axes.set_yticks(range(len(group)), [f"{each.row.what}: {measure(each)}" for each in group])
    axes.set_ylim(len(group) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)


def _interval_handles() -> list[Line2D]:
    dot: dict[str, Any] = {"linestyle": "none", "markeredgecolor": "white"}
    return [
        Line2D([], [], color=TRAIN, marker="o", markersize=4, linestyle="none", label="ours"),
        Line2D([], [], color=TRAIN, linewidth=5, alpha=0.25, label="95% prediction interval"),
        Line2D([], [], color=VALIDATION, marker="D", **dot, label="notes, inside"),
        Line2D([], [], color=OUTSIDE, marker="X", markersize=8, **dot, label="notes, outside"),
    ]


def _points(curve: Curve, sweep: Sweep) -> pd.DataFrame:
    """Columns run, epoch, metric (loss or val_loss), value."""
    runs = selected(sweep.runs, curve.where)["run"]
    rows = sweep.histories[sweep.histories["run"].isin(runs)]
    return rows.melt(["run", "epoch"], ["loss", "val_loss"], var_name="metric", value_name="value")


def _draw_curve(axes: Axes, rows: pd.DataFrame) -> None:
    colours = {"loss": TRAIN, "val_loss": VALIDATION}
    marker = "o" if rows["epoch"].nunique() == 1 else None  # a line of one point would be invisible
    sns.lineplot(
        rows, x="epoch", y="value", hue="metric", palette=colours, errorbar="sd", marker=marker, legend=False, ax=axes
    )
    mean = rows[rows["metric"] == "val_loss"].groupby("epoch")["value"].mean()
    best = int(mean.argmin())
    axes.scatter(mean.index[best], mean.iloc[best], s=22, color=VALIDATION, edgecolor="white", linewidth=0.6, zorder=3)


def _curve_handles() -> list[Line2D]:
    dot: dict[str, Any] = {"marker": "o", "color": VALIDATION, "linestyle": "none", "markeredgecolor": "white"}
    return [
        Line2D([], [], color=TRAIN, label="training loss"),
        Line2D([], [], color=VALIDATION, label="validation loss"),
        Line2D([], [], **dot, label="lowest mean validation loss"),
    ]
