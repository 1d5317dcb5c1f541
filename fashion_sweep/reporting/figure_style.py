"""The style of all figures: panels, axes, titles and file formats.

Figures are made without pyplot, so that they leave no global state. Sizes are in inches and fonts in points, chosen
so that a figure can be printed as it is.
"""

from __future__ import annotations

import textwrap
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

import matplotlib as mpl
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from fashion_sweep.reporting.labels import inner_range
from fashion_sweep.storage.atomic import replacing
from fashion_sweep.storage.record import Status

DPI, NOTEBOOK_DPI = 170, 110
"""Of figures in pixels: in files, and in notebooks."""
LEGEND = 1.7
"""Width in inches reserved for the legend to the right of the panels."""


@dataclass(frozen=True)
class Span:
    """The range of the y axis, and a note if it cuts off points."""

    low: float
    high: float
    cut: str  # empty if every point is inside


class ShownFigure(Figure):
    """A figure that a notebook shows, although pyplot does not know of it."""

    def _repr_png_(self) -> bytes:
        buffer = BytesIO()
        with style(), warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Glyph .* missing")  # the font may lack the script of a name
            self.savefig(buffer, format="png", dpi=NOTEBOOK_DPI)
        return buffer.getvalue()


@contextmanager
def style() -> Iterator[None]:
    """The style of all figures; matplotlib's own settings are restored afterwards."""
    ours: Any = {
        **sns.axes_style("whitegrid"),
        **sns.plotting_context("paper"),
        "font.sans-serif": ["DejaVu Sans"],
        "font.size": 9,
        "axes.titlesize": 8,
        "axes.labelsize": 9,
        "axes.edgecolor": "#555555",
        "axes.linewidth": 0.7,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "grid.color": "#e6e6e6",
        "grid.linewidth": 0.6,
        "xtick.labelsize": 8,
        "ytick.labelsize": 8,
        "legend.fontsize": 8,
        "legend.frameon": False,
        "text.parse_math": False,  # a dollar sign in a name is a dollar sign
        "svg.hashsalt": "fashion-sweep",
        "svg.fonttype": "path",
    }
    with mpl.rc_context(ours):
        yield


def save(figure: Figure, path: Path) -> None:
    """Write a figure as .png, .svg or .pdf, by the suffix. The same figure gives the same bytes.

    ``Figure.savefig`` would draw it twice: once for the layout alone, which drawing settles anyway.
    """
    with style(), warnings.catch_warnings(), replacing(path) as beside:
        warnings.filterwarnings("ignore", "Glyph .* missing")  # the font may lack the script of a name
        if path.suffix == ".svg":
            figure.dpi = 72
            FigureCanvasSVG(figure).print_svg(beside, metadata={"Date": None})  # type: ignore[no-untyped-call]
        elif path.suffix == ".pdf":
            figure.dpi = 72
            FigureCanvasPdf(figure).print_pdf(beside, metadata={"CreationDate": None})  # type: ignore[no-untyped-call]
        else:
            figure.dpi = DPI
            FigureCanvasAgg(figure).print_png(beside, metadata={"Software": None})  # type: ignore[no-untyped-call]


def panels(count: int, columns: int, panel: tuple[float, float]) -> tuple[Figure, list[Axes]]:
    """Axes in rows, which ``label_axes`` gives the same ranges; a single one is larger.

    They are not linked: with 60 of them matplotlib would spend half of its time with telling each of all others.
    """
    rows = -(-count // columns)
    width, height = (4.8, 3.3) if count == 1 else (columns * panel[0], rows * panel[1])
    figure = ShownFigure(figsize=(width + LEGEND, height + 0.7), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat[count:]:
        axes.remove()
    for axes in grid.flat[:count]:
        axes.autoscale(False)
        axes.label_outer()
    for axes in grid.flat[max(0, count - columns) : (rows - 1) * columns]:  # these have no panel below them
        axes.tick_params(labelbottom=True)
        axes.xaxis.set_in_layout(False)  # its labels use the empty space below
    return figure, list(grid.flat[:count])


def span_of(points: pd.DataFrame, metrics: Sequence[str]) -> Span:
    """The y range of all panels, chosen so that diverged runs do not squash the others."""
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
    cut = f"The axis is cut at {edge}: {beyond} line{' goes' if beyond == 1 else 's go'} beyond."
    return Span(low, high, cut if beyond else "")


def epochs_of(points: pd.DataFrame) -> tuple[int, int]:
    """The first and the last epoch."""
    return int(points["epoch"].min()), int(points["epoch"].max())


def label_axes(figure: Figure, grid: Sequence[Axes], epochs: tuple[int, int], span: Span, name: str) -> None:
    """Ranges, names and whole epochs on the axes. epochs: the first and the last."""
    first, last = epochs
    margin = 0.03 * (last - first) or 0.5
    columns = len({axes.get_position().x0 for axes in grid})
    for index, axes in enumerate(grid):
        axes.set(xlim=(first - margin, last + margin), ylim=(span.low, span.high))
        axes.set(xlabel="epoch" if index >= len(grid) - columns else "", ylabel="")
        axes.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True, min_n_ticks=1))
    figure.supylabel(f"{name} (axis cut)" if span.cut else name, fontsize=9)


def wrapped(title: str, width: int) -> str:
    """A panel's title in lines of at most ``width`` characters that end at commas where they can."""
    held = title.replace(" ", "\N{NO-BREAK SPACE}").replace(",\N{NO-BREAK SPACE}", ", ")
    return textwrap.fill(held, width).replace("\N{NO-BREAK SPACE}", " ")


def title(figure: Figure, lines: Sequence[str], beside: float = 0.0) -> None:
    """The figure's title; empty lines are left out. beside: inches to leave free on the right."""
    whole = float(figure.get_size_inches()[0])
    wrapped_lines = (textwrap.fill(line, int((whole - beside) * 13)) for line in lines if line)
    figure.suptitle("\n".join(wrapped_lines), x=(whole - beside) / whole / 2, fontsize=10)
