"""Keras callbacks: those named in a config, and those of every run."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras

from fashion_sweep.config import targets
from fashion_sweep.training.engines import keras_internals
from fashion_sweep.training.job import Job, guarded

PATHS = ("filepath", "filename", "log_dir", "backup_dir")
"""Arguments of Keras callbacks that name a file or folder; relative ones are taken from the run's folder."""


BATCH_HOOKS = ("on_batch_begin", "on_batch_end", "on_train_batch_begin", "on_train_batch_end")


def of(job: Job) -> list[keras.callbacks.Callback]:
    """The callbacks of a run: those of its config, in their order, then the one that reports to the recorder."""
    reporter = EpochReporter(job.recorder.epoch, with_learning_rate=bool(job.config["schedule"]))
    return [*_own(job), reporter]


def batch_callback(job: Job) -> str | None:
    """Which callback of the config needs to be called on batches, in a few words; None if none does."""
    with guarded([job]):
        missing = (callback for callback in _own(job) if _needs_batches(callback))
        return next((f"callback {type(callback).__name__} works on batches" for callback in missing), None)
    return None  # a callback could not be made, and the run has failed


def _own(job: Job) -> list[keras.callbacks.Callback]:
    """The callbacks of the config's node; keys set to null are skipped."""
    nodes: Mapping[str, Any] = job.config["callbacks"]
    return [targets.call(_in_folder(node, job.run.path)) for node in nodes.values() if node]


def _needs_batches(callback: keras.callbacks.Callback) -> bool:
    if isinstance(callback, keras.callbacks.TerminateOnNaN):
        return False  # EpochReporter ends every run after an epoch whose loss is not finite
    if isinstance(callback, keras.callbacks.ModelCheckpoint):
        return bool(callback.save_freq != "epoch")
    if isinstance(callback, keras.callbacks.TensorBoard):
        return bool(callback.update_freq != "epoch" or keras_internals.profiles_batches(callback))
    base = keras.callbacks.Callback
    return any(getattr(type(callback), hook) is not getattr(base, hook) for hook in BATCH_HOOKS)


def _in_folder(node: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    return {key: str(folder / value) if key in PATHS and value else value for key, value in node.items()}


class ModelCheckpoint(keras.callbacks.ModelCheckpoint):  # type: ignore[misc]
    """Keras' ModelCheckpoint, except that each file is written beside its place and moved there once it is complete.

    So a run that is killed while saving, or that fills the disk, keeps its previous best model.
    """

    def __init__(self, filepath: str, **arguments: Any) -> None:
        self._final = Path(filepath)
        self._process = os.getpid()
        beside = f".{self._process}.{self._final.name}"
        folder = str(self._final.parent).replace("{", "{{").replace("}", "}}")  # Keras formats the whole path
        super().__init__(str(Path(folder) / beside), **arguments)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Save if this epoch is better, then move what was saved."""
        if os.getpid() != self._process:
            return  # a process that another callback has forked off: it ends where it reports its epoch
        with keras_internals.without_tensorflow():
            super().on_epoch_end(epoch, logs)
        prefix = f".{self._process}."
        for written in self._final.parent.glob(f"{prefix}*{self._final.suffix}"):
            written.replace(written.with_name(written.name.removeprefix(prefix)))


class EpochReporter(keras.callbacks.Callback):  # type: ignore[misc]
    """Reports the metrics of every epoch, and stops a run whose loss is no longer a finite number."""

    def __init__(self, report: Callable[[dict[str, float]], None], *, with_learning_rate: bool) -> None:
        """report: called with metric -> value after every epoch."""
        super().__init__()
        self._report = report
        self._with_learning_rate = with_learning_rate

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:  # noqa: ARG002 - Keras' signature
        """Report; stop when loss or val_loss is NaN or infinite."""
        metrics = {key: float(value) for key, value in (logs or {}).items()}
        if self._with_learning_rate:
            metrics["learning_rate"] = float(self.model.optimizer.learning_rate)
        self._report(metrics)
        if not all(math.isfinite(metrics[key]) for key in ("loss", "val_loss")):
            self.model.stop_training = True
