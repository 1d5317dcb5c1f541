"""Keras callbacks: those that a config asks for, and those that every run has."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras

from fashion_sweep import targets
from fashion_sweep.run_dir import RunDir

PATHS = ("filepath", "filename", "log_dir", "backup_dir")
"""Arguments of Keras callbacks that name a file or folder; a relative one lies in the run's folder."""


def build(config: Mapping[str, Mapping[str, Any] | None], run: RunDir) -> list[keras.callbacks.Callback]:
    """The callbacks of a config's ``callbacks`` node, in its order; a key set to null is left out."""
    return [targets.call(_in_folder(node, run.path)) for node in config.values() if node]


def _in_folder(node: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    return {key: str(folder / value) if key in PATHS and value else value for key, value in node.items()}


class ModelCheckpoint(keras.callbacks.ModelCheckpoint):  # type: ignore[misc]
    """Keras' ModelCheckpoint, except that a file is written beside its place and moved there when it is whole.

    So a run that is killed while it saves, or whose disk is full, keeps its previous best model.
    """

    def __init__(self, filepath: str, **arguments: Any) -> None:
        self._final = Path(filepath)
        super().__init__(str(self._final.with_name(f".{os.getpid()}.{self._final.name}")), **arguments)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Save where this epoch is better, then move what was saved."""
        super().on_epoch_end(epoch, logs)
        prefix = f".{os.getpid()}."
        for written in self._final.parent.glob(f"{prefix}*{self._final.suffix}"):
            written.replace(written.with_name(written.name.removeprefix(prefix)))


class EpochReporter(keras.callbacks.Callback):  # type: ignore[misc]
    """Hands every epoch's metrics on, and ends a run whose loss is no longer a finite number."""

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
