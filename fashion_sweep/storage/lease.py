"""A folder has one owner at a time: the command that trains into it. Others get an error that names the owner.

The owner is recorded in ``owner.json``, which is created with a hard link: that is atomic even on network file systems,
where file locks often are not. A live owner touches the file regularly. An owner counts as dead if its heartbeats stop
or, where its PID can be looked up, if its process is gone. Ages are differences of file times alone: clocks of machines
differ. A sweep and its runs may be named by different commands, so an owner's parent and children must be free, too.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from itertools import cycle, islice
from pathlib import Path

from fashion_sweep.errors import FolderError, LostError, UnreadableError
from fashion_sweep.storage import atomic
from fashion_sweep.storage.owner import Owner, is_alive, read

OWNER = "owner.json"
HEARTBEAT_S = 20.0
"""Seconds between two heartbeats."""
CHECKED = 8
"""Leases that are looked at each time, in turn: a pack may have hundreds, on a file system that thousands use."""
CHECK_S = 1.0
"""Seconds between two looks at whether folders are still ours."""
TURN_S = 10.0
"""Seconds to wait for another process that is taking over a dead owner's folder; it takes a moment."""


class Lease:
    """The ownership of a folder. ``lost`` says why it is no longer ours, for people.

    Raises FolderError where a live process owns the folder, UnreadableError where that cannot be read.
    """

    def __init__(self, folder: Path, me: Owner) -> None:
        self.lost = ""
        self._folder, self._me = folder, me
        self._place = folder.absolute() / OWNER  # the current folder may change
        with written_into(folder):
            beside = folder / f".{me.token}.{OWNER}"
            try:
                beside.write_text(json.dumps(asdict(me)) + "\n", "utf-8")
                _take(folder / OWNER, beside, me)  # as errors are to name it
                self._file = _number(self._place)
            finally:
                beside.unlink(missing_ok=True)

    def require(self) -> None:
        """Raise LostError if the folder is no longer ours."""
        if not self.is_held():
            raise LostError(self.lost)

    def is_held(self) -> bool:
        """Whether the folder is still ours, as far as the file system can tell just now."""
        self.lost = self.lost or self._reason()
        return not self.lost

    def beat(self) -> None:
        """Show that the owner lives."""
        with contextlib.suppress(OSError):
            os.utime(self._place)

    def end(self) -> None:
        """Give the folder up, if it is still ours."""
        with contextlib.suppress(OSError, UnreadableError):
            if read(self._place) == self._me:
                self._place.unlink()

    def _reason(self) -> str:
        """Why the folder is not ours any more; empty if it is, or if the file system cannot tell just now."""
        try:
            now = _number(self._place)
            if now == self._file:
                return ""
            other = read(self._place)
        except (FileNotFoundError, NotADirectoryError):
            other = None
        except (OSError, UnreadableError):
            return ""
        if other == self._me:  # file systems exist that number their files anew
            self._file = now
            return ""
        if other is not None:
            return f"{self._folder} is owned by {other} now, so this command stopped"
        return f"{self._folder} was renamed or deleted while runs trained, so they stopped; resume it where it is now"


class _Watch:
    """A thread that keeps leases alive, and interrupts this process as Ctrl-C does when one of them is lost."""

    def __init__(self, leases: Sequence[Lease]) -> None:
        self._leases = leases
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def start(self) -> None:
        """Raises FolderError where this process may have no further thread."""
        try:
            self._thread.start()
        except RuntimeError as error:
            raise FolderError(f"leases cannot be watched ({error}); raise the limit of processes") from error

    def end(self) -> None:
        self._done.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _watch(self) -> None:
        beat, turn = time.monotonic(), cycle(self._leases)
        while not self._done.wait(min(CHECK_S, HEARTBEAT_S)):
            if any(lease.lost for lease in self._leases):  # which the main thread has seen for itself
                return
            if not all(lease.is_held() for lease in islice(turn, min(CHECKED, len(self._leases)))):
                _interrupt()
                return
            if time.monotonic() - beat >= HEARTBEAT_S:
                beat = time.monotonic()
                for lease in self._leases:
                    lease.beat()


@contextmanager
def owned(folder: Path) -> Iterator[Lease]:
    """Own an existing folder within the block, which is interrupted as by Ctrl-C when the folder is lost.

    Raises FolderError if another live process owns the folder, the one around it or one in it; UnreadableError where
    that cannot be read. Tasks that train runs in it for an earlier command go on.
    """
    lease = Lease(folder, Owner.this_process())
    watch = _Watch([lease])
    try:
        _check_neighbours(folder)
        watch.start()
        yield lease
    finally:
        watch.end()
        lease.end()


