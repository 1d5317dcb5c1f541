"""The command line ``fashion-sweep-reproduce``: trains a run again and says how far its history differs."""

from __future__ import annotations

import argparse
import math
import os
import sys
from collections.abc import Sequence
from itertools import count
from pathlib import Path

from rich.console import Console

from fashion_sweep.analysis import history_diff
from fashion_sweep.analysis.history_diff import MetricDifference, Row
from fashion_sweep.cli import progress
from fashion_sweep.cli.logs import log_to
from fashion_sweep.config import recorded
from fashion_sweep.config.recorded import RecordedConfig
from fashion_sweep.errors import FolderError, UserError
from fashion_sweep.planning import changes
from fashion_sweep.planning.changes import Change
from fashion_sweep.planning.run_spec import identity_of
from fashion_sweep.storage.atomic import write_text
from fashion_sweep.storage.provenance import THREADS
from fashion_sweep.storage.record import RunRecord, Status
from fashion_sweep.storage.run_dir import RunDir
from fashion_sweep.storage.sweep_dir import SweepDir

REPRODUCTIONS = Path("outputs/reproductions")
ENDED = (Status.COMPLETED, Status.DIVERGED)
"""States of a run that has all the epochs that it was to have."""

DESCRIPTION = """\
Train a run again from its folder into a new one, and say how far the new history differs from the old.

Said first is what is no longer as it was: package versions, source code, config, dataset, device. Where nothing has
changed, the histories have to be identical to the last digit; where something has, nothing can be promised, and the
differences are only told, unless --tolerance says how large they may be. The run is trained in this process, with as
many threads as it had. Values like ${oc.env:TOKEN} are read from the environment of now."""

EPILOG = """\
examples:
  reproduce.py outputs/runs/RUN
  reproduce.py outputs/sweeps/SWEEP/RUN --output again
  reproduce.py outputs/sweeps/SWEEP/RUN --tolerance 1e-3     from another machine: losses equal to three digits

exit codes: 0 trained again, and the histories agree, or may differ; 1 the run failed, or the histories differ further;
2 there is no such run, or it cannot be trained here; 130 interrupted"""


def main(argv: list[str] | None = None) -> None:
    """Run the command line; ends in SystemExit where the code is not 0."""
    arguments = _parser().parse_args(argv)
    sys.path.append(str(Path.cwd()))  # where ``python -m fashion_sweep`` finds a user's own modules
    try:
        code = reproduce(arguments.run, arguments.output, arguments.tolerance)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(error.exit_code) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    if code:
        raise SystemExit(code)


def _parser() -> argparse.ArgumentParser:
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=DESCRIPTION, epilog=EPILOG, formatter_class=layout)
    parser.add_argument("run", metavar="RUN_DIR", type=Path, help="folder of a run")
    where = f"new folder for the run (default: {REPRODUCTIONS}/<name of the run>)"
    parser.add_argument("--output", metavar="DIR", type=Path, help=where)
    largest = "largest relative difference of any number in the histories that still counts as agreement"
    parser.add_argument("--tolerance", metavar="SHARE", type=_share, help=largest)
    return parser


def _share(text: str) -> float:
    value = float(text)
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"{text}: expected a number of at least 0")
    return value


def reproduce(path: Path, output: Path | None, tolerance: float | None) -> int:
    """Train the run in a folder again, print what there is to say, and return the exit code.

    Raises UserError where it cannot be trained.
    """
    run, then = _opened(path)
    kept = recorded.read(run, then)
    if "threads" in then.device:
        os.environ[THREADS] = str(then.device["threads"])  # read when TensorFlow is imported
    before = changes.before(run, then, kept.values)
    new = RunDir(_new_folder(output, then.run))
    _say("run", f"{run.path} ({then.status.value})")
    _say("new run", str(new.path))
    if kept.warning:
        _say("warning", kept.warning)
    else:
        write_text(new.composed, run.composed.read_text("utf-8"))  # the new run can be reproduced, too
    _tell(before)
    now = _trained(new, then, kept)
    _tell(after := changes.after(then, now))
    gaps, is_whole = _compared(then, _rows(run, then), _rows(new, now))
    if now.status is Status.FAILED:
        _say("result", f"the run failed: {now.reason}")
        return 1
    excuses = list(dict.fromkeys(change.what for change in (*before, *after) if change.matters))
    return _judged(gaps, is_whole, excuses, tolerance)


