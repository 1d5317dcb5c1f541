"""The command line ``fashion-sweep cluster``: how a sweep is that a Slurm cluster trains, from any later shell."""

from __future__ import annotations

import argparse
import shlex
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from omegaconf import OmegaConf
from rich.console import Console

from fashion_sweep.cli import progress
from fashion_sweep.cli.conclude import report_on
from fashion_sweep.cli.encoding import check_names
from fashion_sweep.cli.logs import errors_said
from fashion_sweep.errors import FolderError, UserError
from fashion_sweep.planning.hydra_errors import argument
from fashion_sweep.storage.record import Status
from fashion_sweep.storage.run_dir import RunDir
from fashion_sweep.storage.sweep_dir import SweepDir
from packed_jobs.slurm import cluster, status, stop
from packed_jobs.slurm.status import SubmissionStatus

POLL_S = 2.0, 30.0
"""The least and the most seconds between two questions to Slurm."""
DESCRIPTION = """\
See to a sweep that was submitted with hydra/launcher=packed_slurm. Nothing is trained here.

  status   say what is queued, running and done
  follow   show the runs as they end, then write the report; Ctrl-C ends the command alone
  cancel   have running tasks save their states, then cancel all
  collect  write the report of what there is"""
EPILOG = """\
exit codes: 0 every run completed, or was cancelled as asked; 1 some run did not complete, or not yet;
2 DIR is no sweep, or Slurm cannot be asked"""


def main(argv: list[str] | None = None) -> None:
    """Run the command line; raises SystemExit."""
    arguments = _parser().parse_args(argv)
    with errors_said():
        check_names(argv)
        sweep, console = SweepDir(arguments.folder), Console() if sys.stdout.isatty() else Console(width=200)
        if not sweep.plan.exists():
            raise FolderError(f"{sweep.path}: expected the folder of a sweep (sweep.json)")
        act: Callable[[SweepDir, Console], int] = COMMANDS[arguments.command]
        try:
            raise SystemExit(act(sweep, console))
        except cluster.SlurmError as error:
            raise UserError(f"Slurm: {error}") from error


def _parser() -> argparse.ArgumentParser:
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog="fashion-sweep cluster", description=DESCRIPTION, epilog=EPILOG, formatter_class=layout
    )
    parser.add_argument("command", choices=COMMANDS)
    parser.add_argument("folder", metavar="DIR", type=Path, help="folder of a sweep")
    return parser


def _status(sweep: SweepDir, console: Console) -> int:
    for each in status.look(sweep.path):
        tasks = ", ".join(f"{count} {state}" for state, count in sorted(each.counts().items()))
        jobs = ", ".join(each.arrays) or "none heard of"
        _say(console, f"Slurm job {jobs}, submitted {each.manifest.created}. Tasks: {tasks}")
    counts = Counter(state.value for state in _states(sweep).values())
    runs = ", ".join(f"{count} {state}" for state, count in sorted(counts.items()))
    _say(console, f"{sweep.path}: {runs}")
    return _code(counts)


def _follow(sweep: SweepDir, console: Console) -> int:
    """Wait until no task is live. Raises SlurmError where Slurm has not answered at first."""
    found, wait_s = status.look(sweep.path), POLL_S[0]
    with progress.shown(_epochs(sweep), console, _ended(sweep)):
        while _is_live(found):
            time.sleep(wait_s)
            wait_s = min(POLL_S[1], 1.1 * wait_s)
            with suppress(cluster.NoAnswerError):
                found = status.look(sweep.path)
    return _collect(sweep, console)


def _cancel(sweep: SweepDir, console: Console) -> int:
    found = [each for each in status.look(sweep.path) if each.is_live]
    arrays = [array for each in found for array in each.arrays]
    stop.stop(arrays, lambda: _is_running(status.look(sweep.path)))
    _say(console, f"Cancelled: Slurm job {', '.join(arrays) or 'none'}")
    _say(console, f"Resume: {shlex.join(['python', '-m', 'fashion_sweep', f'resume={argument(str(sweep.path))}'])}")
    return 0


def _collect(sweep: SweepDir, console: Console) -> int:
    with suppress(cluster.SlurmError):
        for each in status.look(sweep.path):
            if each.has_ended:
                each.submission.close()
    return report_on(sweep.path, console)


COMMANDS = {"status": _status, "follow": _follow, "cancel": _cancel, "collect": _collect}


def _is_live(found: list[SubmissionStatus]) -> bool:
    return any(each.is_live for each in found)


def _is_running(found: list[SubmissionStatus]) -> bool:
    return any(task.is_live and task.state.has_begun for each in found for task in each.tasks if task.state)


def _ended(sweep: SweepDir) -> list[RunDir]:
    return [run for run, state in _states(sweep).items() if state.is_final]


def _states(sweep: SweepDir) -> dict[RunDir, Status]:
    """The status of each run, by its record."""
    found = {}
    for run in sweep.run_dirs():
        found[run] = Status.PENDING
        with suppress(FolderError):
            record = run.read_record()
            found[run] = record.status if record is not None else Status.PENDING
    return found


def _code(counts: Counter[str]) -> int:
    return 0 if counts.total() == counts[Status.COMPLETED.value] else 1


def _epochs(sweep: SweepDir) -> dict[RunDir, int]:
    """How many epochs each run will have at most, by the sweep's config and the overrides of each run."""
    default = 1
    with suppress(OSError, ValueError, AttributeError):
        default = int(OmegaConf.load(sweep.path / "multirun.yaml").epochs)
    found = {}
    for run in sweep.read_plan()[1]:
        given = [line.partition("=")[2] for line in run.overrides if line.partition("=")[0].lstrip("+") == "epochs"]
        found[RunDir(sweep.path / run.run)] = int(given[-1]) if given and given[-1].isdecimal() else default
    return found


def _say(console: Console, text: str) -> None:
    console.print(text, markup=False, highlight=False, soft_wrap=True)
