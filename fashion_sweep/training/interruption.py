"""Ctrl-C and SIGTERM during training: the running epoch ends first, so that its work is kept.

The first signal is deferred until the trainer calls ``check`` at the end of an epoch; the same signal once more is
raised at once. Another signal is not: where SIGTERM is sent to all processes of a sweep, a lane gets it and then SIGINT
from its parent, which has got it as well.
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
"""Seconds that the epoch may still take before the process ends: no signal reaches Python while TensorFlow computes."""

_Handlers = dict[signal.Signals, Any]
_received: list[int] = []  # the signals that are deferred
_replaced: list[_Handlers] = []  # signal -> the handler before, while signals are deferred


@contextmanager
def deferred(on_timeout: Callable[[], None]) -> Iterator[None]:
    """Within the block, defer SIGINT and SIGTERM until ``check`` is called, or until the end of the block.

    on_timeout: called in another thread, before the process ends, if the epoch takes longer than GRACE_S. Only the main
    thread receives signals: in any other thread, and within another such block, this does nothing.
    """
    if _replaced or threading.current_thread() is not threading.main_thread():
        yield
        return
    watch = _Watch(on_timeout)
    before = {number: signal.signal(number, watch.defer) for number in (signal.SIGINT, signal.SIGTERM)}
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
    """Whether a signal is deferred."""
    return bool(_received)


def check() -> None:
    """Raise what the deferred signal would have raised, if there is one."""
    if _received:
        first = _received[0]
        _received.clear()
        _raise(first, None)


class _Watch:
    def __init__(self, on_timeout: Callable[[], None]) -> None:
        self._on_timeout = on_timeout
        self._timer: threading.Timer | None = None

    def defer(self, number: int, frame: FrameType | None) -> None:
        """The handler of both signals."""
        if number in _received:  # the second one
            _received.clear()
            _raise(number, frame)
        _received.append(number)
        if self._timer is not None:
            return
        self._timer = threading.Timer(GRACE_S, self._give_up, [number])
        self._timer.daemon = True
        self._timer.start()

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def _give_up(self, number: int) -> None:
        try:
            self._on_timeout()
        finally:
            logging.shutdown()
            os._exit(128 + number)


def _raise(number: int, frame: FrameType | None) -> None:
    handler = _replaced[0][signal.Signals(number)]
    if callable(handler):
        handler(number, frame)
    raise KeyboardInterrupt
