"""What a process has only one of, and a job may change: kept for the jobs that come after it in the same process."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any


@contextmanager
def restored() -> Iterator[None]:
    """After the block these are as before it: current folder, umask, environment, signal handlers and mask, limits of
    resources, standard streams, module search path, arguments, recursion limit, and what ``logging.disable`` sets.
    """
    with ExitStack() as undo:
        for keep in (_folder, _umask, _environment, _signals, _limits, _interpreter):
            undo.callback(keep())
        undo.callback(sys.setrecursionlimit, sys.getrecursionlimit())  # undone first: the others need frames
        yield


Undo = Callable[[], object]


def _folder() -> Undo:
    try:
        before = os.open(".", os.O_RDONLY)  # finds the folder even after it was renamed
    except OSError:  # it was deleted, or may not be read
        return lambda: None

    def undo() -> None:
        with suppress(OSError):
            os.fchdir(before)
        with suppress(OSError):  # the job has closed it
            os.close(before)

    return undo


def _umask() -> Undo:
    before = os.umask(0o077)
    os.umask(before)
    return lambda: os.umask(before)


def _environment() -> Undo:
    before = dict(os.environ)

    def undo() -> None:
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        for name, value in before.items():
            if os.environ.get(name) != value:
                os.environ[name] = value

    return undo


def _signals() -> Undo:
    if threading.current_thread() is not threading.main_thread():  # the only one that may set handlers
        return lambda: None
    before = {number: signal.getsignal(number) for number in signal.valid_signals()}
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, ())

    def undo() -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        for number, handler in before.items():
            if handler is not None and signal.getsignal(number) != handler:  # None: set by C code
                signal.signal(number, handler)

    return undo


def _limits() -> Undo:
    try:
        import resource
    except ImportError:  # Windows
        return lambda: None
    kinds = {getattr(resource, name) for name in dir(resource) if name.startswith("RLIMIT_")}
    before = {kind: resource.getrlimit(kind)[0] for kind in kinds}

    def undo() -> None:
        for kind, soft in before.items():
            with suppress(OSError, ValueError):  # the hard limit was lowered, too
                if resource.getrlimit(kind)[0] != soft:
                    resource.setrlimit(kind, (soft, resource.getrlimit(kind)[1]))

    return undo


def _interpreter() -> Undo:
    streams = {name: getattr(sys, name) for name in ("stdin", "stdout", "stderr")}
    lists: list[tuple[list[Any], list[Any]]] = [(each, list(each)) for each in (sys.path, sys.argv)]
    disabled = logging.root.manager.disable

    def undo() -> None:
        for name, stream in streams.items():
            setattr(sys, name, stream)
        for each, before in lists:
            each[:] = before
        logging.disable(disabled)

    return undo
