"""What a command says once its runs have ended: the report, the folder, how to resume."""

from __future__ import annotations

import importlib
import shlex
import threading
from contextlib import suppress
from pathlib import Path

from rich.console import Console

from fashion_sweep.cli import signals
from fashion_sweep.cli.logs import keep_traceback, say_error
from fashion_sweep.errors import FolderError, UserError
from fashion_sweep.planning import hydra_errors, resume
from fashion_sweep.planning.plan import Plan
from fashion_sweep.storage import checked_devices
from fashion_sweep.storage.plain_text import clean_lines
from fashion_sweep.storage.record import Status
from fashion_sweep.storage.run_dir import RunDir
from fashion_sweep.storage.sweep_dir import SweepDir

_importing: list[threading.Thread] = []


def conclude(planned: Plan, console: Console, code: int, deadline: float | None) -> int:
    """Report what has become of the runs, and how to resume them.

    code: 0, or the exit code that the command has already; deadline: time.monotonic() at which it has to end. Returns
    the exit code: 0 where every run completed, 1 where not, that of a signal where one came.
    """
    try:
        resume.mark_lost(planned)
        code = max(
            code, report_on(planned.folder, console, deadline) if planned.is_sweep else _single(planned, console)
        )
    except KeyboardInterrupt as interruption:
        code = signals.exit_code(interruption)
        if planned.is_sweep:
            say_error(f"the report was interrupted; {_write_it_with(short(planned.folder))}")
    if code >= signals.INTERRUPTED:
        say_resume(planned, console)
    return code


def say_resume(planned: Plan, console: Console) -> None:
    """Print the line that resumes the runs, where there is something to resume."""
    if not (SweepDir(planned.folder).plan if planned.is_sweep else RunDir(planned.folder).record).exists():
        return
    given = f"resume={hydra_errors.argument(str(short(planned.folder)))}"
    line = shlex.join(["python", "-m", "fashion_sweep", given])
    console.print(f"Resume: {line}", markup=False, highlight=False, soft_wrap=True)


def _single(planned: Plan, console: Console) -> int:
    record = RunDir(planned.folder).read_record()
    console.print(f"Folder: {short(planned.folder)}", markup=False, highlight=False, soft_wrap=True)
    return 0 if record is not None and record.status is Status.COMPLETED else 1


def import_report() -> None:
    """Import in another thread what the report needs, which takes a second, while other processes train."""

    def work() -> None:
        with suppress(Exception):  # whatever it is, the report will meet it again and say so
            importlib.import_module("fashion_sweep.reporting.html")

    thread = threading.Thread(target=work, daemon=True)
    with suppress(RuntimeError):  # this process may have no further thread
        thread.start()
        _importing.append(thread)


def say_submitted(folder: Path, console: Console) -> int:
    """Say how to follow runs that a cluster will train. Returns the exit code, which is 0."""
    place = shlex.quote(str(short(folder)))
    for verb, what in (("status", "what is queued, running and done"), ("follow", "wait, and write the report")):
        line = f"fashion-sweep cluster {verb} {place}   # {what}"
        console.print(line, markup=False, highlight=False, soft_wrap=True)
    return 0


def report_on(folder: Path, console: Console, deadline: float | None = None) -> int:
    """Write and print the report of a sweep. Returns the exit code: 1 where a run did not complete."""
    try:
        with signals.by(deadline):
            for thread in _importing:  # two threads that import the same modules may each find them half made
                thread.join()
            from fashion_sweep.reporting import report

            written = report.write_report([folder])
    except signals.NoTimeError:
        say_error(f"there was no time for the report; {_write_it_with(folder)}")
        return 1
    except Exception as error:
        where = keep_traceback(SweepDir(folder).report_error)
        say_error(f"the report failed ({_described(error)}); what the runs have written is whole{where}")
        return 1
    report.print_table(written, console)
    _say_unchecked(SweepDir(folder), console)
    return 0 if (written.table["status"] == Status.COMPLETED.value).all() else 1


def _say_unchecked(sweep: SweepDir, console: Console) -> None:
    """Say on which devices the engine has never been compared with plain Keras."""
    stamps = set()
    for run in sweep.run_dirs():
        with suppress(FolderError):
            record = run.read_record()
            stamps.add(checked_devices.stamp(record.versions, record.device) if record is not None else None)
    for stamp in sorted(filter(None, stamps)):
        if not checked_devices.is_checked(stamp):
            text = f"Never compared with plain Keras here: {stamp}. fashion-sweep-check-engine does it in a minute."
            console.print(clean_lines(text), markup=False, highlight=False, soft_wrap=True)


def _write_it_with(folder: Path) -> str:
    return f"write it with: {shlex.join(['fashion-sweep-report', str(folder)])}"


def _described(error: Exception) -> str:
    return str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"


def short(path: Path) -> Path:
    """The path as seen from the current folder, where it lies in it."""
    absolute = path.absolute()
    return absolute.relative_to(Path.cwd()) if absolute.is_relative_to(Path.cwd()) else absolute
