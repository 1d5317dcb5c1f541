"""A folder has one owner at a time: the command that trains into it. Others get an error that names the owner.

The owner is recorded in ``owner.json``, which is created with a hard link: that is atomic even on network file systems,
where file locks often are not. A live owner touches the file regularly. An owner counts as dead if its heartbeats stop
or, on this machine, if its process is gone. Ages are differences of file times alone: clocks of machines differ.
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
HEARTBEAT_S = 20.0
"""Seconds between two heartbeats."""
DEAD_AFTER_S = 180.0
"""Seconds without a heartbeat after which an owner on another machine counts as dead."""


@dataclass(frozen=True)
class Owner:
    """A process that owns a folder."""

    host: str
    pid: int
    start: str  # start time of the process, as the system reports it: PIDs are reused
    since: str  # ISO 8601, UTC
    token: str  # unique to this ownership

    @classmethod
    def this_process(cls) -> Owner:
        """This process as an owner, from now on."""
        now = datetime.now(timezone.utc).isoformat(timespec="seconds")
        pid = os.getpid()
        return cls(platform.node(), pid, _start_of(pid), now, uuid.uuid4().hex)

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}, since {self.since}"


@contextmanager
def owned(folder: Path) -> Iterator[None]:
    """Own an existing folder within the block. Raises FolderError if another live process owns it."""
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
    heart = threading.Thread(target=_send_heartbeats, args=(place, done), daemon=True)
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
    """Within the block, turn an OSError into a FolderError: the folder cannot be written."""
    try:
        yield
    except OSError as error:
        raise FolderError(f"{folder} cannot be written ({error.strerror or error}); choose another folder") from error


def living_owner(folder: Path) -> Owner | None:
    """The process that owns the folder now; None if there is none."""
    place = folder / OWNER
    owner = _read(place)
    return owner if owner is not None and _is_alive(owner, place) else None


def _take(place: Path, beside: Path) -> None:
    """Link ``beside`` to ``place``. Raises FolderError if a live process owns the folder."""
    while True:
        with contextlib.suppress(FileExistsError):
            _link(beside, place)
            return
        owner = _read(place)
        if owner is not None and _is_alive(owner, place):
            raise FolderError(
                f"{place.parent} is in use by {owner}.\n"
                f"Wait until it finishes or stop it; if you are sure that the process is gone, delete {place}"
            )
        if _take_over(place, beside, owner):
            return


def _take_over(place: Path, beside: Path, dead: Owner | None) -> bool:
    """Replace a dead owner's file with ``beside``; False if another process is doing so or has done so.

    A second link serves as a lock: without it, a slow process could evict a faster one that has just taken over.
    """
    turn = place.with_name(f".{OWNER}.turn")
    try:
        _link(beside, turn)
    except FileExistsError:
        other = _read(turn)
        if other is not None and not _is_alive(other, turn):
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
    """Hard-link ``place`` to ``source``. Raises FileExistsError if ``place`` exists."""
    try:
        os.link(source, place)
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS):
            raise
        with place.open("x") as file:  # a file system without hard links
            file.write(source.read_text("utf-8"))


def _is_alive(owner: Owner, place: Path) -> bool:
    if owner.host == platform.node():
        return _start_of(owner.pid) == owner.start
    try:
        return abs(_age(place)) < DEAD_AFTER_S  # negative if the clock was set back and no heartbeat has come since
    except FileNotFoundError:
        return False
    except OSError:  # without write permission, the age cannot be measured
        return True


def _age(place: Path) -> float:
    """Seconds since the last heartbeat, by the clock of the file system."""
    now = place.with_name(f".{uuid.uuid4().hex}.now")
    try:
        now.touch()
        return now.stat().st_mtime - place.stat().st_mtime
    finally:
        now.unlink(missing_ok=True)


def _send_heartbeats(place: Path, done: threading.Event) -> None:
    while not done.wait(HEARTBEAT_S):
        with contextlib.suppress(OSError):
            os.utime(place)


def _read(place: Path) -> Owner | None:
    """The owner recorded in a file; None if the file is missing or unreadable."""
    try:
        return Owner(**json.loads(place.read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _start_of(pid: int) -> str:
    """The start time of a process on this machine, in the system's own format; empty if there is no such process."""
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
