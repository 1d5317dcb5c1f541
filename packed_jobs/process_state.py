"""What a process has only one of, and a job may change: kept for the jobs that come after it in the same process."""

from __future__ import annotations

import gc
import locale
import logging
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any


@contextmanager
def restored() -> Iterator[None]:
    """After the block these are as before it: current folder, umask, environment, signal handlers, mask and timers,
    cores and limits of resources, standard streams, module search path, arguments, recursion limit, garbage collection,
    locale, and what ``logging.disable`` and filters of warnings set.
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
        now = dict(os.environ)
        changed = {name for name in now.keys() | before.keys() if now.get(name) != before.get(name)}
        for name in changed & before.keys():
            os.environ[name] = before[name]
        for name in changed - before.keys():
            del os.environ[name]
        if "TZ" in changed and hasattr(time, "tzset"):
            time.tzset()

    return undo


def _signals() -> Undo:
    if threading.current_thread() is not threading.main_thread():  # the only one that may set handlers
        return lambda: None
    before = {number: signal.getsignal(number) for number in signal.valid_signals()}
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    timers = (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF)
    had_timer = any(signal.getitimer(timer)[0] for timer in timers)  # somebody's deadline, which goes on

    def undo() -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        for timer in () if had_timer else timers:
            signal.setitimer(timer, 0)
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
    cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None

    def undo() -> None:
        if cores is not None and os.sched_getaffinity(0) != cores:
            with suppress(OSError):
                os.sched_setaffinity(0, cores)
        for kind, soft in before.items():
            with suppress(OSError, ValueError):  # the hard limit was lowered, too
                if resource.getrlimit(kind)[0] != soft:
                    resource.setrlimit(kind, (soft, resource.getrlimit(kind)[1]))

    return undo


def _interpreter() -> Undo:
    streams = {name: getattr(sys, name) for name in ("stdin", "stdout", "stderr")}
    filters: list[Any] = warnings.filters  # type: ignore[assignment]
    lists: list[tuple[list[Any], list[Any]]] = [(each, list(each)) for each in (sys.path, sys.argv, filters)]
    disabled, collects, place = logging.root.manager.disable, gc.isenabled(), locale.setlocale(locale.LC_ALL)

    def undo() -> None:
        for name, stream in streams.items():
            setattr(sys, name, stream)
        for each, before in lists:
            each[:] = before
        logging.disable(disabled)
        (gc.enable if collects else gc.disable)()
        locale.setlocale(locale.LC_ALL, place)

    return undo
