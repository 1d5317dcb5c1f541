"""Read run folders into frames.

A sweep may still be running, runs may have failed and files may be damaged: whatever can be read is kept,
and whatever cannot becomes a warning that names the file.
"""

from __future__ import annotations

import math
import shlex
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from fashion_sweep.analysis.settings import FACTORS, Settings, clean, swept_keys
from fashion_sweep.errors import FolderError
from fashion_sweep.run_dir import METRICS, RunDir, RunRecord, SweepDir

if TYPE_CHECKING:
    import pandas as pd

MEASURES = ("best_epoch", "best_val_loss", "best_val_accuracy", *(f"last_{metric}" for metric in METRICS))
"""Columns that are measured over a run's epochs."""

HISTORY_FRAME = ("run", "epoch", *METRICS)
"""Columns of the frame of histories."""

_NUMBERS = {"parameters": "Int64", "epochs_run": "Int64", "best_epoch": "Int64", "epoch": "int64"} | dict.fromkeys(
    [*(name for name in MEASURES if name != "best_epoch"), "seconds", *METRICS], "float64"
)


@dataclass(frozen=True)
class Collected:
    """What the given folders hold.

    runs: one row a run in plan order: run, status, reason, FACTORS, swept keys, parameters, epochs_run, MEASURES
        as the records have them, seconds.
    histories: one row an epoch with the columns of HISTORY_FRAME; metrics as they came, finite or not.
    """

    runs: pd.DataFrame
    histories: pd.DataFrame
    swept: list[str]  # overrides that differ between runs, without those behind FACTORS
    commands: list[str]
    records: list[RunRecord]
    samples: Path | None
    warnings: list[str]


