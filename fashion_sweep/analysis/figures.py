"""Figures of a sweep: frames in, matplotlib figures out."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from typing import Any, Literal
from zipfile import BadZipFile

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from fashion_sweep.analysis.aggregate import (
    best_epochs,
    constant_factors,
    describe,
    inner_range,
    levels,
    panel_factors,
    ranked,
    run_labels,
)
from fashion_sweep.analysis.canvas import Span, label_axes, panels, style, title, wrapped
from fashion_sweep.analysis.settings import NONE, label
from fashion_sweep.errors import FolderError
from fashion_sweep.run_dir import Status

MAX_PANELS = 12
MAX_SMALL_PANELS = 60
NAMES = {"val_loss": "validation loss", "val_accuracy": "validation accuracy", "loss": "training loss"}
DASHES: Sequence[Any] = ["", (4, 1.5), (1, 1), (3, 1, 1, 1), (6, 2), (1, 2.5)]  # on and off, in line widths
TRAIN, VALIDATION = "#0173b2", "#de8f05"  # the first two of seaborn's colour-blind-safe palette
BEST = "epoch of lowest validation loss"


@dataclass(frozen=True)
class _Look:
    """What colour and line style mean: the same in every panel of a figure."""

    colours: Mapping[str, Any]  # optimizer -> colour
    dashes: Mapping[str, Any]  # dropout -> one of DASHES
    width: float  # of lines, in points


def curves(table: pd.DataFrame, histories: pd.DataFrame, swept: Sequence[str], metric: str) -> Figure:
    """One line a run of ``metric`` (val_loss or val_accuracy) against the epoch: colour = optimizer, style = dropout.

    A panel for every combination of the other swept settings, and at most MAX_PANELS of them. A dot marks the epoch
    of lowest validation loss. Points that are not finite are left out; at least one must be finite.
    """
    points = _points(table, histories, [metric])
    drawn = table[table["run"].isin(points["run"])]
    every = _panels(drawn, panel_factors(drawn, swept))
    shown = _best_panels(every, drawn)
    points = points[points["run"].isin([run for runs in shown.values() for run in runs])]
    total, drawn, span = len(drawn), drawn[drawn["run"].isin(points["run"])], _span(points, [metric])
    with style():
        figure, grid = panels(len(shown), _columns(drawn, len(shown), swept), panel=(2.2, 1.9))
        look = _look(drawn)
        for axes, (name, runs) in zip(grid, shown.items(), strict=True):
            _draw(axes, points[points["run"].isin(runs)], metric, look)
            axes.set_title(wrapped(name, 38))
        label_axes(figure, grid, _epochs(points), span, NAMES[metric])
        figure.legend(handles=_handles(look), loc="outside right upper")
        kept = f"The {len(shown)} panels with the best runs, of {len(every)}." if len(shown) < len(every) else ""
        what = f"{NAMES[metric].capitalize()} by epoch: {_subject(drawn, total)}"
        title(figure, [what, kept, span.cut])
    return figure


def train_vs_val(table: pd.DataFrame, histories: pd.DataFrame, swept: Sequence[str]) -> Figure:
    """Training and validation loss in a small panel for each run, best run first, at most MAX_SMALL_PANELS.

    Where the validation loss rises while the training loss falls, the run overfits.
    """
    points = _points(table, histories, ["loss", "val_loss"])
    drawn = ranked(table[table["run"].isin(points["run"])])
    shown = drawn.head(MAX_SMALL_PANELS)
    points, labels = points[points["run"].isin(shown["run"])], run_labels(drawn, swept)
    span = _span(points, ["loss", "val_loss"])
    with style():
        figure, grid = panels(len(shown), _small_columns(len(shown)), panel=(1.75, 1.55))
        for axes, run in zip(grid, shown["run"], strict=True):
            _draw_pair(axes, points[points["run"] == run])
            axes.set_title(wrapped(labels[run], 34), fontsize=7)
        label_axes(figure, grid, _epochs(points), span, "loss")
        figure.legend(handles=_pair_handles(), loc="outside lower center", ncols=3)
        what = "Training against validation loss, best run first"
        title(figure, [f"{what}: {_subject(shown, len(drawn))}", span.cut])
    return figure


def samples(path: Path) -> Figure:
    """Ten images with the names of their classes. Raises FolderError where the file does not hold such."""
    images, names = _read_samples(path)
    with style():
        figure = Figure(figsize=(6.5, 3.1), layout="constrained")
        for axes, image, name in zip(figure.subplots(2, 5).flat, images, names, strict=False):
            axes.imshow(image, cmap="gray_r", vmin=0, vmax=255 if image.dtype.kind in "iu" else 1)
            axes.set_title(name)
        for axes in figure.axes:
            axes.set_axis_off()
        figure.suptitle("Ten images of the dataset and their classes", fontsize=10)
    return figure


def _points(table: pd.DataFrame, histories: pd.DataFrame, metrics: Sequence[str]) -> pd.DataFrame:
    """Epochs with at least one finite metric, what is not finite as NaN, and the settings that lines show."""
    values = histories[list(metrics)].where(np.isfinite(histories[list(metrics)]))
    rows = histories[["run", "epoch"]].join(values).dropna(how="all", subset=list(metrics))
    looks = table[["run", "status"]].assign(**{name: table[name].map(label) for name in ("optimizer", "dropout")})
    best = best_epochs(histories)[["run", "epoch"]].assign(is_best=True)
    points = rows.merge(looks, on="run").merge(best, on=["run", "epoch"], how="left")
    return points.assign(is_best=points["is_best"].eq(True))


def _panels(table: pd.DataFrame, factors: Sequence[str]) -> dict[str, list[str]]:
    """Title -> runs, ordered by the factors' levels."""
    order = {name: levels(table[name]) for name in factors}
    rows = sorted(table.to_dict("records"), key=lambda row: [order[name].index(label(row[name])) for name in factors])
    found: dict[str, list[str]] = {}
    for row in rows:
        found.setdefault(describe(row, factors), []).append(str(row["run"]))
    return found


