"""Callbacks that stop a run in the middle, for tests of what comes after."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import keras


class Interrupt(keras.callbacks.Callback):  # type: ignore[misc]
    """Sends this process a signal in an epoch (from 0), once: not again in a run that goes on."""

    def __init__(self, epoch: int, log_dir: str, number: int = signal.SIGINT) -> None:
        super().__init__()
        self.epoch, self.log_dir, self.number = epoch, log_dir, number

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:  # noqa: ARG002 - Keras' signature
        mark = Path(self.log_dir + ".interrupted")
        if epoch == self.epoch and not mark.exists():
            mark.write_text("")
            os.kill(os.getpid(), self.number)


class Averaged(keras.callbacks.Callback):  # type: ignore[misc]
    """A callback of a user's own, with a memory in plain values, that changes the learning rate."""

    def __init__(self) -> None:
        super().__init__()
        self.losses: list[float] = []
        self.mean: dict[str, float] = {}

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:  # noqa: ARG002 - Keras' signature
        self.losses.append(float((logs or {})["loss"]))
        self.mean["loss"] = sum(self.losses) / len(self.losses)
        self.model.optimizer.learning_rate = 0.001 * self.mean["loss"]


class Unkept(Averaged):
    """The same with a memory that cannot be written down."""

    def __init__(self) -> None:
        super().__init__()
        self.memory = object()
