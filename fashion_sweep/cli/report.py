"""The command line ``fashion-sweep-report``: tables, curves and pages of run folders, at any time."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from fashion_sweep.analysis.folders import check_folder
from fashion_sweep.cli.encoding import check_names
from fashion_sweep.cli.logs import errors_said
from fashion_sweep.reporting.report import Report, print_table, write_report

DESCRIPTION = """\
Write tables, curves and a page for sweeps, finished or still running.

DIR is a sweep's folder or a single run's. Its report is written into DIR/report:
index.html, summary.csv, summary.md, val_loss.png and .svg, accuracy.png, train_vs_val.png, samples.png, and
replicates.csv where settings have several seeds."""

EPILOG = """\
examples:
  report.py outputs/sweeps/2025-01-02_03-04-05
  report.py outputs/sweeps/* --output comparison      one report over several sweeps

exit codes: 0 written; 1 with --strict, if a file could not be read; 2 a DIR holds no runs, nothing written"""


def main(argv: list[str] | None = None) -> None:
    """Run the command line; raises SystemExit if it fails."""
    arguments = _parser().parse_args(argv)
    with errors_said():
        check_names(argv)
        reports = _write_all(arguments.folders, arguments.output)
    # Output that is not a terminal has no width limit.
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
    parser.add_argument("--strict", action="store_true", help="exit with 1 if a file could not be read")
    return parser


def _write_all(folders: Sequence[Path], output: Path | None) -> list[Report]:
    for folder in folders:  # check all of them before writing anything
        check_folder(folder)
    return [write_report(folders, output)] if output else [write_report([folder]) for folder in folders]
