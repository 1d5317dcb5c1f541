"""The callback that saves models during training, best models by default."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any

import keras
import numpy as np

from fashion_sweep.errors import ConfigError
from fashion_sweep.storage import atomic
from fashion_sweep.training.engines import keras_internals
from fashion_sweep.training.save_interval import SaveInterval

SHARE = 0.05
"""The largest share of the training time that saving models may take where it can be put off."""


class ModelCheckpoint(keras.callbacks.ModelCheckpoint):  # type: ignore[misc]
    """Keras' ModelCheckpoint, except that each file is written beside its place and moved there once it is complete.

    So a run that is killed while saving, or that fills the disk, keeps its previous best model. Small networks get
    better in most of their epochs, and writing a model may take longer than training it for one: see ``put_off``.
    """

    @wraps(keras.callbacks.ModelCheckpoint.__init__)  # type: ignore[misc]
    def __init__(self, filepath: str, **arguments: Any) -> None:
        self._process, self._epoch = os.getpid(), 0
        self._prefix = f".{self._process}."
        self.pending: dict[str, Any] | None = None  # the model to save that is not written yet
        self._interval: SaveInterval | None = None  # None: nothing is put off
        self._keeps = False  # whether a model that is to be saved is remembered instead
        beside = str(Path(filepath).with_name(self._prefix + Path(filepath).name))
        try:
            super().__init__(beside, **arguments)
        except ValueError as error:
            raise ValueError(str(error).replace(beside, str(filepath))) from error

    def put_off(self, together: int) -> None:
        """Remember models instead of writing them where that would take more than SHARE of the time.

        What is pending is written once it is time, at the end of training, and by ``write``. together: runs that this
        process trains at once.
        """
        self._interval = SaveInterval(share=SHARE / together, least=0.0)

    @property
    def model(self) -> Any:
        """The model, or what remembers it instead of saving it."""
        found = super().model
        return _Kept(self, found) if self._keeps else found

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Note the epoch, which is in the names of what is saved on its batches."""
        super().on_epoch_begin(epoch, logs)
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Save if it is time, then move what was saved."""
        super().on_train_batch_end(batch, logs)
        if self.save_freq != "epoch":
            self._move(self._epoch, {"batch": batch + 1, **(logs or {})})

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Save if this epoch is better, then move what was saved."""
        if os.getpid() != self._process:
            return  # a process that another callback has forked off: it ends where it reports its epoch
        is_due, started = self._interval is None or self._interval.is_due, time.perf_counter()
        with self._saving(is_kept=not is_due):
            super().on_epoch_end(epoch, logs)
        if self.save_freq == "epoch" and is_due:
            if self._move(epoch, logs or {}):
                self._saved(started)
            self.write()

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Write what is pending."""
        super().on_train_end(logs)
        self.write()

    def write(self) -> None:
        """Write the model that is pending, if there is one."""
        pending, self.pending = self.pending, None
        if pending is None or os.getpid() != self._process:
            return
        started, variables = time.perf_counter(), _variables(self.model)
        now = [np.array(variable) for variable in variables]
        path = Path(os.path.normpath(Path(self.filepath).parent / pending["path"]))
        beside = path.with_name(self._prefix + path.name)
        _assign(variables, pending["values"])
        try:
            with keras_internals.without_tensorflow():
                (self.model.save_weights if self.save_weights_only else self.model.save)(beside, overwrite=True)
        finally:
            _assign(variables, now)
        atomic.move(beside, path)
        self._saved(started)

    def keep(self, model: keras.Model, written: str) -> None:
        """Remember a model that Keras is about to write to a path."""
        place = self._relative(self._place(Path(written)))
        if self.pending is not None and self.pending["path"] != place:
            with self._saving(is_kept=False):
                self.write()
        self.pending = {"path": place, "values": [np.array(variable) for variable in _variables(model)]}

    @contextmanager
    def _saving(self, *, is_kept: bool) -> Iterator[None]:
        before, self._keeps = self._keeps, is_kept
        try:
            with keras_internals.without_tensorflow():
                yield
        except KeyError as error:  # a name in the path that is no metric
            raise ConfigError(str(error.args[0]).replace(self._prefix, "")) from error
        finally:
            self._keeps = before

    def _saved(self, started: float) -> None:
        if self._interval is not None:
            self._interval.saved(started)

    def _place(self, written: Path) -> Path:
        """Where a file belongs that Keras writes beside."""
        return written.with_name(written.name.removeprefix(self._prefix))

    def _relative(self, path: Path) -> str:
        """A path that is still right after the run's folder was moved."""
        return os.path.relpath(path, Path(self.filepath).parent)

    def _move(self, epoch: int, values: Mapping[str, Any]) -> bool:
        """Move the file that Keras has written with these values in its name, if it has, to its place."""
        written = Path(self.filepath.format(epoch=epoch + 1, **values))
        if not written.is_file():
            return False
        path = self._place(written)
        atomic.move(written, path)
        if self.pending is not None and self.pending["path"] == self._relative(path):
            self.pending = None  # of an earlier epoch
        return True


class _Kept:
    """A model for Keras' ModelCheckpoint that is remembered where it would be saved."""

    def __init__(self, callback: ModelCheckpoint, model: keras.Model) -> None:
        self._callback, self._model = callback, model

    def save(self, path: str, overwrite: bool) -> None:  # noqa: ARG002 - Keras' signature
        self._callback.keep(self._model, path)

    save_weights = save


def _variables(model: keras.Model) -> list[Any]:
    """All that is saved of a model."""
    return [*model.variables, *model.optimizer.variables, *model.metrics_variables]


def _assign(variables: list[Any], values: list[np.ndarray]) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