@contextmanager
def trained(folders: Sequence[Path]) -> Iterator[dict[Path, str]]:
    """Own the folders of runs within the block, for a task of a launcher, whatever becomes of the command.

    Yields why, for people, of those folders that it cannot own: somebody else trains there. What is written into a
    folder by ``atomic`` is refused with LostError once another attempt at the task has taken it. The block is
    interrupted as by Ctrl-C then.
    """
    me = Owner.this_task()
    leases: dict[Path, Lease] = {}
    refused: dict[Path, str] = {}
    with contextlib.ExitStack() as held:
        for folder in folders:
            try:
                folder.mkdir(exist_ok=True)
                leases[folder] = Lease(folder, me)
            except (OSError, FolderError) as error:
                refused[folder] = str(error)
                continue
            held.callback(leases[folder].end)
            held.enter_context(atomic.guarded(folder, leases[folder].require))
        watch = _Watch(list(leases.values()))
        held.callback(watch.end)
        watch.start()
        yield refused


@contextmanager
def written_into(folder: Path) -> Iterator[None]:
    """Within the block, turn an OSError into a FolderError: the folder cannot be written."""
    try:
        yield
    except OSError as error:
        raise FolderError(f"{folder} cannot be written ({error.strerror or error}); choose another folder") from error


def living_owner(folder: Path) -> Owner | None:
    """The process that owns the folder now; None if there is none. One that cannot be read counts as alive."""
    try:
        return _living(folder / OWNER)
    except UnreadableError as error:
        return Owner.unknown(str(error))


def owner_of_run(folder: Path) -> Owner | None:
    """The process that owns a run now: its folder, or the sweep's around it."""
    return next((owner for each in (folder, *_parents(folder)) if (owner := living_owner(each))), None)


def _living(place: Path) -> Owner | None:
    """As ``living_owner``. Raises UnreadableError."""
    owner = read(place)
    return owner if owner is not None and is_alive(owner, place) else None


def _check_neighbours(folder: Path) -> None:
    """Raise FolderError if a live process owns the folder around, or one in this folder.

    Call it as the owner: of two processes that start at once, each then sees the other.
    """
    try:
        inside = [each for each in folder.iterdir() if os.path.isdir(each)]  # noqa: PTH112 - a loop of links is none
    except OSError as error:
        raise UnreadableError(f"{folder}: cannot be listed ({error.strerror or error})") from error
    for each in _parents(folder):
        _refuse(each / OWNER, _living(each / OWNER))
    for each in inside:
        owner = _living(each / OWNER)
        _refuse(each / OWNER, owner if owner is None or not owner.task else None)


def _parents(folder: Path) -> list[Path]:
    """The folder around, as it is named and where it really is: it may be reached by a link."""
    places = dict.fromkeys((folder.absolute().parent, folder.resolve().parent))
    return [place for place in places if place.resolve() != folder.resolve()]  # that of / is itself


def _refuse(place: Path, owner: Owner | None) -> None:
    if owner is not None:
        raise FolderError(
            f"{place.parent} is in use by {owner}.\n"
            f"Wait until it finishes or stop it; if you are sure that the process is gone, delete {place}"
        )


def _take(place: Path, beside: Path, me: Owner) -> None:
    """Link ``beside`` to ``place``. Raises FolderError if a live process owns the folder."""
    patience = time.monotonic() + TURN_S
    while True:
        with contextlib.suppress(FileExistsError):
            _link(beside, place)
            return
        owner = read(place)
        if owner is not None and not me.follows(owner) and is_alive(owner, place):
            _refuse(place, owner)
        if owner is not None and _take_over(place, beside, owner, patience):
            return


def _take_over(place: Path, beside: Path, dead: Owner, patience: float) -> bool:
    """Replace a dead owner's file with ``beside``; False if another process is doing so or has done so.

    A second link serves as a lock: without it, a slow process could evict a faster one that has just taken over.
    Raises FolderError where it is another's turn until ``patience``, by time.monotonic().
    """
    turn = place.with_name(f".{OWNER}.turn")
    try:
        _link(beside, turn)
    except FileExistsError:
        other = read(turn)
        if other is not None and not is_alive(other, turn):
            turn.unlink(missing_ok=True)
        elif time.monotonic() > patience:
            _refuse(turn, other)
        time.sleep(0.01)
        return False
    try:
        if read(place) != dead:
            return False
        beside.replace(place)
        return True
    finally:
        turn.unlink(missing_ok=True)


def _link(source: Path, place: Path) -> None:
    """Hard-link ``place`` to ``source``. Raises FileExistsError if ``place`` exists."""
    try:
        os.link(source, place)
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS):
            raise
        with place.open("x") as file:  # a file system without hard links
            file.write(source.read_text("utf-8"))


def _number(place: Path) -> tuple[int, int]:
    """What tells a file from others of its name."""
    found = os.lstat(place)
    return found.st_dev, found.st_ino


def _interrupt() -> None:
    """What Ctrl-C does; SIGTERM where that is ignored, as in the background of some shells."""
    number = signal.SIGINT if callable(signal.getsignal(signal.SIGINT)) else signal.SIGTERM
    thread = threading.main_thread().ident
    if thread is not None:
        signal.pthread_kill(thread, number)
