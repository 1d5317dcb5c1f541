"""One folder has one owner: the command that trains into it. A second one is told who the first is.

The owner's name stands in ``owner.json``, made with a hard link, which is atomic on network file systems too, where
file locks often are not. While it lives, the owner touches the file; one that has not for a while is taken for dead, as
is one on this machine whose process is gone. Ages are differences of file times alone: clocks of machines differ.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import platform
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from pathlib import Path

from fashion_sweep.errors import FolderError

OWNER = "owner.json"
BEAT_S = 20.0
"""Seconds between two signs of life."""
DEAD_S = 180.0
"""Seconds without one after which an owner on another machine is taken for dead."""


@dataclass(frozen=True)
class Owner:
    """A process that trains into a folder."""

    host: str
    pid: int
    start: str  # of the process, as the system tells it: process numbers are used again
    since: str  # ISO 8601, UTC
    token: str  # of this ownership, like no other

    @classmethod
    def this_process(cls) -> Owner:
        """An ownership that begins now."""
        now = datetime.now(timezone.utc).isoformat(timespec="seconds")
        pid = os.getpid()
        return cls(platform.node(), pid, _start_of(pid), now, uuid.uuid4().hex)

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}, since {self.since}"


@contextmanager
def owned(folder: Path) -> Iterator[None]:
    """Own a folder, which exists, within the block. Raises FolderError where another living process owns it."""
    me = Owner.this_process()
    place = folder / OWNER
    with written_into(folder):
        beside = folder / f".{me.token}.{OWNER}"
        try:
            beside.write_text(json.dumps(asdict(me)) + "\n", "utf-8")
            _take(place, beside)
        finally:
            beside.unlink(missing_ok=True)
    done = threading.Event()
    heart = threading.Thread(target=_beat, args=(place, done), daemon=True)
    heart.start()
    try:
        yield
    finally:
        done.set()
        heart.join()
        with contextlib.suppress(OSError):
            if _read(place) == me:
                place.unlink()


@contextmanager
def written_into(folder: Path) -> Iterator[None]:
    """Within the block, an OSError means that the folder cannot be written."""
    try:
        yield
    except OSError as error:
        raise FolderError(f"{folder} cannot be written ({error.strerror or error}); give another folder") from error


def living_owner(folder: Path) -> Owner | None:
    """Who trains into the folder now; None where nobody does."""
    place = folder / OWNER
    owner = _read(place)
    return owner if owner is not None and _lives(owner, place) else None


def _take(place: Path, beside: Path) -> None:
    """Link ``beside`` to ``place``. Raises FolderError where a living owner has it."""
    while True:
        with contextlib.suppress(FileExistsError):
            _link(beside, place)
            return
        owner = _read(place)
        if owner is not None and _lives(owner, place):
            raise FolderError(
                f"{place.parent} is being trained into by {owner}.\n"
                f"Wait for its end or stop it; if that process is surely gone, delete {place}"
            )
        if _take_over(place, beside, owner):
            return


def _take_over(place: Path, beside: Path, dead: Owner | None) -> bool:
    """Put ``beside`` in the place of a dead owner's file; false where another process is about to, or has.

    Who takes over holds a second link meanwhile: without it, one could throw out another that was quicker.
    """
    turn = place.with_name(f".{OWNER}.turn")
    try:
        _link(beside, turn)
    except FileExistsError:
        other = _read(turn)
        if other is not None and not _lives(other, turn):
            turn.unlink(missing_ok=True)
        time.sleep(0.01)
        return False
    try:
        if _read(place) != dead:
            return False
        beside.replace(place)
        return True
    finally:
        turn.unlink()


def _link(source: Path, place: Path) -> None:
    """Give a file a second name. Raises FileExistsError where there is one."""
    try:
        os.link(source, place)
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS):
            raise
        with place.open("x") as file:  # a file system without hard links
            file.write(source.read_text("utf-8"))


def _lives(owner: Owner, place: Path) -> bool:
    if owner.host == platform.node():
        return _start_of(owner.pid) == owner.start
    try:
        return abs(_age(place)) < DEAD_S  # a sign of life from the future: the clock was set back, and none came since
    except FileNotFoundError:
        return False
    except OSError:  # a folder that only others can write: nobody here can tell
        return True


def _age(place: Path) -> float:
    """Seconds since the last sign of life, by the clock of the file system."""
    now = place.with_name(f".{uuid.uuid4().hex}.now")
    try:
        now.touch()
        return now.stat().st_mtime - place.stat().st_mtime
    finally:
        now.unlink(missing_ok=True)


def _beat(place: Path, done: threading.Event) -> None:
    while not done.wait(BEAT_S):
        with contextlib.suppress(OSError):
            os.utime(place)


def _read(place: Path) -> Owner | None:
    """The owner that a file names; None where there is no file, or none that can be read."""
    try:
        return Owner(**json.loads(place.read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _start_of(pid: int) -> str:
    """When a process of this machine was started, in a form of the system's own; empty where there is no such one."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        pass
    if Path("/proc/self/stat").exists():
        return ""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return ""
    except PermissionError:
        pass
    return "alive"
