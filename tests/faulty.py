"""Callbacks and a trainer that go wrong, for tests of faults; named in overrides as ``faulty.NAME``."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import sys
import threading
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import faulty_acts
import keras
from optional import present

from fashion_sweep.storage.record import Status
from fashion_sweep.storage.run_dir import RunDir
from fashion_sweep.training import recorder


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


class Fill(AtEpoch):
    """Fills the disk of the current folder, and makes room when its own run has failed.

    filepath: "run.json"; leave: bytes that stay free; after: file that must be there first.
    """

    def __init__(self, filepath: str, leave: int = 0, after: str | None = None, epoch: int = 2) -> None:
        super().__init__(epoch)
        self.own, self.leave, self.after = RunDir(Path(filepath).parent), leave, after

    def act(self) -> None:
        while self.after and not Path(self.after).exists():
            time.sleep(0.02)
        with Path("filler").open("wb", buffering=0) as file:
            with contextlib.suppress(OSError):
                while True:
                    file.write(bytes(4096))
            file.truncate(file.tell() - self.leave)
        threading.Thread(target=self._make_room, daemon=True).start()

    def _make_room(self) -> None:
        while present(self.own.read_record()).status is not Status.FAILED:
            time.sleep(0.02)
        Path("filler").unlink()
        Path("room").touch()


class LimitFiles(AtEpoch):
    """Lets this process write no file beyond some bytes, as a quota does."""

    def __init__(self, size: int, epoch: int = 2) -> None:
        super().__init__(epoch)
        self.size = size

    def act(self) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (self.size, resource.RLIM_INFINITY))


class LimitMemory(keras.callbacks.Callback):  # type: ignore[misc]
    """Lets this process take no more memory than it has before its first epoch, and some MiB, until it tries again.

    TensorFlow may crash wherever address space is short, in a run that is alone as well: so the limit is not kept.
    """

    is_limited = False

    def __init__(self, mib: int) -> None:
        super().__init__()
        self.mib = mib

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:  # noqa: ARG002 - Keras' signature
        if LimitMemory.is_limited:
            resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:  # noqa: ARG002 - Keras' signature
        if not LimitMemory.is_limited:
            pages = int(Path("/proc/self/statm").read_text().split()[0])
            limit = pages * os.sysconf("SC_PAGE_SIZE") + self.mib * 2**20
            resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
            LimitMemory.is_limited = True


class ClockSetBack(AtEpoch):
    """The clock that records are written by goes back an hour."""

    def act(self) -> None:
        earlier = datetime.now(timezone.utc) - timedelta(hours=1)
        recorder._now = lambda: earlier.isoformat(timespec="milliseconds")


class Note(keras.callbacks.Callback):  # type: ignore[misc]
    """Has an argument, of any kind."""

    def __init__(self, text: Any) -> None:
        super().__init__()
        self.text = text


class Slow(keras.callbacks.Callback):  # type: ignore[misc]
    """Makes epochs last."""

    def __init__(self, seconds: float = 0.05) -> None:
        super().__init__()
        self.seconds = seconds

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:  # noqa: ARG002 - Keras' signature
        time.sleep(self.seconds)


class Paced(keras.callbacks.Callback):  # type: ignore[misc]
    """Makes epochs slow until there is a file."""

    def __init__(self, path: str, seconds: float = 0.5) -> None:
        super().__init__()
        self.path, self.seconds = path, seconds

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:  # noqa: ARG002 - Keras' signature
        if not Path(self.path).exists():
            time.sleep(self.seconds)


class Wait(AtEpoch):
    """Goes on when a file is there; meanwhile there is one named ``waiting``."""

    def __init__(self, path: str, epoch: int = 2) -> None:
        super().__init__(epoch)
        self.path = path

    def act(self) -> None:
        Path("waiting").touch()
        while not Path(self.path).exists():
            time.sleep(0.05)


class Act(AtEpoch):
    """Does what a function of ``faulty_acts`` does; act: its name, None: nothing."""

    def __init__(self, act: str | None, epoch: int = 1) -> None:
        super().__init__(epoch)
        self._act = act

    def act(self) -> None:
        faulty_acts.act(self._act)
