"""Writes down what a run does while it does it: record, history and log of its folder."""

from __future__ import annotations

import logging
import math
import platform
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from datetime import datetime, timezone
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from fashion_sweep.data import Split
from fashion_sweep.dataset import Dataset
from fashion_sweep.errors import FolderError
from fashion_sweep.run_dir import HISTORY_COLUMNS, METRICS, RunDir, RunRecord, Status, replacing, write_text

log = logging.getLogger(__name__)

PACKAGES = ("fashion-sweep", "tensorflow", "keras", "hydra-core", "omegaconf", "numpy", "scikit-learn")
"""Packages whose versions a record holds."""


class Recorder:
    """The writer of one run's folder. Call start once, epoch after every epoch, finish once."""

    def __init__(
        self,
        run: RunDir,
        record: RunRecord,
        own_log: Callable[[], AbstractContextManager[None]] = nullcontext,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """own_log: makes a context for what is logged; clock: seconds from any origin, never set back."""
        self.rows: list[dict[str, float]] = []
        self.record, self._run, self._own_log, self._clock = record, run, own_log, clock
        self._started = self._epoch_started = clock()

    @property
    def is_finite(self) -> bool:
        """Whether the losses of the last epoch are finite numbers; true before the first."""
        return not self.rows or all(math.isfinite(self.rows[-1][key]) for key in ("loss", "val_loss"))

    def start(self) -> None:
        """Write the record of a run that begins now."""
        self._run.history.unlink(missing_ok=True)
        before = self._record_of_before()
        self.record.attempt = before.attempt + 1 if before and before.identity == self.record.identity else 1
        self.record.status = Status.RUNNING
        self.record.started = _now()
        self.record.versions = versions()
        self.record.git = git_state()
        self._run.write_record(self.record)
        self._say("Training %s", self.record.run)

    def resume(self) -> None:
        """Go on from what the folder holds, for a run whose process is gone; instead of start."""
        before = self._record_of_before()
        if before is not None and before.identity == self.record.identity:
            self.record = before
        with suppress(FolderError):
            self.rows = self._run.read_history()
        self._started = self._clock() - sum(row["seconds"] for row in self.rows)

    def describe_data(self, dataset: Dataset, split: Split) -> None:
        """Note what the run is trained on. Its seconds count from here: imports and loading are paid once a process."""
        self._started = self._clock()
        self.record.data = {
            "fingerprint": dataset.fingerprint,
            "train_samples": len(split.x_train),
            "validation_samples": len(split.x_val),
            "input_shape": list(split.input_shape),
            "class_names": list(split.class_names),
        }

    def describe_model(self, model: Any, pack: int = 1) -> None:
        """Note what is trained, where, and with how many others: model.txt, the number of weights, the device."""
        lines: list[str] = []
        model.summary(print_fn=lines.append)
        write_text(self._run.model_summary, "\n".join(lines) + "\n")
        self.record.parameters = model.count_params()
        self.record.device, self.record.pack = device(), pack
        self._run.write_record(self.record)
        self._epoch_started = self._clock()

    def epoch(self, metrics: Mapping[str, float]) -> None:
        """Add an epoch to the history. metrics: at least METRICS."""
        now = self._clock()
        row = {"epoch": len(self.rows) + 1, **metrics, "seconds": round(now - self._epoch_started, 6)}
        self.rows.append({key: row[key] for key in HISTORY_COLUMNS if key in row})
        self._epoch_started = now
        self._run.write_history(self.rows)
        self._say("Epoch %d: %s", row["epoch"], ", ".join(f"{key} {row[key]:.4f}" for key in METRICS))

    def save(self, model: Any, what: str) -> None:
        """Keep the model as it is now. what: none, model, weights or both."""
        if what in ("model", "both"):
            with replacing(self._run.last_model) as path:
                model.save(path)
        if what in ("weights", "both"):
            with replacing(self._run.last_weights) as path:
                model.save_weights(path)

    def finish(self, status: Status, reason: str | None = None) -> RunRecord:
        """Write the record of a run that has ended, and return it."""
        record = self.record
        record.status, record.reason = status, reason
        record.ended = _now()
        record.seconds = round(self._clock() - self._started, 3)
        record.epochs_run = len(self.rows)
        finite = [row for row in self.rows if math.isfinite(row["val_loss"])]
        record.best = _summary(min(finite, key=lambda row: row["val_loss"])) if finite else None
        record.last = _summary(self.rows[-1]) if self.rows else None
        self._run.write_record(record)
        self._say("The run is %s%s", status.value, f": {reason}" if reason else "")
        return record

    def _record_of_before(self) -> RunRecord | None:
        try:
            return self._run.read_record()
        except FolderError:
            return None

    def _say(self, message: str, *arguments: object) -> None:
        with self._own_log():
            log.info(message, *arguments)


def _summary(row: Mapping[str, float]) -> dict[str, float | None]:
    return {key: row[key] for key in ("epoch", *METRICS)}


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")


@cache
def versions() -> dict[str, str]:
    """Package -> version, of Python and PACKAGES."""
    return {"python": platform.python_version()} | {name: metadata.version(name) for name in PACKAGES}


@cache
def git_state() -> dict[str, Any] | None:
    """Commit of the checkout that holds this package, else of the current folder; None where neither is one."""
    for folder in (Path(__file__).parent, Path.cwd()):
        commit = _git(folder, "rev-parse", "HEAD")
        if commit:
            return {"commit": commit, "dirty": bool(_git(folder, "status", "--porcelain"))}
    return None


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


@cache
def device() -> dict[str, Any]:
    """What TensorFlow trains on: kind (CPU or GPU), name, and the host's name."""
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    names = [tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name) for gpu in gpus]
    kind = "GPU" if gpus else "CPU"
    return {
        "kind": kind,
        "name": ", ".join(names) or platform.processor() or platform.machine(),
        "host": platform.node(),
    }
