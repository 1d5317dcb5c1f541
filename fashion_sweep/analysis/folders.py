"""What the folders of sweeps and runs hold, as far as it can be read; the rest becomes warnings."""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass, field, replace
from pathlib import Path

from fashion_sweep.analysis.settings import Settings
from fashion_sweep.errors import FolderError, UnreadableError
from fashion_sweep.storage import looks
from fashion_sweep.storage.lease import living_owner, owner_of_run
from fashion_sweep.storage.looks import Look
from fashion_sweep.storage.plain_text import clean
from fashion_sweep.storage.record import PROCESS_DIED, RunRecord, Status
from fashion_sweep.storage.run_dir import RunDir
from fashion_sweep.storage.sweep_dir import PlannedRun, SweepDir


@dataclass(frozen=True)
class FoundRun:
    """What is known about a run from its folder or from the sweep's plan."""

    path: Path
    overrides: list[str]
    record: RunRecord | None  # None: not started yet, or unreadable
    history: list[dict[str, float]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    is_lost: bool = False  # its record cannot be read
    is_partial: bool = False  # its history is incomplete, or has more epochs than the record

    @property
    def settings(self) -> Settings:
        """Where tables look values up; ``dataset`` and ``code`` are the first digits of what it was trained with."""
        if self.record is None:
            return Settings(self.overrides)
        origins = {"dataset": self.record.data.get("fingerprint"), "code": self.record.code}
        digits = {name: str(digest)[:8] for name, digest in origins.items() if digest}
        return Settings(self.overrides, {**digits, **self.record.choices}, self.record.config)


@dataclass(frozen=True)
class Folder:
    """What one given folder holds."""

    commands: list[str]
    runs: list[FoundRun]
    warnings: list[str]
    looks: list[Look] = field(default_factory=list)  # at the test images


def check_folder(folder: Path) -> None:
    """Raise FolderError unless ``folder`` is a sweep's or a run's."""
    if not folder.is_dir():
        raise FolderError(f"{folder}: no such folder. Give the folder of a sweep or of one run.")
    if _is_run(folder) or _is_sweep(folder):
        return
    sweeps = sorted(path for path in folder.iterdir() if path.is_dir() and _is_sweep(path))
    raise FolderError(
        f"{folder}: expected a sweep (sweep.json, or folders with a run.json) or a run (run.json), found neither.\n"
        + (f"It holds sweeps: give one of them, such as {sweeps[-1]}" if sweeps else "Give the folder of a sweep.")
    )


def _is_run(folder: Path) -> bool:
    return RunDir(folder).record.exists()


def _is_sweep(folder: Path) -> bool:
    return SweepDir(folder).plan.exists() or bool(_started(folder))


def _started(folder: Path) -> list[RunDir]:
    """The folders of runs by name, planned or not; folders without read permission are skipped."""
    return [run for run in map(RunDir, sorted(folder.iterdir())) if _has_started(run)]


def _has_started(run: RunDir) -> bool:
    try:
        return run.record.exists() or run.history.exists()
    except PermissionError:
        return False


def samples_of(folder: Path) -> list[Path]:
    """The sample images of a sweep, or of the sweep that a run belongs to, if there are any."""
    beside = [SweepDir(folder).samples, SweepDir(folder.resolve().parent).samples]
    return [path for path in (beside if _is_run(folder) else beside[:1]) if path.exists()]


class Reader:
    """Reads folders again and again; of runs that have not changed since, it gives the same objects."""

    def __init__(self) -> None:
        self._known: dict[Path, tuple[object, FoundRun]] = {}

    def read_run(self, folder: RunDir, overrides: list[str], is_owned: bool) -> FoundRun:
        """See ``_read_run``."""
        files = [_stamp(folder.record), _stamp(folder.history)]
        stamp = (overrides, is_owned, folder.path.is_dir(), files)
        before, known = self._known.get(folder.path, (None, None))
        if known is None or before != stamp:
            known = _read_run(folder, overrides, is_owned)
            self._known[folder.path] = (stamp, known)
        return known


def _stamp(path: Path) -> tuple[int, int, int] | None:
    """Of a file that is replaced as a whole whenever it changes."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def read_folder(folder: Path, reader: Reader | None = None) -> Folder:
    """Read the folder of a sweep or of a run; never raises for what is in it. reader: knows what it has read before."""
    read_run = reader.read_run if reader else _read_run
    if _is_run(folder):
        is_owned = owner_of_run(folder) is not None
        run = read_run(RunDir(folder), [], is_owned)
        return Folder([clean(shlex.join(["python", "-m", "fashion_sweep", *run.overrides]))], [run], [])
    commands, planned, warnings = _read_plan(SweepDir(folder))
    seen, faults = _read_looks(SweepDir(folder))
    names = [*planned, *sorted({run.path.name for run in _started(folder)} - planned.keys())]
    is_owned = _is_owned(folder)
    runs = [
        read_run(RunDir(folder / name), planned.get(name, []), is_owned or _is_owned(folder / name)) for name in names
    ]
    return Folder(commands, runs, [*warnings, *faults], seen)


def _read_looks(sweep: SweepDir) -> tuple[list[Look], list[str]]:
    """The looks at the test images, and what is wrong with their file."""
    try:
        return looks.read(sweep), []
    except UnreadableError as error:
        return [], [f"{str(error).splitlines()[0]} left out"]


def _read_plan(sweep: SweepDir) -> tuple[list[str], dict[str, list[str]], list[str]]:
    """The commands, run -> its overrides, and warnings about what cannot be read."""
    try:
        commands, entries = sweep.read_entries()
        runs = {entry.run: entry.overrides for entry in entries if isinstance(entry, PlannedRun)}
        faults = [f"{sweep.plan}: {entry}" for entry in entries if isinstance(entry, str)]
        return [clean(command) for command in commands], runs, faults
    except FolderError as error:
        return [], {}, [f"{error}; runs are listed by name"]


def _is_owned(folder: Path) -> bool:
    return living_owner(folder) is not None


def _read_run(folder: RunDir, overrides: list[str], is_owned: bool) -> FoundRun:
    """Read a run's folder. is_owned: whether a live process owns it or its sweep."""
    if os.path.lexists(folder.path) and not folder.path.is_dir():
        return FoundRun(folder.path, overrides, _without_folder(folder, overrides))
    try:
        record = folder.read_record()
    except FolderError as error:
        return FoundRun(folder.path, overrides, None, warnings=[f"{error}; run left out"], is_lost=True)
    if record is None:
        return _read_unrecorded(folder, overrides)
    if record.status is Status.RUNNING and not is_owned:
        record = replace(record, status=Status.INTERRUPTED, reason=PROCESS_DIED)
    history, fault = _read_history(folder, record)
    warnings = [f"{folder.history}: {fault}"] if fault else []
    return FoundRun(folder.path, record.overrides, record, history, warnings, is_partial=bool(fault))


def _without_folder(folder: RunDir, overrides: list[str]) -> RunRecord:
    """The record of a run whose folder cannot be made, because something else has its name."""
    reason = "its folder is a file" if folder.path.is_file() else "its folder is no folder"
    seed = Settings(overrides).value("seed")
    given = seed if isinstance(seed, int) else None
    return RunRecord(folder.path.name, "", Status.FAILED, reason, seed=given, overrides=overrides)


def _read_unrecorded(folder: RunDir, overrides: list[str]) -> FoundRun:
    """A run without a record: it has not started, or its record is lost."""
    if not folder.history.exists():
        return FoundRun(folder.path, overrides, None)
    lost = f"{folder.record}: missing, though the run has a history; run left out"
    return FoundRun(folder.path, overrides, None, warnings=[lost], is_lost=True)


def _read_history(folder: RunDir, record: RunRecord) -> tuple[list[dict[str, float]], str]:
    """The epochs that can be read, and what is wrong with the file: empty if nothing is."""
    rows, fault = folder.salvage_history()
    if fault:
        return rows, f"{fault}; run shown {f'up to epoch {len(rows)}' if rows else 'without its curves'}"
    if record.status is Status.COMPLETED and len(rows) != record.epochs_run:
        shown = rows[: record.epochs_run]
        mismatch = f"has {len(rows)} epochs, but the run's record says {record.epochs_run}"
        return shown, f"{mismatch}; run shown {f'up to epoch {len(shown)}' if shown else 'without its curves'}"
    return rows, ""
