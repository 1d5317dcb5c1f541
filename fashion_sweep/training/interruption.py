"""Ctrl-C and SIGTERM while runs train: the running epoch ends first, so that what was done is kept.

The first signal is noted, and raised when the trainer asks at the end of an epoch; a second one is raised at once.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

log = logging.getLogger(__name__)

GRACE_S = 4.0
"""Seconds that an epoch may still take. No signal reaches Python while TensorFlow computes: then the process ends."""

_Handlers = dict[signal.Signals, Any]
_received: list[int] = []  # the signal that is noted and not yet raised
_replaced: list[_Handlers] = []  # signal -> handler that stood before, while signals are noted


@contextmanager
def deferred(last_words: Callable[[], None]) -> Iterator[None]:
    """Within the block SIGINT and SIGTERM wait for ``check``; one that has waited in vain is raised at its end.

    last_words: called in another thread, where an epoch takes longer than GRACE_S, before the process ends. Signals
    reach only the main thread: in any other one, and within another such block, this does nothing.
    """
    if _replaced or threading.current_thread() is not threading.main_thread():
        yield
        return
    watch = _Watch(last_words)
    before = {number: signal.signal(number, watch.note) for number in (signal.SIGINT, signal.SIGTERM)}
    _replaced.append(before)
    try:
        yield
        check()
    finally:
        watch.stop()
        for number, handler in before.items():
            signal.signal(number, handler)
        _replaced.clear()
        _received.clear()


def is_requested() -> bool:
    """Whether a signal waits."""
    return bool(_received)


def check() -> None:
    """Raise what the signal that waits would have raised when it came; nothing where none has come."""
    if _received:
        _raise(_received.pop(), None)


class _Watch:
    def __init__(self, last_words: Callable[[], None]) -> None:
        self._last_words = last_words
        self._timer: threading.Timer | None = None

    def note(self, number: int, frame: FrameType | None) -> None:
        """The handler of both signals."""
        if self._timer is not None:  # the second one
            _received.clear()
            _raise(number, frame)
        _received.append(number)
        self._timer = threading.Timer(GRACE_S, self._give_up, [number])
        self._timer.daemon = True
        self._timer.start()

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _give_up(self, number: int) -> None:
        try:
            self._last_words()
        finally:
            logging.shutdown()
            os._exit(128 + number)


def _raise(number: int, frame: FrameType | None) -> None:
    handler = _replaced[0][signal.Signals(number)]
    if callable(handler):
        handler(number, frame)
    raise KeyboardInterrupt
