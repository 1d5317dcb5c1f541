"""Works out the points of a large grid in several processes: composing and checking one takes OmegaConf milliseconds.

Each process is a copy of this one, so that it finds the same configs, environment, cached dataset and code; it hands
back what it has made, and whatever goes wrong there is done again here, where errors are shown. Nothing is forked where
a copy could differ from this process: with threads, compute libraries or resolvers that may keep a state.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import Any, TypeVar

from fashion_sweep.errors import UserError
from packed_jobs.hydra_internals.session import own_resolvers
from packed_jobs.local.devices import available_cores

Made = TypeVar("Made")

FEWEST = 200
"""Points of a grid that are worth other processes."""
CHUNK = 25
"""Points that a process works out before it hands them back."""
MOST = 16
"""Processes: each may need some 100 MB."""
UNFIT = ("tensorflow", "jax", "torch")
"""Libraries whose threads do not survive a fork."""

_make: Callable[[int], Any]
"""In a forked process, what makes a point."""


class _Again:
    """Stands for a point that failed in a way that the other process cannot report."""


def each(make: Callable[[int], Made], count: int, *, is_forkable: bool) -> Iterator[Made | UserError]:
    """``make(0)`` to ``make(count - 1)`` in this order, or the UserError that one raises. Raises what else it raises.

    is_forkable: whether a call changes nothing that a later one, or the caller, needs.
    """
    if not count:
        return
    yield _tried(make, 0)  # fills the caches that the copies start with
    done = 1
    if is_forkable and count >= FEWEST and _can_fork():
        for found in _forked(make, count):
            yield _tried(make, done) if isinstance(found, _Again) else found
            done += 1
    for number in range(done, count):
        yield _tried(make, number)


def _can_fork() -> bool:
    is_lone = threading.active_count() == 1 and not any(name in sys.modules for name in UNFIT)
    return is_lone and hasattr(os, "fork") and len(available_cores()) > 1 and own_resolvers() <= {"run_name"}


def _forked(make: Callable[[int], Made], count: int) -> Iterator[Made | UserError | _Again]:
    """The points after the first one, as far as the processes get."""
    executor = ProcessPoolExecutor(
        min(len(available_cores()), MOST), multiprocessing.get_context("fork"), _start, (make, os.getpid())
    )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # NumPy's threads, which outlive a fork
            found = executor.map(_outcome, range(1, count), chunksize=CHUNK)
        yield from found
    except Exception:  # one was killed, no more may be started, or a point cannot be sent: the caller makes the rest
        return
    finally:
        executor.shutdown(wait=False, cancel_futures=True)


def _start(make: Callable[[int], Any], parent: int) -> None:
    global _make  # noqa: PLW0603 - a function of the parent, which only a fork can hand on
    _make = make
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGINT, signal.SIGTERM):
        if callable(signal.getsignal(number)):  # ignored ones stay ignored
            signal.signal(number, signal.SIG_DFL)
    threading.Thread(target=_exit_with_parent, args=(parent,), daemon=True).start()


def _exit_with_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(1)


def _outcome(number: int) -> Any:
    try:
        return _tried(_make, number)
    except Exception:
        return _Again()


def _tried(make: Callable[[int], Made], number: int) -> Made | UserError:
    try:
        return make(number)
    except UserError as error:
        return error
