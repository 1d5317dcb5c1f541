"""The command line ``fashion-sweep-reproduce``: trains a run again and reports how far its history differs."""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from itertools import count
from pathlib import Path

from rich.console import Console

from fashion_sweep.analysis import history_diff
from fashion_sweep.analysis.history_diff import MetricDifference, Row
from fashion_sweep.cli import progress
from fashion_sweep.cli.encoding import check_names
from fashion_sweep.cli.logs import errors_said, log_to
from fashion_sweep.config import recorded
from fashion_sweep.config.recorded import RecordedConfig
from fashion_sweep.config.redaction import redacted_errors
from fashion_sweep.errors import FolderError
from fashion_sweep.planning import changes
from fashion_sweep.planning.changes import Change
from fashion_sweep.planning.run_spec import identity_of
from fashion_sweep.storage.atomic import write_text
from fashion_sweep.storage.plain_text import clean_lines
from fashion_sweep.storage.provenance import use_threads
from fashion_sweep.storage.record import RunRecord, Status
from fashion_sweep.storage.run_dir import RunDir
from fashion_sweep.storage.sweep_dir import SweepDir
from fashion_sweep.training.engines import name_of
from fashion_sweep.training.network_trainer import NetworkTrainer
from fashion_sweep.training.trainer import trainer_of

REPRODUCTIONS = Path("outputs/reproductions")
ENDED = (Status.COMPLETED, Status.DIVERGED)
"""Statuses of a run that has all its epochs."""

DESCRIPTION = """\
Train a run again from its folder into a new one, and report how far the new history differs from the old.

The output starts with what has changed: package versions, source code, config, dataset, device. If nothing has changed,
the histories must be identical to the last digit. Otherwise the differences are only reported, unless --tolerance
limits them. The run is trained in this process, with as many threads as before. Values like ${oc.env:TOKEN} are read
from the current environment."""

EPILOG = """\
examples:
  reproduce.py outputs/runs/RUN
  reproduce.py outputs/sweeps/SWEEP/RUN --output again
  reproduce.py outputs/sweeps/SWEEP/RUN --tolerance 1e-3     from another machine: losses equal to three digits

exit codes: 0 trained again, and the history agrees or is allowed to differ; 1 the run failed or its history differs too
much; 2 no such run, or it cannot be trained here; 130 interrupted"""


def main(argv: list[str] | None = None) -> None:
    """Run the command line; raises SystemExit if the exit code is not 0."""
    arguments = _parser().parse_args(argv)
    with errors_said():
        check_names(argv)
        sys.path.append(str(Path.cwd()))  # where ``python -m fashion_sweep`` finds a user's own modules
        code = reproduce(arguments.run, arguments.output, arguments.tolerance)
    if code:
        raise SystemExit(code)


def _parser() -> argparse.ArgumentParser:
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=DESCRIPTION, epilog=EPILOG, formatter_class=layout)
    parser.add_argument("run", metavar="RUN_DIR", type=Path, help="folder of a run")
    where = f"new folder for the run (default: {REPRODUCTIONS}/<name of the run>)"
    parser.add_argument("--output", metavar="DIR", type=Path, help=where)
    largest = "largest relative difference between the histories that still counts as reproduced"
    parser.add_argument("--tolerance", metavar="FRACTION", type=_tolerance, help=largest)
    return parser


def _tolerance(text: str) -> float:
    value = float(text)
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"{text}: expected a number of at least 0")
    return value


def reproduce(path: Path, output: Path | None, tolerance: float | None) -> int:
    """Train the run in a folder again, print the comparison, and return the exit code.

    Raises UserError if it cannot be trained.
    """
    run, original = _opened(path)
    config = recorded.read(run, original)
    with redacted_errors(config.hidden):
        return _reproduce(run, original, config, output, tolerance)


def _reproduce(
    run: RunDir, original: RunRecord, config: RecordedConfig, output: Path | None, tolerance: float | None
) -> int:
    recorded.check(run, config.values)
    trainer = trainer_of(config.values)
    if isinstance(trainer, NetworkTrainer):
        trainer.check_machine()
    if isinstance(original.device.get("threads"), int):
        use_threads(original.device["threads"], name_of(config.values))
    before = changes.before(run, original, config.values)
    new = RunDir(_new_folder(output, original.run))
    _print_line("run", f"{run.path} ({original.status.value})")
    _print_line("new run", str(new.path))
    if config.warning:
        _print_line("warning", config.warning)
    else:
        new.composed.parent.mkdir()
        write_text(new.composed, run.composed.read_text("utf-8"))  # so that the new run can be reproduced, too
    _print_changes(before)
    repeated = _trained(new, original, config)
    _print_changes(after := changes.after(original, repeated))
    gaps, is_whole = _compared(original, _rows(run, original), _rows(new, repeated))
    if repeated.status is Status.FAILED:
        _print_line("result", f"the run failed: {repeated.reason}")
        return 1
    causes = list(dict.fromkeys(change.what for change in (*before, *after) if change.matters))
    return _verdict(gaps, is_whole, causes, tolerance)