@dataclass(frozen=True)
class _Run:
    """What one run's folder, or the plan it stands in, tells."""

    path: Path
    overrides: list[str]
    record: RunRecord | None  # None: planned and not begun, or unreadable
    history: list[dict[str, float]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    is_lost: bool = False  # its record cannot be read

    @property
    def settings(self) -> Settings:
        if self.record is None:
            return Settings(self.overrides)
        return Settings(self.overrides, self.record.choices, self.record.config)


@dataclass(frozen=True)
class _Folder:
    """What one given folder holds."""

    command: str
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
    names = distinct_names([run.path for run in runs])
    swept = swept_keys(run.settings for run in runs)
    return Collected(
        runs=_runs_frame(runs, names, swept),
        histories=_histories_frame(runs, names),
        swept=swept,
        commands=list(dict.fromkeys(read.command for read in reads if read.command)),
        records=[run.record for run in runs if run.record],
        samples=next((path for folder in folders for path in _samples(folder)), None),
        warnings=[text for read in reads for text in read.warnings]
        + [text for run in found.values() for text in run.warnings],
    )


def distinct_names(paths: Sequence[Path]) -> list[str]:
    """The folders' names, led by as many parent folders as it takes to tell those that clash apart."""
    names = [path.name for path in paths]
    depth = 1
    while clashing := {name for name, count in Counter(names).items() if count > 1}:
        depth += 1
        names = [
            "/".join(path.parts[-depth:]) if name in clashing else name for name, path in zip(names, paths, strict=True)
        ]
    return names


def _is_run(folder: Path) -> bool:
    return RunDir(folder).record.exists()


def _is_sweep(folder: Path) -> bool:
    return SweepDir(folder).plan.exists() or bool(_unplanned(folder))


def _unplanned(folder: Path) -> list[RunDir]:
    return [RunDir(path) for path in sorted(folder.iterdir()) if path.is_dir() and _is_run(path)]


def _samples(folder: Path) -> list[Path]:
    """The sample images of a sweep, or of the sweep that a run stands in, where there are any."""
    beside = [SweepDir(folder).samples, SweepDir(folder.resolve().parent).samples]
    return [path for path in (beside if _is_run(folder) else beside[:1]) if path.exists()]


def _read_folder(folder: Path) -> _Folder:
    if _is_run(folder):
        run = _read_run(RunDir(folder), [])
        return _Folder(shlex.join(["python", "-m", "fashion_sweep", *run.overrides]), [run], [])
    sweep = SweepDir(folder)
    try:
        command, planned = sweep.read_plan()
    except FolderError as error:
        return _Folder("", [_read_run(run, []) for run in _unplanned(folder)], [str(error)])
    overrides = {run.run: run.overrides for run in planned}
    return _Folder(clean(command), [_read_run(run, overrides.get(run.path.name, [])) for run in sweep.run_dirs()], [])


def _read_run(folder: RunDir, overrides: list[str]) -> _Run:
    try:
        record = folder.read_record()
    except FolderError as error:
        return _Run(folder.path, overrides, None, warnings=[f"{error}; run left out"], is_lost=True)
    given = record.overrides if record else overrides
    try:
        return _Run(folder.path, given, record, _read_history(folder))
    except FolderError as error:
        return _Run(folder.path, given, record, warnings=[f"{error}; run shown without its curves"])


def _read_history(folder: RunDir) -> list[dict[str, float]]:
    """The run's epochs. Raises FolderError where a column is missing or an epoch is no count."""
    rows = folder.read_history()
    if missing := [name for name in ("epoch", *METRICS) if rows and name not in rows[0]]:
        raise FolderError(f"{folder.history}: cannot be read as a history (no column {', '.join(missing)})")
    if odd := [row["epoch"] for row in rows if _whole(row["epoch"]) is None]:
        raise FolderError(f"{folder.history}: cannot be read as a history (epoch {odd[0]} is no count)")
    return rows


def _runs_frame(runs: Sequence[_Run], names: Sequence[str], swept: Sequence[str]) -> pd.DataFrame:
    columns = ["run", "status", "reason", *FACTORS, *swept, "parameters", "epochs_run", *MEASURES, "seconds"]
    rows = [{"run": clean(name)} | _row(run, swept) for name, run in zip(names, runs, strict=True)]
    return _frame(rows, columns)


def _histories_frame(runs: Sequence[_Run], names: Sequence[str]) -> pd.DataFrame:
    rows = [{"run": clean(name)} | row for name, run in zip(names, runs, strict=True) for row in run.history]
    return _frame(rows, HISTORY_FRAME)


def _frame(rows: Sequence[object], columns: Sequence[str]) -> pd.DataFrame:
    """A frame whose numbers have types of their own and whose other cells stay what they are, None for empty."""
    import pandas as pd  # takes a second, and who asks for a folder that is none need not wait for it

    frame = pd.DataFrame(rows, columns=list(columns), dtype=object)
    return frame.astype({name: kind for name, kind in _NUMBERS.items() if name in columns})


def _row(run: _Run, swept: Sequence[str]) -> dict[str, object]:
    settings, record = run.settings, run.record or RunRecord("", "")
    return {
        "status": record.status.value,
        "reason": clean(record.reason) if record.reason else None,
        **{column: settings.value(key) for column, key in FACTORS.items()},
        "seed": settings.value("seed") if run.record is None else run.record.seed,
        **{key: settings.value(key) for key in swept},
        "parameters": _whole(record.parameters),
        "epochs_run": len(run.history) or _whole(record.epochs_run),
        **_recorded(record),
        "seconds": _seconds(run),
    }


def _recorded(record: RunRecord) -> dict[str, float | None]:
    """MEASURES as the record has them."""
    best, last = record.best or {}, record.last or {}
    epoch, loss, accuracy = (best.get(name) for name in ("epoch", "val_loss", "val_accuracy"))
    return dict(zip(MEASURES, [_whole(epoch), loss, accuracy, *(last.get(metric) for metric in METRICS)], strict=True))


def _whole(count: float | None) -> int | None:
    """A count that frames can hold; None for anything else that a damaged file may have in its place."""
    return int(count) if count is not None and 0 <= count < 2**53 and count == int(count) else None


def _seconds(run: _Run) -> float | None:
    """The run's time in seconds, or that of its epochs so far while it runs."""
    if run.record and run.record.seconds is not None:
        return run.record.seconds
    spent = [row.get("seconds", math.nan) for row in run.history]
    return sum(spent) if spent else None
