"""Figures of a sweep: frames in, matplotlib figures out."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from fashion_sweep.analysis.measure import Measure
from fashion_sweep.analysis.replicates import over_seeds
from fashion_sweep.analysis.settings import NONE, label, levels
from fashion_sweep.analysis.summary import ranked
from fashion_sweep.reporting import stopping
from fashion_sweep.reporting.figure_style import LEGEND, epochs_of, label_axes, panels, span_of, style, title, wrapped
from fashion_sweep.reporting.labels import constant_factors, describe, panel_factors, run_labels

MAX_PANELS = 12
MAX_SMALL_PANELS = 24
MAX_LINES = 100
"""With more lines than this, a figure shows the best ones, and bands for all."""
MAX_PANEL_LINES = 24
BEST_LINES = 8
NAMES = {"val_loss": "validation loss", "val_accuracy": "validation accuracy", "loss": "training loss"}
WIDTH = 1.5  # of lines, in points
DASHES: Sequence[Any] = ["", (4, 1.5), (1, 1), (3, 1, 1, 1), (6, 2), (1, 2.5)]  # on and off, in line widths
TRAIN, VALIDATION = "#0173b2", "#de8f05"  # the first two of seaborn's colour-blind-safe palette


@dataclass(frozen=True)
class _Lines:
    """The data of a figure."""

    points: pd.DataFrame  # one row per line and epoch: see _points
    drawn: pd.DataFrame  # one row per line
    panels: Mapping[str, list[str]]  # title -> lines
    measure: Measure

    @property
    def are_means(self) -> bool:
        return bool(self.drawn["runs"].gt(1).any())

    @property
    def is_crowded(self) -> bool:
        return len(self.drawn) > MAX_LINES or max(map(len, self.panels.values()), default=0) > MAX_PANEL_LINES


@dataclass(frozen=True)
class _Look:
    """What colour and line style encode: the same in every panel of a figure."""

    colours: Mapping[str, Any]  # optimizer -> colour
    dashes: Mapping[str, Any]  # dropout -> one of DASHES


def curves(table: pd.DataFrame, histories: pd.DataFrame, swept: Sequence[str], measure: Measure, metric: str) -> Figure:
    """One line per run of ``metric`` (val_loss or val_accuracy) against the epoch: colour = optimizer, style = dropout.

    With several seeds, one line per setting: the mean, in a band that is the mean's 95% interval.
    A panel for every combination of the other swept settings, and at most MAX_PANELS of them. A dot marks the epoch
    where the measure's metric is best. Points that are not finite are left out; at least one must be finite.
    Of more than MAX_LINES, or more than MAX_PANEL_LINES in a panel, the best are lines and the others bands.
    """
    lines = _lines(table, histories, swept, measure, metric)
    return _crowded(lines, swept, metric) if lines.is_crowded else _panelled(lines, swept, metric)


def explain(table: pd.DataFrame, histories: pd.DataFrame, swept: Sequence[str], measure: Measure, metric: str) -> str:
    """A description of the lines of ``curves``, in a sentence or two."""
    lines = _lines(table, histories, swept, measure, metric)
    noun = "setting" if lines.are_means else "run"
    means = (
        ", each the mean over the seeds that reached the epoch, without failed and diverged runs, "
        "with its dot among the epochs that all of its seeds reached"
    ) + "; it is pale, with the number n that is left, where some had stopped" * stopping.have_stopped(lines.points)
    if lines.is_crowded:
        return (
            f"The lines are the {BEST_LINES} {noun}s of {measure.best}{measure.when}{means * lines.are_means}. "
            f"In each epoch the dark band holds half of all {len(lines.drawn)} {noun}s and the light one nine tenths; "
            "summary.csv has them all."
        )
    band = f"{means}, in a band that is the mean's 95% interval (Student's t)" if lines.are_means else ""
    return f"One line per {noun}{band}: the colour is the optimizer, the line style the dropout rate."


def _lines(table: pd.DataFrame, histories: pd.DataFrame, swept: Sequence[str], measure: Measure, metric: str) -> _Lines:
    table, histories = over_seeds(table, histories, metric, measure)
    points = _points(table, histories, [metric])
    drawn = table[table["run"].isin(points["run"])]
    return _Lines(points, drawn, _panels(drawn, panel_factors(drawn, swept)), measure)


def _panelled(lines: _Lines, swept: Sequence[str], metric: str) -> Figure:
    points, drawn, every = lines.points, lines.drawn, lines.panels
    shown = _best_panels(every, drawn)
    points = points[points["run"].isin([run for runs in shown.values() for run in runs])]
    total, drawn, span = len(drawn), drawn[drawn["run"].isin(points["run"])], span_of(points, [metric])
    with style():
        figure, grid = panels(len(shown), _columns(drawn, len(shown), swept), panel=(2.2, 1.9))
        look = _look(drawn)
        for axes, (name, runs) in zip(grid, shown.items(), strict=True):
            _draw(axes, points[points["run"].isin(runs)], metric, look)
            axes.set_title(wrapped(name, 34))
        label_axes(figure, grid, epochs_of(points), span, NAMES[metric])
        figure.legend(handles=_handles(look, lines.measure), loc="outside right upper")
        cut = f"The {len(shown)} panels with the best runs, of {len(every)}." if len(shown) < len(every) else ""
        what = f"{NAMES[metric].capitalize()} by epoch: {_subject(drawn, total)}"
        title(figure, [what, _means(drawn), cut, span.cut], beside=LEGEND)
    return figure


def train_vs_val(table: pd.DataFrame, histories: pd.DataFrame, swept: Sequence[str], measure: Measure) -> Figure:
    """Training and validation loss in a small panel for each run, best run first, at most MAX_SMALL_PANELS.

    Where the validation loss rises while the training loss falls, the run overfits.
    """
    points = _points(table, histories, ["loss", "val_loss"])
    drawn = ranked(table[table["run"].isin(points["run"])])
    shown = drawn.head(MAX_SMALL_PANELS)
    points, labels = points[points["run"].isin(shown["run"])], run_labels(drawn, swept)
    span = span_of(points, ["loss", "val_loss"])
    with style():
        figure, grid = panels(len(shown), _small_columns(len(shown)), panel=(1.75, 1.55))
        for axes, run in zip(grid, shown["run"], strict=True):
            _draw_pair(axes, points[points["run"] == run])
            axes.set_title(wrapped(labels[run], 34), fontsize=7)
        label_axes(figure, grid, epochs_of(points), span, "loss")
        figure.legend(handles=_pair_handles(measure), loc="outside lower center", ncols=3)
        what = "Training against validation loss, best run first"
        title(figure, [f"{what}: {_subject(shown, len(drawn))}", span.cut])
    return figure


def _points(table: pd.DataFrame, histories: pd.DataFrame, metrics: Sequence[str]) -> pd.DataFrame:
    """Epochs with at least one finite metric, the others as NaN, joined with the settings that lines show."""
    values = histories[list(metrics)].where(np.isfinite(histories[list(metrics)]))
    columns = [name for name in ("run", "epoch", "seeds", "low", "high") if name in histories]
    rows = histories[columns].join(values).dropna(how="all", subset=list(metrics))
    looks = table[["run", "status"]].assign(**{name: table[name].map(label) for name in ("optimizer", "dropout")})
    points = rows.merge(looks, on="run")
    return points.assign(
        is_best=points["epoch"] == points["run"].map(table.set_index("run")["best_epoch"].astype("float64"))
    )


def _panels(table: pd.DataFrame, factors: Sequence[str]) -> dict[str, list[str]]:
    """Title -> runs, ordered by the factors' levels."""
    order = {name: levels(table[name]) for name in factors}
    rows = sorted(table.to_dict("records"), key=lambda row: [order[name].index(label(row[name])) for name in factors])
    found: dict[str, list[str]] = {}
    for row in rows:
        found.setdefault(describe(row, factors), []).append(str(row["run"]))
    return found


