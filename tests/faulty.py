"""Callbacks and a trainer that go wrong, for tests of faults; named in overrides as ``faulty.NAME``."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import keras


class AtEpoch(keras.callbacks.Callback):  # type: ignore[misc]
    """Does something at the end of an epoch (from 1)."""

    def __init__(self, epoch: int = 2) -> None:
        super().__init__()
        self.epoch = epoch

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:  # noqa: ARG002 - Keras' signature
        if epoch + 1 == self.epoch:
            self.act()

    def act(self) -> None:
        """What goes wrong."""


class Kill(AtEpoch):
    def act(self) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


class Raise(AtEpoch):
    def act(self) -> None:
        raise ValueError(f"this run fails in epoch {self.epoch}")


class Exit(AtEpoch):
    def act(self) -> None:
        sys.exit(3)


class Hang(AtEpoch):
    def act(self) -> None:
        time.sleep(600)


class Slow(keras.callbacks.Callback):  # type: ignore[misc]
    """Makes epochs last."""

    def __init__(self, seconds: float = 0.05) -> None:
        super().__init__()
        self.seconds = seconds

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:  # noqa: ARG002 - Keras' signature
        time.sleep(self.seconds)


class Wait(AtEpoch):
    """Goes on when a file is there."""

    def __init__(self, path: str, epoch: int = 2) -> None:
        super().__init__(epoch)
        self.path = path

    def act(self) -> None:
        while not Path(self.path).exists():
            time.sleep(0.05)