def _opened(path: Path) -> tuple[RunDir, RunRecord]:
    """The run in a folder and its record. Raises FolderError where there is none."""
    run = RunDir(path)
    record = run.read_record()
    if record is not None:
        return run, record
    if SweepDir(path).plan.exists():
        names = [each.path.name for each in SweepDir(path).run_dirs()]
        raise FolderError(f"{path}: this is a sweep's folder; give one of its runs, such as {path / names[0]}")
    what = "no run.json in it; expected the folder of a run" if path.is_dir() else "no such folder"
    raise FolderError(f"{path}: {what}")


def _new_folder(output: Path | None, name: str) -> Path:
    """Make the folder of the new run. Raises FolderError for one that holds something."""
    if output is not None and output.exists() and not (output.is_dir() and not any(output.iterdir())):
        raise FolderError(f"{output}: holds something already; give a new folder as --output")
    candidates = (REPRODUCTIONS / (name if number == 1 else f"{name}_{number}") for number in count(1))
    folder = output or next(folder for folder in candidates if not folder.exists())
    try:
        folder.mkdir(parents=True, exist_ok=output is not None)
    except OSError as error:
        raise FolderError(f"{folder}: cannot be made ({error.strerror}); give another --output") from error
    return folder


def _trained(new: RunDir, then: RunRecord, kept: RecordedConfig) -> RunRecord:
    """The record of the run, trained into a folder."""
    from fashion_sweep.training.train import RunSpec, train

    own, code = identity_of(kept.values), changes.code_of([kept.values])
    spec = RunSpec(new.path, kept.values, then.choices, then.overrides, own, code=code, hidden=kept.hidden)
    with log_to(new.log), progress.shown({new: int(kept.values.get("epochs", 1))}, Console()):
        [record] = train([spec])
    return record


def _tell(changes: Sequence[Change]) -> None:
    for change in changes:
        _say(change.what, change.text)


def _rows(run: RunDir, record: RunRecord) -> Sequence[Row]:
    """The epochs of a run; of one that has none, what it came to."""
    rows, fault = run.salvage_history()
    if fault:
        _say("warning", f"{run.history}: {fault}; compared is what stands before it")
    return rows or ([record.last] if record.last else [])


def _compared(then: RunRecord, old: Sequence[Row], new: Sequence[Row]) -> tuple[list[MetricDifference], bool]:
    """Say how far the histories differ. Returns the gaps, and whether the new one has all epochs that it should."""
    gaps, lacking = history_diff.differences(old, new), list(history_diff.missing(old, new))
    for line in (*map(str, gaps), *lacking):
        _say("history", line)
    return gaps, not lacking if then.status in ENDED else len(new) >= len(old)


def _judged(gaps: Sequence[MetricDifference], is_whole: bool, excuses: Sequence[str], tolerance: float | None) -> int:
    """Say whether the run is reproduced, and give the exit code. excuses: what has changed that numbers depend on."""
    limit = tolerance if tolerance is not None else math.inf if excuses else 0.0
    agrees = is_whole and all(gap.relative <= limit for gap in gaps)
    if agrees and all(gap.absolute == 0 for gap in gaps):
        text = "reproduced, identical to the last digit" if gaps else "there is nothing to compare"
    elif limit == math.inf:
        text = f"trained again; the histories may differ, as this is not as it was: {', '.join(excuses)}"
    elif agrees:
        text = f"reproduced within the tolerance of {limit:g}"
    else:
        text = (
            f"not reproduced within the tolerance of {limit:g}" if limit else "not reproduced, and nothing explains it"
        )
    _say("result", text)
    return 0 if agrees or limit == math.inf else 1


def _say(what: str, text: str) -> None:
    print(f"{what:<10}{text}", flush=True)
