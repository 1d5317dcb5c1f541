"""How a command ends that is told to: the exit codes of signals, and in time.

A KeyboardInterrupt can get lost: where it is raised in a library, what that cleans up may fail and raise another error,
which somebody catches. So a signal is kept until ``heard`` or ``check`` has raised it.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

INTERRUPTED = 128
"""Exit codes from here on are those of signals."""

END_WITHIN_S = 9.0
"""Seconds that the command takes at most to end after SIGTERM: what sent it will soon kill."""


AGAIN_S = 0.5
"""Seconds after which code that goes on past a deadline is stopped again."""


class Terminated(KeyboardInterrupt):
    """SIGTERM came: runs end as they do on Ctrl-C."""

    def __init__(self) -> None:
        super().__init__()
        self.deadline = time.monotonic() + END_WITHIN_S


class NoTimeError(BaseException):
    """The command must end now. Libraries that catch every Exception do not stop it."""


_came: list[signal.Signals] = []  # and may have got lost


def handle() -> None:
    """Have SIGINT and SIGTERM interrupt this process. SIGINT stays ignored where it is, as in a shell's background."""
    signal.signal(signal.SIGTERM, _interrupt)
    if callable(signal.getsignal(signal.SIGINT)):
        signal.signal(signal.SIGINT, _interrupt)


def _interrupt(number: int, _frame: FrameType | None) -> NoReturn:
    _came.append(signal.Signals(number))
    raise Terminated if number == signal.SIGTERM else KeyboardInterrupt


def check() -> None:
    """Raise the interruption that has come, if there is one, for the last time."""
    if _came:
        number = _came[0]
        _came.clear()
        raise Terminated if number is signal.SIGTERM else KeyboardInterrupt


@contextmanager
def heard() -> Iterator[None]:
    """Raise an interruption that comes within the block at its end, whatever has become of it."""
    try:
        yield
    finally:
        check()


def ignore() -> None:
    """Ignore both signals from now on: all is done, and the process is about to end."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def exit_code(interruption: KeyboardInterrupt) -> int:
    """Of a command that was interrupted."""
    return INTERRUPTED + (signal.SIGTERM if isinstance(interruption, Terminated) else signal.SIGINT)


@contextmanager
def by(deadline: float | None) -> Iterator[None]:
    """Within the block NoTimeError is raised when time.monotonic() reaches the deadline, if there is one."""
    if deadline is None:
        yield
        return

    def stop(_signal: int, _frame: FrameType | None) -> NoReturn:
        raise NoTimeError

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, max(0.1, deadline - time.monotonic()), AGAIN_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
