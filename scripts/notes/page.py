"""The figures as files, and one page that holds them and the tables; the page loads nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from matplotlib.figure import Figure

from fashion_sweep.reporting.figure_style import save
from fashion_sweep.reporting.html import data_uri
from fashion_sweep.storage.atomic import write_text
from notes import figures, table
from notes.outcome import DIFFERENCES, Outcome
from notes.rows import CURVES, OVERFITTING


@dataclass(frozen=True)
class Picture:
    """One figure of the page."""

    name: str  # of the file, without the suffix
    title: str
    caption: str
    path: Path


def write(found: Outcome, output: Path) -> Path:
    """Write index.html and the figures into a folder; returns the page."""
    output.mkdir(parents=True, exist_ok=True)
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["data_uri"] = data_uri
    tables = [
        ("Numbers", table.numbers(found), DIFFERENCES),
        ("Curves", table.curves(found), found.ordering),
        ("Early stopping", table.stopping(found), ""),
        ("Saving and restoring", table.restoring(found), ""),
    ]
    page = environment.get_template("page.html.j2").render(
        found=found, pictures=list(_pictures(found, output)), tables=tables
    )
    write_text(output / "index.html", page)
    return output / "index.html"


def _pictures(found: Outcome, output: Path) -> Iterator[Picture]:
    """Draw and save every figure that there is data for."""
    overfitting = [each for each in CURVES if each.what in OVERFITTING]
    falling = [each for each in CURVES if each.what not in OVERFITTING]
    replicates = "Lines are means over replicates, bands one standard deviation to either side."
    drawn: list[tuple[str, str, str, Figure | None]] = [
        ("numbers", "The notes' numbers and ours", "Each dot is a run of ours.", figures.intervals(found.comparisons)),
        ("overfitting", "Overfitting", f"{found.ordering} {replicates}", figures.curves(overfitting, found.sweeps)),
        ("loss", "Loss", replicates, figures.curves(falling, found.sweeps)),
        ("stopping", "Early stopping", "Number of runs by epoch.", figures.stopping(found.stopping)),
    ]
    for name, title, caption, figure in drawn:
        if figure is not None:
            save(figure, output / f"{name}.png")
            yield Picture(name, title, caption.strip(), output / f"{name}.png")
