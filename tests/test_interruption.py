"""Which signals let a running epoch end, and which do not."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Sequence

import pytest

from fashion_sweep.training import interruption


def nothing() -> None: ...


@pytest.fixture(autouse=True)
def _handler() -> Iterator[None]:
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    yield
    signal.signal(signal.SIGTERM, before)


def send(*numbers: signal.Signals) -> None:
    for number in numbers:
        os.kill(os.getpid(), number)


def epoch(numbers: Sequence[signal.Signals], so_far: list[str]) -> None:
    """An epoch in which signals come."""
    with interruption.deferred(nothing):
        send(*numbers)
        assert interruption.is_requested()
        so_far.append("ended")
        interruption.check()
        so_far.append("another began")


@pytest.mark.parametrize("numbers", [[signal.SIGINT], [signal.SIGTERM], [signal.SIGTERM, signal.SIGINT]])
def test_a_signal_waits_for_the_end_of_the_epoch(numbers: list[signal.Signals]) -> None:
    so_far: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        epoch(numbers, so_far)
    assert so_far == ["ended"]
    assert not interruption.is_requested()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_same_signal_again_is_raised_at_once(number: signal.Signals) -> None:
    so_far: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        epoch([number, number], so_far)
    assert so_far == []
