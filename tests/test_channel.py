"""Messages between a parent and a lane: whole ones, torn ones, garbage, and what a forked child may not say."""

from __future__ import annotations

import os
import socket
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packed_jobs.local.channel import Channel, GarbageError, framed

KEY = bytes(range(16))


def pair() -> tuple[Channel, Channel]:
    one, other = socket.socketpair()
    return Channel(one, KEY), Channel(other, KEY)


def test_messages_arrive_whole_and_in_order() -> None:
    here, there = pair()
    sent: list[Any] = [None, {"a": [1, 2]}, b"x" * 1000]
    for message in sent:
        here.send(message)
    assert list(there.received()) == sent
    assert list(there.received()) == []


def test_a_message_that_the_socket_does_not_take_is_sent_bit_by_bit() -> None:
    here, there = pair()
    large = b"y" * 5_000_000
    here.send(large)
    assert here.has_unsent
    got: list[bytes] = []
    while not got:
        got = list(there.received())
        here.pump()
    assert got == [large]
    assert not here.has_unsent


def test_half_a_message_keeps_nobody_waiting() -> None:
    here, raw = socket.socketpair()
    channel = Channel(here, KEY)
    raw.sendall(framed(KEY, b"N.")[:-1])
    assert list(channel.received()) == []
    raw.sendall(b".")
    assert list(channel.received()) == [None]


def test_the_end_comes_after_all_that_was_sent() -> None:
    here, there = pair()
    here.send("last")
    here.close()
    left = there.received()
    assert next(left) == "last"
    with pytest.raises(EOFError):
        next(left)


@given(st.binary(min_size=1, max_size=64).filter(lambda text: not KEY.startswith(text[:16])))
def test_anything_else_is_garbage(text: bytes) -> None:
    here, raw = socket.socketpair()
    with raw:
        raw.sendall(text)
        channel = Channel(here, KEY)
        with pytest.raises(GarbageError, match="no message"):
            list(channel.received())
        channel.close()


def test_a_message_that_cannot_be_unpickled_is_garbage() -> None:
    here, raw = socket.socketpair()
    raw.sendall(framed(KEY, b"cno_such_module\nname\n."))
    with pytest.raises(GarbageError, match="cannot be read"):
        list(Channel(here, KEY).received())


def test_a_forked_child_cannot_send() -> None:
    here, there = pair()
    pid = os.fork()
    if pid == 0:
        here.send("from the child")
        os._exit(0)  # not reached
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 1
    here.send("from the parent")
    assert list(there.received()) == ["from the parent"]