def _best_panels(every: Mapping[str, list[str]], table: pd.DataFrame) -> dict[str, list[str]]:
    """The MAX_PANELS panels with the best runs, in the order that they had."""
    home = {run: name for name, runs in every.items() for run in runs}
    best = list(dict.fromkeys(home[run] for run in ranked(table)["run"]))[:MAX_PANELS]
    return {name: runs for name, runs in every.items() if name in best}


def _columns(table: pd.DataFrame, count: int, swept: Sequence[str]) -> int:
    """Columns of panels: the levels of the last factor where that fills whole rows."""
    factors = panel_factors(table, swept)
    across = len(levels(table[factors[-1]])) if factors else 1
    return across if across <= 4 and count % across == 0 else min(count, 3)  # noqa: PLR2004


def _small_columns(count: int) -> int:
    return min(count, 3 if count <= 9 else 4 if count <= 16 else 6)  # noqa: PLR2004


def _span(points: pd.DataFrame, metrics: Sequence[str]) -> Span:
    """The y range of all panels: runs that went astray do not squash the others."""
    bad_end: Literal["low", "high"] = "low" if "val_accuracy" in metrics else "high"
    values = points.melt(["run", "status"], metrics).dropna(subset=["value"])
    sane = values[values["status"] != Status.DIVERGED.value]
    low, high = inner_range(values if sane.empty else sane, bad_end)
    low, high = (
        (min(low, values["value"].min()), high) if bad_end == "high" else (low, max(high, values["value"].max()))
    )
    margin = 0.04 * (high - low) or 0.05 * abs(high) or 0.01
    low, high = low - margin, high + margin
    beyond = values.loc[~values["value"].between(low, high), "run"].nunique()
    edge = f"{high if bad_end == 'high' else low:.2g}"
    cut = f"The axis is cut at {edge}: {beyond} run{' goes' if beyond == 1 else 's go'} beyond."
    return Span(low, high, cut if beyond else "")


