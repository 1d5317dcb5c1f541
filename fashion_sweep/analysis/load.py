"""Read run folders into frames.

A sweep may still be running, runs may have failed and files may be damaged: everything that can be read is returned,
and everything that cannot becomes a warning that names the file.
"""

from __future__ import annotations

import math
import shlex
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from fashion_sweep.analysis.escaping import clean
from fashion_sweep.analysis.settings import FACTORS, Settings, swept_keys
from fashion_sweep.errors import FolderError
from fashion_sweep.storage.lease import living_owner, owner_of_run
from fashion_sweep.storage.record import METRICS, PROCESS_DIED, RunRecord, Status
from fashion_sweep.storage.run_dir import RunDir
from fashion_sweep.storage.sweep_dir import SweepDir

if TYPE_CHECKING:
    import pandas as pd

MEASURES = ("best_epoch", "best_val_loss", "best_val_accuracy", *(f"last_{metric}" for metric in METRICS))
"""Columns that are measured over a run's epochs."""

STATUS_COLUMNS = ("run", "status", "reason", "is_partial")
"""Columns that identify a run and give its status."""

HISTORY_FRAME = ("run", "epoch", *METRICS)
"""Columns of the frame of histories."""

_NUMBERS = {
    "parameters": "Int64",
    "epochs_run": "Int64",
    "best_epoch": "Int64",
    "epoch": "int64",
    "is_partial": "bool",
} | dict.fromkeys([*(name for name in MEASURES if name != "best_epoch"), "seconds", *METRICS], "float64")


@dataclass(frozen=True)
class Collected:
    """What the given folders hold.

    runs: one row per run in plan order: run, status, reason, is_partial (its history is damaged, or does not match its
        record), FACTORS, swept keys, parameters, epochs_run, MEASURES as recorded, seconds.
    histories: one row per epoch with the columns of HISTORY_FRAME; metrics as written, finite or not.
    """

    runs: pd.DataFrame
    histories: pd.DataFrame
    swept: list[str]  # overridden keys that differ between runs, except those shown as FACTORS
    commands: list[str]
    records: list[RunRecord]
    samples: Path | None
    warnings: list[str]


@dataclass(frozen=True)
class _Run:
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
        if self.record is None:
            return Settings(self.overrides)
        return Settings(self.overrides, self.record.choices, self.record.config)


@dataclass(frozen=True)
class _Folder:
    """What one given folder holds."""

    commands: list[str]
    runs: list[_Run]
    warnings: list[str]


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


