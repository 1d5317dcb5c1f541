"""Writes the record, history and log of a run during training."""

from __future__ import annotations

import logging
import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from datetime import datetime, timezone
from typing import Any

import numpy as np

from fashion_sweep.data.dataset import Dataset
from fashion_sweep.errors import FolderError
from fashion_sweep.storage.atomic import check, replacing, write_text
from fashion_sweep.storage.provenance import peak_memory_mib, versions
from fashion_sweep.storage.record import METRICS, RunRecord, Status, best_row
from fashion_sweep.storage.run_dir import HISTORY_COLUMNS, RunDir
from fashion_sweep.training.failures import is_full_disk

log = logging.getLogger(__name__)


class Recorder:
    """The writer of one run's folder. Call start once, epoch after every epoch, finish once."""

    def __init__(
        self,
        run: RunDir,
        record: RunRecord,
        own_log: Callable[[], AbstractContextManager[None]] = nullcontext,
        clock: Callable[[], float] = time.perf_counter,
        hide: Callable[[str], str] = str,
        *,
        engine: str,
    ) -> None:
        """own_log: makes a context for the run's own log; clock: seconds from any origin, monotonic.

        hide: removes from a text what must not be written to disk; engine: whose versions are recorded.
        """
        self.rows: list[dict[str, float]] = []
        self.record, self._run, self._own_log, self._clock = record, run, own_log, clock
        self._started = self._epoch_started = clock()
        self._seconds_before = 0.0  # of earlier attempts, whose epochs are kept
        self.hide, self._engine = hide, engine
        self._is_here = True  # whether this process trains the run
        self._process = os.getpid()

    @property
    def is_finite(self) -> bool:
        """Whether the losses of the last epoch are finite numbers; true before the first epoch."""
        return not self.rows or all(math.isfinite(self.rows[-1][key]) for key in ("loss", "val_loss"))

    def start(self, rows: Sequence[dict[str, float]] = ()) -> None:
        """Write the record of a run that starts now, or continues after these rows of its history."""
        self._reset(rows)
        before = self._previous_record()
        self.record.attempt = before.attempt + 1 if before and before.identity == self.record.identity else 1
        self.record.status, self.record.reason = Status.RUNNING, None
        self.record.started = _now()
        self.record.versions = versions(self._engine)
        self._run.write_record(self.record)
        self._log("Training %s%s", self.record.run, f" from epoch {len(rows) + 1} on" if rows else "")

    def start_over(self) -> None:
        """Drop the rows that were passed to start."""
        self._reset(())

    def take_over(self) -> None:
        """Read what the folder of a run holds whose process has died; use it instead of start."""
        before = self._previous_record()
        if before is not None and before.identity == self.record.identity:
            self.record = before
        with suppress(FolderError):
            self.rows = self._run.read_history()
        self._seconds_before, self._is_here = _seconds(self.rows), False

    def describe_data(
        self, dataset: Dataset, train_samples: int, validation_samples: int, validation_labels: np.ndarray
    ) -> None:
        """Record what the run is trained on. Its time starts here, as imports and loading happen once a process.

        validation_labels: of all images that are validated, integers.
        """
        self._started = self._clock()
        self.record.data = {
            "fingerprint": dataset.fingerprint,
            "train_samples": train_samples,
            "validation_samples": validation_samples,
            "validation_classes": np.bincount(validation_labels, minlength=len(dataset.class_names)).tolist(),
            "input_shape": list(dataset.images.shape[1:]),
            "class_names": [self.hide(name) for name in dataset.class_names],
        }

    def describe_model(self, summary: str, parameters: int | None, where: dict[str, Any], pack: int = 1) -> None:
        """Record what is trained (``Trainer.summary``), its number of weights, the device, and the size of its pack."""
        write_text(self._run.model_summary, self.hide(summary) + "\n")
        self.record.pack = pack
        self.record.parameters, self.record.device = parameters, where
        self._run.write_record(self.record)
        self._epoch_started = self._clock()

    def measure(self, metrics: Mapping[str, float]) -> None:
        """Record the result of a run without epochs. metrics: METRICS."""
        self.record.best = self.record.last = {"epoch": None, **metrics}
        self._log("%s", ", ".join(f"{key} {metrics[key]:.4f}" for key in METRICS))

    def epoch(self, metrics: Mapping[str, float]) -> None:
        """Add an epoch to the history. metrics: at least METRICS."""
        self._leave_if_forked()
        now = self._clock()
        row = {"epoch": len(self.rows) + 1, **metrics, "seconds": round(now - self._epoch_started, 6)}
        self.rows.append({key: row[key] for key in HISTORY_COLUMNS if key in row})
        self._epoch_started = now
        self._run.write_history(self.rows)
        self._log("Epoch %d: %s", row["epoch"], ", ".join(f"{key} {row[key]:.4f}" for key in METRICS))

    def save(self, model: Any, what: str) -> None:
        """Save the model as it is now. what: none, model, weights, both or h5."""
        if what in ("model", "both"):
            with replacing(self._run.last_model) as path:
                model.save(path)
        if what in ("weights", "both"):
            with replacing(self._run.last_weights) as path:
                model.save_weights(path)
        if what == "h5":
            with replacing(self._run.last_h5) as path:
                model.save(path)

    def finish(self, status: Status, reason: str | None = None) -> RunRecord:
        """Write the record of a run that has ended, and return it."""
        self._leave_if_forked()
        record = self.record
        record.status, record.reason = status, reason
        record.ended = _now()
        record.seconds = round(self._seconds_before + self._clock() - self._started, 3)
        record.memory_mib = peak_memory_mib() if self._is_here else None
        record.epochs_run = len(self.rows)
        if self.rows:
            best = best_row(self.rows, record.objective)
            record.best = _summary(best) if best else None
            record.last = _summary(self.rows[-1])
        self._write_last(record)
        self._log("The run is %s%s", status.value, f": {reason}" if reason else "")
        return record

    def _leave_if_forked(self) -> None:
        """End this process where it is one that a callback has forked off and let go on: the run has one trainer."""
        if os.getpid() != self._process:
            os._exit(1)

    def _write_last(self, record: RunRecord) -> None:
        """Write the final record. On a full disk the saved state, which only a continued run needs, is deleted first.

        If that does not free enough, the record overwrites the previous one in place.
        """
        check(self._run.record)
        if record.status in (Status.COMPLETED, Status.DIVERGED):
            self._run.state.unlink(missing_ok=True)
        try:
            self._run.write_record(record)
        except OSError as error:
            if not is_full_disk(error):
                raise
            self._run.state.unlink(missing_ok=True)
            self._run.clear_leftovers()
            try:
                self._run.write_record(record)
            except OSError:
                self._run.overwrite_record(record)

    def _reset(self, rows: Sequence[dict[str, float]]) -> None:
        """Reset the history to these rows, so that each epoch appears in it once."""
        self.rows = [{**row, "epoch": int(row["epoch"])} for row in rows]
        self._seconds_before = _seconds(rows)
        self._run.clear_leftovers()
        if rows:
            self._run.write_history(rows)
        else:
            self._run.history.unlink(missing_ok=True)

    def _previous_record(self) -> RunRecord | None:
        try:
            return self._run.read_record()
        except FolderError:
            return None

    def _log(self, message: str, *arguments: object) -> None:
        with self._own_log():
            log.info(message, *arguments)


def _seconds(rows: Sequence[Mapping[str, float]]) -> float:
    return sum(row.get("seconds", 0.0) for row in rows)


def _summary(row: Mapping[str, float]) -> dict[str, float | None]:
    return {key: row[key] for key in ("epoch", *METRICS)}


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")