def _best_panels(every: Mapping[str, list[str]], table: pd.DataFrame) -> dict[str, list[str]]:
    """The MAX_PANELS panels with the best runs, in their original order."""
    home = {run: name for name, runs in every.items() for run in runs}
    best = list(dict.fromkeys(home[run] for run in ranked(table)["run"]))[:MAX_PANELS]
    return {name: runs for name, runs in every.items() if name in best}


def _columns(table: pd.DataFrame, count: int, swept: Sequence[str]) -> int:
    """Columns of panels: the levels of the last factor if that fills whole rows."""
    factors = panel_factors(table, swept)
    across = len(levels(table[factors[-1]])) if factors else 1
    return across if across <= 4 and count % across == 0 else min(count, 3)  # noqa: PLR2004


def _small_columns(count: int) -> int:
    return min(count, 3 if count <= 9 else 4 if count <= 16 else 6)  # noqa: PLR2004


def _look(table: pd.DataFrame) -> _Look:
    optimizers, dropouts = levels(table["optimizer"]), levels(table["dropout"])
    palette = sns.color_palette("colorblind" if len(optimizers) <= 10 else "husl", len(optimizers))  # noqa: PLR2004
    return _Look(
        dict(zip(optimizers, palette, strict=True)),
        dict(zip(dropouts, islice(cycle(DASHES), len(dropouts)), strict=True)),
    )


