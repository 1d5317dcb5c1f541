"""Read run folders into frames.

A sweep may still be running, runs may have failed and files may be damaged: everything that can be read is returned,
and everything that cannot becomes a warning that names the file.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from fashion_sweep.analysis.chance import guessed_accuracy
from fashion_sweep.analysis.columns import COMPARED, COST, measured
from fashion_sweep.analysis.distinctions import settings_of, telling_keys
from fashion_sweep.analysis.folders import FoundRun, Reader, check_folder, read_folder, samples_of
from fashion_sweep.analysis.measure import Measure, Place, objective_of
from fashion_sweep.analysis.names import run_names
from fashion_sweep.analysis.settings import FACTORS, swept_keys
from fashion_sweep.storage.looks import Look
from fashion_sweep.storage.plain_text import clean
from fashion_sweep.storage.record import METRICS, Objective, RunRecord
from fashion_sweep.storage.sweep_dir import SweepDir

if TYPE_CHECKING:
    import pandas as pd

AVERAGES = ("mean_val_loss", "mean_val_accuracy")
"""Columns of a table whose measure is an average over epochs."""

MEASURES = ("best_epoch", "best_val_loss", "best_val_accuracy", *(f"last_{metric}" for metric in METRICS))
"""Columns that are measured over a run's epochs; the best epoch is that of the measure's metric."""

STATUS_COLUMNS = ("run", "status", "reason", "is_partial")
"""Columns that identify a run and give its status."""

EPOCH_RATE = "epoch_learning_rate"
"""The learning rate of an epoch: what history.csv calls learning_rate, as a setting is called."""

HISTORY_FRAME = ("run", "epoch", *METRICS, EPOCH_RATE, "seconds")
"""Columns of the frame of histories."""

_NUMBERS = {
    "parameters": "Int64",
    "epochs_run": "Int64",
    "best_epoch": "Int64",
    "epoch": "int64",
    "is_partial": "bool",
} | dict.fromkeys(
    [*(name for name in MEASURES if name != "best_epoch"), "seconds", "guessed_accuracy", *METRICS, EPOCH_RATE],
    "float64",
)


_OF_SETTINGS = {name for at in (*get_args(Place), 2) for name in measured(Measure(at=at))}
_OF_RUNS = {*STATUS_COLUMNS, *FACTORS, *_NUMBERS, *AVERAGES, "setting", "sweep", "folder", "runs", "score"}
_TAKEN = {*_OF_RUNS, *_OF_SETTINGS, *COMPARED, *COST}
"""Columns of ours, which no key of a config can have."""


@dataclass(frozen=True)
class Collected:
    """What the given folders hold.

    runs: one row per run in plan order: run, status, reason, is_partial (its history is damaged, or does not match its
        record), FACTORS, swept keys, parameters, epochs_run, MEASURES as recorded, seconds, guessed_accuracy (see
        ``chance``), setting (equal for replicates); of several sweeps also sweep, the name of each run's.
    histories: one row per epoch with the columns of HISTORY_FRAME; metrics as written, finite or not, and NaN where a
        history lacks the column.
    found: name -> run, in the order of ``runs``.
    looks: sweep -> its looks at the test images, of those that have any.
    """

    runs: pd.DataFrame
    histories: pd.DataFrame
    measure: Measure  # what the runs were trained for, or what the caller has chosen
    swept: list[str]  # keys that differ between runs or tell settings apart, except those shown as FACTORS
    commands: list[str]
    found: dict[str, FoundRun]
    samples: Path | None
    warnings: list[str]
    looks: dict[str, list[Look]] = field(default_factory=dict)

    @property
    def records(self) -> list[RunRecord]:
        """In plan order."""
        return list(self.by_run.values())

    @cached_property
    def by_run(self) -> dict[str, RunRecord]:
        """Run -> its record, of those that have one."""
        return {name: run.record for name, run in self.found.items() if run.record}


def collect(
    folders: Sequence[Path],
    metric: Objective | None = None,
    at: Place | int = "best",
    reader: Reader | None = None,
) -> Collected:
    """Read all runs of the given sweeps and runs. Raises FolderError for a folder that is neither.

    metric, at: of the measure that runs are judged by; without a metric it is the one that they were trained for.
    reader: reads again only what has changed since it last read these folders.
    """
    for folder in folders:
        check_folder(folder)
    resolved = dict.fromkeys(folder.resolve() for folder in folders)
    by_folder = {folder: read_folder(folder, reader) for folder in resolved}
    reads = by_folder.values()
    found = {run.path: run for read in reads for run in read.runs}
    runs = [run for run in found.values() if not run.is_lost]
    sweeps = _sweep_names({run.path.parent for run in runs if SweepDir(run.path.parent).plan.exists()})
    objective, disagreement = objective_of(run.record for run in runs if run.record)
    measure, disagreement = (Measure(metric, at), "") if metric else (Measure(objective, at), disagreement)
    warnings = [*filter(None, [disagreement]), *(text for read in reads for text in read.warnings)]
    names = run_names([run.path for run in runs])
    settings = settings_of(runs)
    shown = [key for key in swept_keys(run.settings for run in runs) if key not in _TAKEN]
    looked_up = [*(key for name, key in FACTORS.items() if name != "seed"), *shown]
    swept = [*shown, *(key for key in telling_keys(runs, settings, looked_up) if key not in _TAKEN)]
    return Collected(
        runs=_runs_frame(runs, names, swept, measure).assign(setting=settings, **_sweep_column(runs, sweeps)),
        histories=_histories_frame(runs, names),
        measure=measure,
        swept=swept,
        commands=list(dict.fromkeys(command for read in reads for command in read.commands if command)),
        found=dict(zip(names, runs, strict=True)),
        samples=next((path for folder in folders for path in samples_of(folder)), None),
        warnings=[clean(text) for text in [*warnings, *(text for run in found.values() for text in run.warnings)]],
        looks={sweeps.get(path, clean(path.name)): read.looks for path, read in by_folder.items() if read.looks},
    )


def _runs_frame(runs: Sequence[FoundRun], names: Sequence[str], swept: Sequence[str], measure: Measure) -> pd.DataFrame:
    columns = [*STATUS_COLUMNS, *FACTORS, *swept, "parameters", "epochs_run", *MEASURES, "seconds", "guessed_accuracy"]
    rows = [{"run": name} | _row(run, swept, measure) for name, run in zip(names, runs, strict=True)]
    return _frame(rows, columns)


def _sweep_names(sweeps: Set[Path]) -> dict[Path, str]:
    return dict(zip(sorted(sweeps), run_names(sorted(sweeps)), strict=True))


def _sweep_column(runs: Sequence[FoundRun], sweeps: Mapping[Path, str]) -> dict[str, Any]:
    """The column ``sweep``, which tells the runs of several sweeps apart; none where there is one."""
    if len(sweeps) < 2:  # noqa: PLR2004
        return {}
    return {"sweep": [sweeps.get(run.path.parent) for run in runs]}


def _histories_frame(runs: Sequence[FoundRun], names: Sequence[str]) -> pd.DataFrame:
    rows: list[dict[str, object]] = [
        {"run": name, EPOCH_RATE: row.get("learning_rate"), **row}
        for name, run in zip(names, runs, strict=True)
        for row in run.history
    ]
    return _frame(rows, HISTORY_FRAME)


def _frame(rows: Sequence[object], columns: Sequence[str]) -> pd.DataFrame:
    """A frame with typed columns of numbers; all other cells are kept as they are, None if empty."""
    import pandas as pd  # slow to import, and a wrong folder should be reported at once

    frame = pd.DataFrame(rows, columns=list(columns), dtype=object)
    return frame.astype({name: kind for name, kind in _NUMBERS.items() if name in columns})


def _row(run: FoundRun, swept: Sequence[str], measure: Measure) -> dict[str, object]:
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
        **_recorded(record, measure),
        "seconds": _seconds(run),
        "guessed_accuracy": guessed_accuracy(record.data),
    }


def _epochs_run(run: FoundRun, record: RunRecord) -> int | None:
    """Epochs so far; None if the run's trainer has no epochs."""
    if record.config and "epochs" not in record.config:
        return None
    return _whole(record.epochs_run) if _trusts_record(run) else len(run.history) or _whole(record.epochs_run)


def _trusts_record(run: FoundRun) -> bool:
    """Whether the run's record is more complete than its history."""
    return run.is_partial and run.record is not None and run.record.status.is_final and run.record.epochs_run > 0


def _recorded(record: RunRecord, measure: Measure) -> dict[str, float | None]:
    """MEASURES as recorded; without the best epoch where that is another metric's."""
    best, last = record.best or {}, record.last or {}
    if best.get("epoch") is not None and record.objective != measure.metric:
        best = {}
    epoch, loss, accuracy = (best.get(name) for name in ("epoch", "val_loss", "val_accuracy"))
    return dict(zip(MEASURES, [_whole(epoch), loss, accuracy, *(last.get(metric) for metric in METRICS)], strict=True))


def _whole(count: float | None) -> int | None:
    """A count that a frame can hold; None for any other number in a damaged file."""
    return int(count) if count is not None and 0 <= count < 2**53 and count == int(count) else None


def _seconds(run: FoundRun) -> float | None:
    """The run's duration in seconds; while it is running, that of its epochs so far."""
    if run.record and run.record.seconds is not None:
        return run.record.seconds
    spent = [row.get("seconds", math.nan) for row in run.history]
    return sum(spent) if spent else None