def _opened(path: Path) -> tuple[RunDir, RunRecord]:
    """The run in a folder and its record. Raises FolderError if there is none."""
    run = RunDir(path)
    record = run.read_record()
    if record is not None:
        return run, record
    if SweepDir(path).plan.exists():
        names = [each.path.name for each in SweepDir(path).run_dirs()]
        example = f", such as {path / names[0]}" if names else ""
        raise FolderError(f"{path}: this is a sweep's folder; give one of its runs{example}")
    what = "no run.json in it; expected the folder of a run" if path.is_dir() else "no such folder"
    raise FolderError(f"{path}: {what}")


def _new_folder(output: Path | None, name: str) -> Path:
    """Create the folder of the new run. Raises FolderError if it exists and is not empty."""
    if output is not None and output.exists() and not (output.is_dir() and not any(output.iterdir())):
        raise FolderError(f"{output}: not an empty folder; choose another --output")
    candidates = (REPRODUCTIONS / (name if number == 1 else f"{name}_{number}") for number in count(1))
    folder = output or next(folder for folder in candidates if not folder.exists())
    try:
        folder.mkdir(parents=True, exist_ok=output is not None)
    except OSError as error:
        raise FolderError(f"{folder}: cannot be created ({error.strerror}); choose another --output") from error
    return folder


def _trained(new: RunDir, original: RunRecord, config: RecordedConfig) -> RunRecord:
    """Train the run into a new folder and return its record."""
    from fashion_sweep.training.train import RunSpec, train

    own, code = identity_of(config.values), changes.code_of([config.values])
    spec = RunSpec(new.path, config.values, original.choices, original.overrides, own, code=code, hidden=config.hidden)
    with log_to(new.log), progress.shown({new: int(config.values.get("epochs", 1))}, Console()):
        [record] = train([spec])
    return record


def _print_changes(changes: Sequence[Change]) -> None:
    for change in changes:
        _print_line(change.what, change.text)


def _rows(run: RunDir, record: RunRecord) -> Sequence[Row]:
    """The epochs of a run; its final metrics if its trainer has no epochs."""
    rows, fault = run.salvage_history()
    if fault:
        _print_line("warning", f"{run.history}: {fault}; only the epochs before it are compared")
    return rows or ([record.last] if record.last else [])


def _compared(original: RunRecord, old: Sequence[Row], new: Sequence[Row]) -> tuple[list[MetricDifference], bool]:
    """Print how far the histories differ. Returns the differences, and whether the new one has all expected epochs."""
    gaps, missing = history_diff.differences(old, new), list(history_diff.missing(old, new))
    for line in (*map(str, gaps), *missing):
        _print_line("history", line)
    return gaps, not missing if original.status in ENDED else len(new) >= len(old)


def _verdict(gaps: Sequence[MetricDifference], is_whole: bool, causes: Sequence[str], tolerance: float | None) -> int:
    """Print whether the run is reproduced, and return the exit code. causes: changes that can affect the numbers."""
    limit = tolerance if tolerance is not None else math.inf if causes else 0.0
    agrees = is_whole and all(gap.relative <= limit for gap in gaps)
    if agrees and all(gap.absolute == 0 for gap in gaps):
        text = "reproduced, identical to the last digit" if gaps else "there is nothing to compare"
    elif limit == math.inf:
        text = f"trained again; the histories may differ because these have changed: {', '.join(causes)}"
    elif agrees:
        text = f"reproduced within the tolerance of {limit:g}"
    else:
        text = (
            f"not reproduced within the tolerance of {limit:g}"
            if limit
            else "not reproduced, and no change explains it"
        )
    _print_line("result", text)
    return 0 if agrees or limit == math.inf else 1


def _print_line(what: str, text: str) -> None:
    print(f"{what:<10}{clean_lines(text)}", flush=True)