def _draw(axes: Axes, points: pd.DataFrame, metric: str, look: _Look) -> None:
    shared: dict[str, Any] = {"x": "epoch", "y": metric, "hue": "optimizer", "palette": look.colours, "legend": False}
    line: dict[str, Any] = {**shared, "style": "dropout", "dashes": look.dashes, "units": "run", "estimator": None}
    is_whole, goes_on = stopping.stretches(points)
    sns.lineplot(points[is_whole], **line, linewidth=WIDTH, ax=axes)
    if goes_on.any():
        sns.lineplot(points[goes_on], **line, linewidth=WIDTH, alpha=stopping.PALE, ax=axes)
        stopping.number(axes, points, metric)
    alone = points.groupby("run")["epoch"].transform("size").eq(1)  # a line of one point would be invisible
    _draw_bands(axes, points, look)
    dots = points[points["is_best"] | alone]
    if not dots.empty:  # accuracies may be finite where no loss is
        sns.scatterplot(dots, **shared, s=30, edgecolor="white", linewidth=0.6, zorder=3, ax=axes)


def _draw_bands(axes: Axes, points: pd.DataFrame, look: _Look) -> None:
    """The intervals of means, if there are any."""
    for _, line in points[points["low"].notna()].groupby("run"):
        colour = look.colours[line["optimizer"].iloc[0]]
        axes.fill_between(line["epoch"], line["low"], line["high"], color=colour, alpha=0.2, linewidth=0)


