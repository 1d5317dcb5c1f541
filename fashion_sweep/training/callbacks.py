"""Keras callbacks: those named in a config, and those of every run."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
from hydra.utils import get_method

from fashion_sweep.config import targets
from fashion_sweep.data.dataset import one_line
from fashion_sweep.errors import ConfigError, UserError
from fashion_sweep.training.engines import keras_internals
from fashion_sweep.training.job import Job, guarded
from fashion_sweep.training.model_checkpoint import ModelCheckpoint

__all__ = ["ModelCheckpoint", "batch_callback", "make", "of"]

PATHS = ("filepath", "filename", "log_dir", "backup_dir", "directory")
"""Arguments of Keras callbacks that name a file or folder; relative ones are taken from the run's folder."""

BATCH_HOOKS = (
    "on_batch_begin", "on_batch_end", "on_train_batch_begin", "on_train_batch_end",
    "on_test_batch_begin", "on_test_batch_end",
)  # fmt: skip
"""Methods that only model.fit calls."""


def of(job: Job) -> list[keras.callbacks.Callback]:
    """The callbacks of a run: those of its config, in their order, then the one that reports to the recorder.

    With a schedule one before them adds the learning rate to what they see of an epoch.
    """
    rate = [LearningRateLog()] if job.config["schedule"] else []
    return [*rate, *_own(job), EpochReporter(job.recorder.epoch)]


def batch_callback(job: Job) -> str | None:
    """Which callback of the config needs to be called on batches, in a few words; None if none does."""
    with guarded([job]):
        missing = (callback for callback in _own(job) if _needs_batches(callback))
        return next((f"callback {type(callback).__name__} works on batches" for callback in missing), None)
    return None  # a callback could not be made, and the run has failed


def _own(job: Job) -> list[keras.callbacks.Callback]:
    """The callbacks of the config's node; keys set to null are skipped."""
    nodes: Mapping[str, Any] = job.config["callbacks"]
    return [make(name, node, job.run.path) for name, node in nodes.items() if node]


def make(name: str, node: Mapping[str, Any], folder: Path) -> keras.callbacks.Callback:
    """The callback of the node ``callbacks.name``, with relative paths in a folder.

    Raises ConfigError if it cannot be made, or if what is made is no callback.
    """
    what = f"callbacks.{name}._target_={node['_target_']}"
    try:
        made = targets.call(_in_folder(node, folder))
    except UserError:
        raise
    except Exception as error:
        why = f"{type(error).__name__}: {one_line(error)}{targets.advice(node)}"
        raise ConfigError(f"{what} cannot be made: {why}") from error
    if not isinstance(made, keras.callbacks.Callback):
        raise ConfigError(f"{what} returned {type(made).__name__}, expected a keras.callbacks.Callback")
    return made


def _in_folder(node: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    kind, text = get_method(node["_target_"]), str(folder)
    if isinstance(kind, type) and issubclass(kind, keras.callbacks.ModelCheckpoint):
        text = text.replace("{", "{{").replace("}", "}}")  # Keras formats the whole path
    return {key: str(Path(text) / value) if key in PATHS and value else value for key, value in node.items()}


AT_EPOCHS: Sequence[tuple[type, Callable[[Any], bool]]] = (
    (keras.callbacks.Callback, lambda _: True),
    (keras.callbacks.TerminateOnNaN, lambda _: True),  # EpochReporter ends a run after an epoch that is not finite
    (keras.callbacks.ModelCheckpoint, lambda callback: callback.save_freq == "epoch"),
    (ModelCheckpoint, lambda callback: callback.save_freq == "epoch"),
    (
        keras.callbacks.TensorBoard,
        lambda callback: callback.update_freq == "epoch" and not keras_internals.profiles_batches(callback),
    ),
)
"""Classes whose own hooks on batches do nothing, or nothing that is needed, in callbacks of which this holds."""


def _needs_batches(callback: keras.callbacks.Callback) -> bool:
    """Whether the class of the callback, or the callback itself as in a LambdaCallback, has a hook that is needed."""
    idle = [kind for kind, holds in AT_EPOCHS if isinstance(callback, kind) and holds(callback)]
    for name in BATCH_HOOKS:
        hook = getattr(getattr(callback, name), "__func__", None)
        if not any(hook is getattr(kind, name) for kind in idle):
            return True
    return False


class LearningRateLog(keras.callbacks.Callback):  # type: ignore[misc]
    """Adds the learning rate to the metrics of an epoch, for the callbacks after it."""

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:  # noqa: ARG002 - Keras' signature
        """Add it, as Keras' callbacks that set a learning rate do."""
        if logs is not None:
            logs["learning_rate"] = float(self.model.optimizer.learning_rate)


class EpochReporter(keras.callbacks.Callback):  # type: ignore[misc]
    """Reports the metrics of every epoch, and stops a run whose loss is no longer a finite number."""

    def __init__(self, report: Callable[[dict[str, float]], None]) -> None:
        """report: called with metric -> value after every epoch."""
        super().__init__()
        self._report = report

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:  # noqa: ARG002 - Keras' signature
        """Report; stop when loss or val_loss is NaN or infinite."""
        metrics = {key: float(value) for key, value in (logs or {}).items()}
        self._report(metrics)
        if not all(math.isfinite(metrics[key]) for key in ("loss", "val_loss")):
            self.model.stop_training = True