def collect(folders: Sequence[Path]) -> Collected:
    """Read all runs of the given sweeps and runs. Raises FolderError for a folder that is neither."""
    for folder in folders:
        check_folder(folder)
    reads = [_read_folder(folder) for folder in dict.fromkeys(folder.resolve() for folder in folders)]
    found = {run.path: run for read in reads for run in read.runs}
    runs = [run for run in found.values() if not run.is_lost]
    warnings = [text for read in reads for text in read.warnings]
    names = run_names([run.path for run in runs])
    swept = [
        key for key in swept_keys(run.settings for run in runs) if key not in (*STATUS_COLUMNS, *FACTORS, *_NUMBERS)
    ]
    return Collected(
        runs=_runs_frame(runs, names, swept),
        histories=_histories_frame(runs, names),
        swept=swept,
        commands=list(dict.fromkeys(command for read in reads for command in read.commands if command)),
        records=[run.record for run in runs if run.record],
        samples=next((path for folder in folders for path in _samples(folder)), None),
        warnings=[clean(text) for text in [*warnings, *(text for run in found.values() for text in run.warnings)]],
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


def _samples(folder: Path) -> list[Path]:
    """The sample images of a sweep, or of the sweep that a run belongs to, if there are any."""
    beside = [SweepDir(folder).samples, SweepDir(folder.resolve().parent).samples]
    return [path for path in (beside if _is_run(folder) else beside[:1]) if path.exists()]


def _read_folder(folder: Path) -> _Folder:
    if _is_run(folder):
        is_owned = owner_of_run(folder) is not None
        run = _read_run(RunDir(folder), [], is_owned)
        return _Folder([clean(shlex.join(["python", "-m", "fashion_sweep", *run.overrides]))], [run], [])
    commands, planned, warnings = _read_plan(SweepDir(folder))
    names = [*planned, *sorted({run.path.name for run in _started(folder)} - planned.keys())]
    is_owned = _is_owned(folder)
    runs = [
        _read_run(RunDir(folder / name), planned.get(name, []), is_owned or _is_owned(folder / name)) for name in names
    ]
    return _Folder(commands, runs, warnings)


def _read_plan(sweep: SweepDir) -> tuple[list[str], dict[str, list[str]], list[str]]:
    """The commands, run -> its overrides, and warnings about what cannot be read."""
    try:
        commands, runs = sweep.read_plan()
        planned = {run.run: [str(override) for override in run.overrides] for run in runs if _is_name(run.run)}
        invalid = [f"{sweep.plan}: {run.run!r:.60} is not a valid folder name; run left out" for run in runs]
        return (
            [clean(command) for command in commands],
            planned,
            [text for text, run in zip(invalid, runs, strict=True) if run.run not in planned],
        )
    except (FolderError, TypeError) as error:
        return [], {}, [f"{error}; runs are listed by name"]


def _is_name(name: object) -> bool:
    """Whether a run's name in a plan is a plain folder name that cannot lead out of the sweep's folder."""
    return isinstance(name, str) and name not in ("", ".", "..") and not set("/\\\0") & set(name)


def _is_owned(folder: Path) -> bool:
    return living_owner(folder) is not None


def _read_run(folder: RunDir, overrides: list[str], is_owned: bool) -> _Run:
    """Read a run's folder. is_owned: whether a live process owns it or its sweep."""
    try:
        record = folder.read_record()
    except FolderError as error:
        return _Run(folder.path, overrides, None, warnings=[f"{error}; run left out"], is_lost=True)
    if record is None:
        return _read_unrecorded(folder, overrides)
    if record.status is Status.RUNNING and not is_owned:
        record = replace(record, status=Status.INTERRUPTED, reason=PROCESS_DIED)
    history, fault = _read_history(folder, record)
    warnings = [f"{folder.history}: {fault}"] if fault else []
    return _Run(folder.path, record.overrides, record, history, warnings, is_partial=bool(fault))


def _read_unrecorded(folder: RunDir, overrides: list[str]) -> _Run:
    """A run without a record: it has not started, or its record is lost."""
    if not folder.history.exists():
        return _Run(folder.path, overrides, None)
    lost = f"{folder.record}: missing, though the run has a history; run left out"
    return _Run(folder.path, overrides, None, warnings=[lost], is_lost=True)


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


def _runs_frame(runs: Sequence[_Run], names: Sequence[str], swept: Sequence[str]) -> pd.DataFrame:
    columns = [*STATUS_COLUMNS, *FACTORS, *swept, "parameters", "epochs_run", *MEASURES, "seconds"]
    rows = [{"run": name} | _row(run, swept) for name, run in zip(names, runs, strict=True)]
    return _frame(rows, columns)


def _histories_frame(runs: Sequence[_Run], names: Sequence[str]) -> pd.DataFrame:
    rows = [{"run": name} | row for name, run in zip(names, runs, strict=True) for row in run.history]
    return _frame(rows, HISTORY_FRAME)


def _frame(rows: Sequence[object], columns: Sequence[str]) -> pd.DataFrame:
    """A frame with typed columns of numbers; all other cells are kept as they are, None if empty."""
    import pandas as pd  # slow to import, and a wrong folder should be reported at once

    frame = pd.DataFrame(rows, columns=list(columns), dtype=object)
    return frame.astype({name: kind for name, kind in _NUMBERS.items() if name in columns})


def _row(run: _Run, swept: Sequence[str]) -> dict[str, object]:
    settings, record = run.settings, run.record or RunRecord("", "")
    return {
        "status": record.status.value,
        "reason": clean(record.reason) if record.reason else None,
        "is_partial": run.is_partial,
        **{column: settings.value(key) for column, key in FACTORS.items()},
        "seed": settings.value("seed") if run.record is None else run.record.seed,
        **{key: settings.value(key) for key in swept},
        "parameters": _whole(record.parameters),
        "epochs_run": _epochs_run(run, record),
        **_recorded(record),
        "seconds": _seconds(run),
    }


def _epochs_run(run: _Run, record: RunRecord) -> int | None:
    """Epochs so far; None if the run's trainer has no epochs."""
    if record.config and "epochs" not in record.config:
        return None
    return _whole(record.epochs_run) if _trusts_record(run) else len(run.history) or _whole(record.epochs_run)


def _trusts_record(run: _Run) -> bool:
    """Whether the run's record is more complete than its history."""
    return run.is_partial and run.record is not None and run.record.status.is_final and run.record.epochs_run > 0


def _recorded(record: RunRecord) -> dict[str, float | None]:
    """MEASURES as recorded."""
    best, last = record.best or {}, record.last or {}
    epoch, loss, accuracy = (best.get(name) for name in ("epoch", "val_loss", "val_accuracy"))
    return dict(zip(MEASURES, [_whole(epoch), loss, accuracy, *(last.get(metric) for metric in METRICS)], strict=True))


def _whole(count: float | None) -> int | None:
    """A count that a frame can hold; None for any other number in a damaged file."""
    return int(count) if count is not None and 0 <= count < 2**53 and count == int(count) else None


def _seconds(run: _Run) -> float | None:
    """The run's duration in seconds; while it is running, that of its epochs so far."""
    if run.record and run.record.seconds is not None:
        return run.record.seconds
    spent = [row.get("seconds", math.nan) for row in run.history]
    return sum(spent) if spent else None


def run_names(paths: Sequence[Path]) -> list[str]:
    """A unique name for each folder, safe in any terminal, file and font."""
    numbers: Counter[str] = Counter()  # cleaning may have made some names equal
    taken: dict[str, None] = {}
    for name in map(clean, distinct_names(paths)):
        unique = name
        while unique in taken:
            numbers[name] += 1
            unique = f"{name} ({numbers[name] + 1})"
        taken[unique] = None
    return list(taken)


def distinct_names(paths: Sequence[Path]) -> list[str]:
    """The folders' names, prefixed with as many parent folders as it takes to make clashing names unique."""
    names = [path.name for path in paths]
    depth = 1
    while clashing := {name for name, count in Counter(names).items() if count > 1}:
        depth += 1
        names = [
            "/".join(path.parts[-depth:]) if name in clashing else name for name, path in zip(names, paths, strict=True)
        ]
    return names
