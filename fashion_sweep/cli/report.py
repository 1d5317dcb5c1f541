"""The command line ``fashion-sweep-report``: tables, curves and pages of run folders, at any time."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from rich.console import Console

from fashion_sweep.analysis.folders import Reader, check_folder
from fashion_sweep.analysis.load import collect
from fashion_sweep.analysis.measure import Place
from fashion_sweep.cli.encoding import check_names
from fashion_sweep.cli.logs import errors_said, say_error
from fashion_sweep.cli.watch import Watched, watch
from fashion_sweep.errors import UserError
from fashion_sweep.reporting.files import FORMATS
from fashion_sweep.reporting.report import Report, print_table, print_warnings, write_comparison, write_report
from fashion_sweep.storage.record import OBJECTIVES

DESCRIPTION = """\
Write tables, curves and a page for sweeps, finished or still running.

DIR is a sweep's folder or a single run's. Its report is written into DIR/report:
index.html, summary.csv, summary.md, val_loss.png and .svg, accuracy.png, train_vs_val.png, samples.png;
replicates.csv where settings have several seeds; effects.csv, importance.csv, dynamics.csv, cost.csv, levels.png and
pairs.png where they have something to say. Figures in other formats with --format; settings.tex and methods.tex with
--latex."""

EPILOG = """\
examples:
  report.py outputs/sweeps/2025-01-02_03-04-05
  report.py outputs/sweeps/* --output comparison      one report over several sweeps
  report.py BASELINE SWEEP --compare --fail-if-worse 2  exit code 1 if a setting's mean is worse by more than 2%
  report.py SWEEP --measure val_accuracy --at last    ranked by the accuracy of the last epoch
  report.py SWEEP --watch                             follow a running sweep: reload the page to see more
  report.py SWEEP --format pdf --latex                figures, a table and a methods paragraph for a paper

exit codes: 0 written; 1 with --strict, if a file could not be read, or with --fail-if-worse, if a setting is worse;
2 a DIR holds no runs, or two sweeps cannot be compared: nothing written"""


def main(argv: list[str] | None = None) -> None:
    """Run the command line; raises SystemExit if it fails."""
    arguments = _parser().parse_args(argv)
    with errors_said():
        check_names(argv)
        # Output that is not a terminal has no width limit.
        console = Console() if sys.stdout.isatty() else Console(width=200)
        if arguments.compare:
            raise SystemExit(_compare(arguments, console))
        if arguments.fail_if_worse is not None:
            raise UserError("--fail-if-worse compares two sweeps; give it with --compare")
        reports = _write_all(arguments, console)
    for report in reports:
        print_table(report, console)
    if arguments.strict and any(report.warnings for report in reports):
        raise SystemExit(1)


def _parser() -> argparse.ArgumentParser:
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=DESCRIPTION, epilog=EPILOG, formatter_class=layout)
    parser.add_argument("folders", metavar="DIR", nargs="+", type=Path, help="folder of a sweep or of a run")
    parser.add_argument("--output", metavar="DIR", type=Path, help="write one report over all of them into this folder")
    parser.add_argument(
        "--measure",
        choices=OBJECTIVES,
        help="rank by this metric (default: the objective of the runs, mostly val_loss)",
    )
    parser.add_argument(
        "--at", metavar="best|last|K", type=_epochs, default="best",
        help="rank by it at the best epoch (default), at the last, or by its mean over the last K epochs",
    )  # fmt: skip
    parser.add_argument(
        "--compare", action="store_true", help="compare two sweeps: the settings that both have, by seed"
    )
    parser.add_argument(
        "--fail-if-worse", metavar="PERCENT", type=_percent,
        help="with --compare: exit with 1 if a setting of the first is worse in the second by more than this, or gone",
    )  # fmt: skip
    parser.add_argument(
        "--format", metavar="png,svg,pdf", type=_formats, default=(),
        help="formats of every figure; the page needs PNG, which is always written (default: png, and svg of val_loss)",
    )  # fmt: skip
    parser.add_argument(
        "--latex", action="store_true",
        help="write settings.tex, a table with booktabs, and methods.tex, a paragraph on how runs were trained",
    )  # fmt: skip
    parser.add_argument(
        "--watch", action="store_true", help="write the report again whenever something changes, until the sweep ends"
    )
    parser.add_argument("--strict", action="store_true", help="exit with 1 if a file could not be read")
    return parser


def _epochs(text: str) -> Place | int:
    """The option --at."""
    if text == "best" or text == "last" or text == "1":  # noqa: PLR1714 - mypy tells them apart so
        return "best" if text == "best" else "last"
    if not text.isascii() or not text.isdecimal() or not 1 <= int(text[:9]) == int(text):
        raise argparse.ArgumentTypeError(f"{text!r}: expected best, last or a number of epochs, at least 1")
    return int(text)


def _formats(text: str) -> tuple[str, ...]:
    """The option --format."""
    given = tuple(each.strip().lower() for each in text.split(","))
    if unknown := [each for each in given if each not in FORMATS]:
        raise argparse.ArgumentTypeError(f"{unknown[0]!r}: expected some of {','.join(FORMATS)}, separated by commas")
    return given


def _percent(text: str) -> float:
    """The option --fail-if-worse."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a number of percent, at least 0")
    return value


def _compare(arguments: argparse.Namespace, console: Console) -> int:
    """Print how two sweeps compare, and write it where --output says. Returns the exit code."""
    if arguments.latex or arguments.format or arguments.watch:
        raise UserError("--latex, --format and --watch are for reports, which --compare does not write; leave them out")
    if len(arguments.folders) != 2:  # noqa: PLR2004
        raise UserError(f"--compare takes two folders, first the baseline; got {len(arguments.folders)}")
    from fashion_sweep.analysis.comparison import compare  # pandas is slow to import
    from fashion_sweep.reporting import comparison

    for folder in arguments.folders:
        check_folder(folder)
    before = collect(arguments.folders[:1], arguments.measure, arguments.at)
    after = collect(arguments.folders[1:], arguments.measure or before.measure.metric, arguments.at)
    found = compare(before, after)
    comparison.print_to(console, found, before.measure)
    warnings = [*before.warnings, *after.warnings]
    print_warnings(warnings, console)
    if arguments.output:
        write_comparison(arguments.output, comparison.csv(found), comparison.markdown(found, before.measure))
    failed = [] if arguments.fail_if_worse is None else comparison.failures(found, arguments.fail_if_worse)
    for text in failed:
        say_error(text, "worse")
    return int(bool(failed) or (arguments.strict and bool(warnings)))


def _write_all(arguments: argparse.Namespace, console: Console) -> list[Report]:
    for folder in arguments.folders:  # check all of them before writing anything
        check_folder(folder)
    given = [arguments.folders] if arguments.output else [[folder] for folder in arguments.folders]
    every = [Watched(folders, partial(_write, arguments, folders)) for folders in given]
    return watch(every, console) if arguments.watch else [each.write(each.reader) for each in every]


def _write(arguments: argparse.Namespace, folders: Sequence[Path], reader: Reader) -> Report:
    return write_report(
        folders,
        arguments.output,
        metric=arguments.measure,
        at=arguments.at,
        formats=arguments.format,
        latex=arguments.latex,
        reader=reader,
    )
