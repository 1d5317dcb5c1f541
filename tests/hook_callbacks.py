"""Callbacks that write down what they are called with, or change what they may."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import keras


class Diary(keras.callbacks.Callback):  # type: ignore[misc]
    """Writes every hook at epochs, with the names in its logs, into a file; and what it knows of the run."""

    def __init__(self, filename: str) -> None:
        super().__init__()
        self._path = Path(filename)

    def _add(self, hook: str, logs: dict[str, Any] | None, *more: Any) -> None:
        with self._path.open("a") as file:
            file.write(json.dumps([hook, sorted(logs or {}), *more]) + "\n")

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        known = {key: self.params[key] for key in ("epochs", "steps", "verbose")}
        self._add("train begin", logs, known, sorted(metric.name for metric in self.model.metrics))

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self._add("train end", logs, sorted(self.model.history.history))

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._add("epoch begin", logs, epoch)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._add("epoch end", logs, epoch, int(self.model.optimizer.iterations))

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._add("test begin", logs)

    def on_test_end(self, logs: dict[str, Any] | None = None) -> None:
        self._add("test end", logs)


class Shrink(keras.callbacks.Callback):  # type: ignore[misc]
    """Changes the weights at one of the hooks."""

    def __init__(self, hook: str) -> None:
        super().__init__()
        setattr(self, hook, lambda *_, **__: self.model.set_weights([each / 2 for each in self.model.get_weights()]))


class StopAtBegin(keras.callbacks.Callback):  # type: ignore[misc]
    """Stops the run before its second epoch."""

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:  # noqa: ARG002 - Keras' signature
        self.model.stop_training = epoch == 1