def _crowded(lines: _Lines, swept: Sequence[str], metric: str) -> Figure:
    """The BEST_LINES best lines, over bands that hold half and nine tenths of all."""
    points, drawn = lines.points, lines.drawn
    best = ranked(drawn).head(BEST_LINES)
    labels, span = run_labels(drawn, swept), span_of(points, [metric])
    shares = points.groupby("epoch")[metric].quantile(np.array([0.05, 0.25, 0.5, 0.75, 0.95])).unstack()
    with style():
        figure, (axes,) = panels(1, 1, panel=(0, 0))
        figure.set_size_inches(8.4, 4.2)
        axes.fill_between(
            shares.index, shares[0.05], shares[0.95], color="#e4e4e4", label="nine tenths of all", linewidth=0
        )
        axes.fill_between(shares.index, shares[0.25], shares[0.75], color="#c4c4c4", label="half of all", linewidth=0)
        axes.plot(shares.index, shares[0.5], color="#777777", linewidth=WIDTH, label="median of all")
        palette = sns.color_palette("colorblind", BEST_LINES)
        for place, run in enumerate(best["run"]):
            look: dict[str, Any] = {"color": palette[place], "zorder": 3 - place / 100}
            line, dots = points[points["run"] == run], points[points["is_best"] & (points["run"] == run)]
            whole, rest = (line[is_in] for is_in in stopping.stretches(line))
            axes.plot(whole["epoch"], whole[metric], linewidth=WIDTH, label=wrapped(labels[run], 34), **look)
            axes.plot(rest["epoch"], rest[metric], linewidth=WIDTH, alpha=stopping.PALE, **look)
            axes.scatter(dots["epoch"], dots[metric], s=30, edgecolor="white", linewidth=0.6, **look)
        stopping.number(axes, points[points["run"].isin(best["run"])], metric)
        label_axes(figure, [axes], epochs_of(points), span, NAMES[metric])
        figure.legend(loc="outside right center")
        what = (
            f"{NAMES[metric].capitalize()} by epoch: the {len(best)} best, best first, of {_subject(drawn, len(drawn))}"
        )
        title(figure, [what, _means(drawn), span.cut])
    return figure


def _draw_pair(axes: Axes, points: pd.DataFrame) -> None:
    """One run's training and validation loss."""
    marker = "." if len(points) == 1 else None
    for metric, colour in (("loss", TRAIN), ("val_loss", VALIDATION)):
        axes.plot(points["epoch"], points[metric], color=colour, marker=marker, linewidth=1.2)
    best = points[points["is_best"]]
    axes.scatter(best["epoch"], best["val_loss"], s=20, color=VALIDATION, edgecolor="white", linewidth=0.6, zorder=3)


def _handles(look: _Look, measure: Measure) -> list[Line2D]:
    """The legend: a heading and its entries for colours, for line styles, and the dot."""
    blank: dict[str, Any] = {"xdata": [], "ydata": [], "linestyle": "none"}
    entries = [Line2D(**blank, label="optimizer")]
    entries += [Line2D([], [], color=colour, label=name) for name, colour in look.colours.items()]
    entries += [Line2D(**blank, label=""), Line2D(**blank, label="dropout")]
    entries += [
        Line2D([], [], color="#444444", linestyle=(0, dash) if dash else "-", label=name)
        for name, dash in look.dashes.items()
    ]
    dot: dict[str, Any] = {**blank, "marker": "o", "color": "#444444", "markersize": 5, "markeredgecolor": "white"}
    return [*entries, Line2D(**blank, label=""), Line2D(**dot, label=textwrap.fill(_dot(measure), 16))]


def _dot(measure: Measure) -> str:
    return f"epoch of {measure.best}"


def _pair_handles(measure: Measure) -> list[Line2D]:
    dot: dict[str, Any] = {"marker": "o", "color": VALIDATION, "linestyle": "none", "markeredgecolor": "white"}
    return [
        Line2D([], [], color=TRAIN, label="training loss"),
        Line2D([], [], color=VALIDATION, label="validation loss"),
        Line2D([], [], **dot, label=_dot(measure)),
    ]


def _subject(table: pd.DataFrame, total: int) -> str:
    """Which lines are drawn: ``60 of 144 runs, model mlp``."""
    model = constant_factors(table).get("model", NONE)
    noun = f"{'setting' if _means(table) else 'run'}{'' if total == 1 else 's'}"
    count = f"{len(table)} of {total} {noun}" if len(table) < total else f"{total} {noun}"
    return count + (f", model {model}" if model != NONE else "")


def _means(table: pd.DataFrame) -> str:
    """``Means of 5 seeds.``; empty where lines are runs."""
    seeds = int(table["runs"].max()) if "runs" in table else 1
    return f"Means of {'' if table['runs'].eq(seeds).all() else 'up to '}{seeds} seeds." if seeds > 1 else ""
