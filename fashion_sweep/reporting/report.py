"""Write the report of a sweep: summary.csv, summary.md, figures and one page that holds them all.

The app calls ``write_report`` when a sweep ends; the command line ``fashion-sweep-report`` calls it at any time.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape

from fashion_sweep.analysis.folders import Reader
from fashion_sweep.analysis.load import Collected, collect
from fashion_sweep.analysis.measure import Measure, Place
from fashion_sweep.errors import FolderError
from fashion_sweep.reporting import files
from fashion_sweep.storage.atomic import write_text
from fashion_sweep.storage.claim import REPORT_MARKER, check_report, mark
from fashion_sweep.storage.record import Objective
from fashion_sweep.storage.sweep_dir import SweepDir

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Report:
    """A report that has been written.

    table: one row per run in plan order: the columns of summary.csv, and ``reason`` after ``status``.
    settings: its ``replicates``.
    """

    output: Path
    table: pd.DataFrame
    settings: pd.DataFrame
    swept: list[str]  # columns of this sweep in addition to those of every table
    measure: Measure  # what runs are ranked by
    warnings: list[str]  # files that could not be read, and figures left out because of that
    tested: str = ""  # what is said about looks at the test images

    @property
    def page(self) -> Path:
        return self.output / "index.html"


def write_report(
    folders: Sequence[Path],
    output: Path | None = None,
    now: datetime | None = None,
    *,
    metric: Objective | None = None,
    at: Place | int = "best",
    formats: Collection[str] = (),
    latex: bool = False,
    reader: Reader | None = None,
) -> Report:
    """Write one report over the sweeps or single runs in ``folders``.

    output: folder to write to; by default the report folder of the one given sweep or run.
    now: the time shown in the report; by default the current time.
    metric, at, reader: see ``collect``. formats: of figures, see ``gallery.draw``. latex: whether to write a table and
    a paragraph on methods for papers.
    Raises FolderError if a folder holds no runs, or ``output`` cannot be written or holds files that are no report's.
    """
    place = output or SweepDir(folders[0]).report
    collected = collect(folders, metric, at, reader)
    try:
        _make(place, parents=output is not None)
        return _write(collected, place, now or datetime.now(timezone.utc), formats, latex=latex)
    except OSError as error:
        raise FolderError(f"{place}: the report cannot be written there ({error.strerror or error})") from error


def write_comparison(folder: Path, csv: str, markdown: str) -> None:
    """Write how two sweeps compare. Raises FolderError if the folder cannot be written or is no report's."""
    try:
        _make(folder, parents=True)
        write_text(folder / "comparison.csv", csv)
        write_text(folder / "comparison.md", markdown)
    except OSError as error:
        raise FolderError(f"{folder}: the comparison cannot be written there ({error.strerror or error})") from error


def print_table(report: Report, console: Console) -> None:
    """Print the table, best run first, the runs that did not complete, the warnings and where the page is."""
    from fashion_sweep.reporting import table, terminal, verdict

    terminal.print_to(console, report.table, report.settings, report.swept, report.measure)
    if said := verdict.verdict(report.table, report.settings, report.swept, report.measure):
        console.print(escape(said), highlight=False, soft_wrap=True)
    if report.tested:
        console.print(escape(report.tested), highlight=False, soft_wrap=True)
    print_warnings(report.warnings, console)
    console.print(f"{table.sentence(report.table)} Report: {escape(str(report.page))}", highlight=False, soft_wrap=True)


def print_warnings(texts: Sequence[str], console: Console) -> None:
    """Print a line for each."""
    for text in texts:
        console.print(f"[yellow]warning[/yellow] {escape(text)}", highlight=False, soft_wrap=True)


def _make(folder: Path, *, parents: bool) -> None:
    """Make the report's folder, and mark it as ours. Raises FolderError where it holds what a report would overwrite.

    parents: make the folders around it, too. That of a sweep may have been renamed meanwhile, and is not to come back.
    """
    check_report(folder, files.NAMES)
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
    folder.mkdir(parents=parents, exist_ok=True)
    mark(folder, REPORT_MARKER)


def _write(collected: Collected, output: Path, now: datetime, formats: Collection[str], *, latex: bool) -> Report:
    from fashion_sweep.analysis import replicates, summary
    from fashion_sweep.reporting import gallery, html, looks, markdown, sections, table  # seaborn takes seconds

    runs = summary.summarize(collected.runs, collected.histories, collected.measure)
    settings = replicates.replicates(runs, collected.swept, collected.measure)
    pictures = gallery.draw(runs, collected, output, formats)
    problems = [f"samples.png left out: {p.note}" for p in pictures if p.name == "samples" and not p.path]
    warnings = [*collected.warnings, *(problems if collected.samples else [])]
    said = sections.sections(runs, collected)
    tested = " ".join(text for section in said if section.title == looks.TITLE for text in section.sentences)
    report = Report(output, runs, settings, collected.swept, collected.measure, warnings, tested)
    written = f"{now.astimezone(timezone.utc):%Y-%m-%d %H:%M} UTC"
    write_text(output / "summary.csv", table.csv_text(runs[table.columns(runs, collected.swept)]))
    replicated = {} if settings.empty else {"replicates.csv": table.csv_text(settings.drop(columns="run"))}
    _write_texts(output, replicated, ["replicates.csv"])
    said_files = {name: table.csv_text(frame) for section in said for name, frame in section.files.items()}
    _write_texts(output, said_files, files.SECTIONS)
    _write_texts(output, _latex(runs, collected) if latex else {}, files.LATEX)
    text = markdown.markdown(runs, settings, collected, report.warnings, written, sections=said)
    write_text(output / "summary.md", text)
    page = html.render(
        runs, settings, collected, pictures, report.warnings, written=written, output=output, sections=said
    )
    write_text(report.page, page)
    return report


def _latex(runs: pd.DataFrame, collected: Collected) -> dict[str, str]:
    from fashion_sweep.reporting import latex

    return latex.texts(runs, collected)


def _write_texts(output: Path, texts: Mapping[str, str], names: Sequence[str]) -> None:
    """Write the files of these names that there are texts of, and remove the others: they are an earlier report's."""
    for name in names:
        if name in texts:
            write_text(output / name, texts[name])
        else:
            (output / name).unlink(missing_ok=True)