def _epochs(points: pd.DataFrame) -> tuple[int, int]:
    return int(points["epoch"].min()), int(points["epoch"].max())


def _look(table: pd.DataFrame) -> _Look:
    optimizers, dropouts = levels(table["optimizer"]), levels(table["dropout"])
    palette = sns.color_palette("colorblind" if len(optimizers) <= 10 else "husl", len(optimizers))  # noqa: PLR2004
    has_replicates = len(levels(table["seed"])) > 1
    return _Look(
        dict(zip(optimizers, palette, strict=True)),
        dict(zip(dropouts, islice(cycle(DASHES), len(dropouts)), strict=True)),
        width=0.8 if has_replicates else 1.5,
    )


def _draw(axes: Axes, points: pd.DataFrame, metric: str, look: _Look) -> None:
    shared: dict[str, Any] = {"x": "epoch", "y": metric, "hue": "optimizer", "palette": look.colours, "legend": False}
    sns.lineplot(
        points,
        **shared,
        style="dropout",
        dashes=look.dashes,
        units="run",
        estimator=None,
        linewidth=look.width,
        ax=axes,
    )
    alone = points.groupby("run")["epoch"].transform("size").eq(1)  # a line of one point would not be seen
    dots = points[points["is_best"] | alone]
    if not dots.empty:  # accuracies may be finite where no loss is
        sns.scatterplot(dots, **shared, s=18 + 8 * look.width, edgecolor="white", linewidth=0.6, zorder=3, ax=axes)


def _draw_pair(axes: Axes, points: pd.DataFrame) -> None:
    """One run's training and validation loss."""
    marker = "." if len(points) == 1 else None
    for metric, colour in (("loss", TRAIN), ("val_loss", VALIDATION)):
        axes.plot(points["epoch"], points[metric], color=colour, marker=marker, linewidth=1.2)
    best = points[points["is_best"]]
    axes.scatter(best["epoch"], best["val_loss"], s=20, color=VALIDATION, edgecolor="white", linewidth=0.6, zorder=3)


def _handles(look: _Look) -> list[Line2D]:
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
    return [*entries, Line2D(**blank, label=""), Line2D(**dot, label=textwrap.fill(BEST, 16))]


def _pair_handles() -> list[Line2D]:
    dot: dict[str, Any] = {"marker": "o", "color": VALIDATION, "linestyle": "none", "markeredgecolor": "white"}
    return [
        Line2D([], [], color=TRAIN, label="training loss"),
        Line2D([], [], color=VALIDATION, label="validation loss"),
        Line2D([], [], **dot, label=BEST),
    ]


def _subject(table: pd.DataFrame, total: int) -> str:
    """Which runs are drawn: ``60 of 144 runs, model mlp, 3 seeds``."""
    model, seeds = constant_factors(table).get("model", NONE), len(levels(table["seed"]))
    count = f"{len(table)} of {total} runs" if len(table) < total else f"{total} run{'' if total == 1 else 's'}"
    return count + (f", model {model}" if model != NONE else "") + (f", {seeds} seeds" if seeds > 1 else "")


def _read_samples(path: Path) -> tuple[list[np.ndarray[Any, Any]], list[str]]:
    """Up to ten images, each [H,W], [H,W,3] or [H,W,4], and their class names."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            images, labels, names = arrays["images"][:10], arrays["labels"][:10], arrays["class_names"]
        return _pixels(images), [str(names[index]) for index in labels]
    except (OSError, ValueError, KeyError, TypeError, IndexError, BadZipFile) as error:
        raise FolderError(f"{path}: cannot be read as sample images ({error})") from error


def _pixels(images: np.ndarray[Any, Any]) -> list[np.ndarray[Any, Any]]:
    """Images as imshow takes them: no axis for a single colour. Raises ValueError for another shape."""
    if images.shape[3:] == (1,):
        images = images[..., 0]
    if images.ndim < 3 or images.shape[3:] not in ((), (3,), (4,)):  # noqa: PLR2004
        raise ValueError(f"images are of shape {images.shape[1:]}, expected [height, width] or [height, width, 3]")
    return list(images)
