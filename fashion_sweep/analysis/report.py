"""Write the report of a sweep: summary.csv, summary.md, figures and one page that holds them all.

``write_report`` is what the app calls when a sweep ends; ``main`` is the command line that does the same at any time.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape

from fashion_sweep.analysis.collect import Collected, check_folder, collect
from fashion_sweep.errors import FolderError, UserError
from fashion_sweep.run_dir import write_text
from fashion_sweep.sweep_dir import SweepDir

if TYPE_CHECKING:
    import pandas as pd

DESCRIPTION = """\
Write tables, curves and a page for sweeps, finished or still running.

DIR is a sweep's folder or a single run's. Its report is written into DIR/report:
index.html, summary.csv, summary.md, val_loss.png and .svg, accuracy.png, train_vs_val.png, samples.png, and
replicates.csv where settings have several seeds."""

EPILOG = """\
examples:
  report.py outputs/sweeps/2025-01-02_03-04-05
  report.py outputs/sweeps/* --output comparison      one report over several sweeps

exit codes: 0 written; 1 with --strict, where a file could not be read; 2 a DIR holds no runs, nothing written"""


@dataclass(frozen=True)
class Report:
    """What was written.

    table: one row a run in plan order: the columns of summary.csv, and ``reason`` after ``status``.
    """

    output: Path
    table: pd.DataFrame
    swept: list[str]  # the columns that this sweep has beyond those that every table has
    warnings: list[str]  # files that could not be read, and figures that were left out for it

    @property
    def page(self) -> Path:
        return self.output / "index.html"


def write_report(folders: Sequence[Path], output: Path | None = None, now: datetime | None = None) -> Report:
    """Write one report over the sweeps or single runs in ``folders``.

    output: where to; by default the folder that the one given sweep or run has for it.
    now: the time that the report carries, by default the clock's.
    Raises FolderError where a folder holds no runs or ``output`` cannot be written.
    """
    if output is None:
        (folder,) = folders
        output = SweepDir(folder).report
    collected = collect(folders)
    try:
        return _write(collected, output, now or datetime.now(timezone.utc))
    except OSError as error:
        raise FolderError(f"{output}: the report cannot be written there ({error.strerror or error})") from error


def print_table(report: Report, console: Console) -> None:
    """Print the table, best run first, the runs that did not complete, the warnings and where the page is."""
    from fashion_sweep.analysis import table

    table.print_to(console, report.table, report.swept)
    for text in report.warnings:
        console.print(f"[yellow]warning[/yellow] {escape(text)}", highlight=False, soft_wrap=True)
    console.print(f"{table.sentence(report.table)} Report: {escape(str(report.page))}", highlight=False, soft_wrap=True)


def main(argv: list[str] | None = None) -> None:
    """The command line ``fashion-sweep-report``; ends in SystemExit where it does not end well."""
    arguments = _parser().parse_args(argv)
    try:
        reports = _write_all(arguments.folders, arguments.output)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(error.exit_code) from None
    # Not a terminal: nobody's window limits the lines.
    console = Console() if sys.stdout.isatty() else Console(width=200)
    for report in reports:
        print_table(report, console)
    if arguments.strict and any(report.warnings for report in reports):
        raise SystemExit(1)


def _parser() -> argparse.ArgumentParser:
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=DESCRIPTION, epilog=EPILOG, formatter_class=layout)
    parser.add_argument("folders", metavar="DIR", nargs="+", type=Path, help="folder of a sweep or of a run")
    parser.add_argument("--output", metavar="DIR", type=Path, help="write one report over all of them into this folder")
    parser.add_argument("--strict", action="store_true", help="exit with 1 where a file could not be read")
    return parser


def _write_all(folders: Sequence[Path], output: Path | None) -> list[Report]:
    for folder in folders:  # all of them before anything is written
        check_folder(folder)
    return [write_report(folders, output)] if output else [write_report([folder]) for folder in folders]


def _write(collected: Collected, output: Path, now: datetime) -> Report:
    from fashion_sweep.analysis import aggregate, gallery, page, replicates, table  # seaborn takes seconds

    runs = aggregate.summarize(collected.runs, collected.histories)
    pictures = gallery.draw(runs, collected, output)
    problems = [f"samples.png left out: {p.note}" for p in pictures if p.name == "samples" and not p.path]
    report = Report(output, runs, collected.swept, [*collected.warnings, *(problems if collected.samples else [])])
    written = f"{now.astimezone(timezone.utc):%Y-%m-%d %H:%M} UTC"
    write_text(output / "summary.csv", table.csv_text(runs[table.columns(collected.swept)]))
    _write_replicates(output / "replicates.csv", replicates.replicates(runs, collected.swept))
    write_text(output / "summary.md", table.markdown(runs, collected, report.warnings, written))
    write_text(report.page, page.render(runs, collected, pictures, report.warnings, written))
    return report


def _write_replicates(path: Path, settings: pd.DataFrame) -> None:
    from fashion_sweep.analysis import table

    if settings.empty:
        path.unlink(missing_ok=True)  # one of an earlier report would be taken for this one's
    else:
        write_text(path, table.csv_text(settings.drop(columns="run")))
