"""Messages between the parent and a lane over a socket, such that neither can make the other wait or speak for it.

The parent reads and writes only what the socket takes at once: a lane that has stopped, or that is sent half a message,
holds up no other. Each message begins with a key that only the two know, since a job may write to any file descriptor
of its process; and a process that a job has forked off ends where it would send one.
"""

from __future__ import annotations

import os
import pickle
import select
import socket
from collections.abc import Iterator
from typing import Any

CHUNK = 2**20
"""Bytes that are read at a time."""
LENGTH_BYTES = 8


class GarbageError(EOFError):
    """What came is no message, and nothing that follows can be one."""


class Channel:
    """One end of a connection. key: random bytes, the same at both ends."""

    def __init__(self, end: socket.socket, key: bytes) -> None:
        self._socket, self._key, self._owner = end, key, os.getpid()
        self._incoming, self._outgoing = bytearray(), bytearray()
        end.setblocking(False)

    def fileno(self) -> int:
        """For selectors."""
        return self._socket.fileno()

    @property
    def has_unsent(self) -> bool:
        """Whether ``pump`` has something to send."""
        return bool(self._outgoing)

    def send(self, message: Any) -> None:
        """Send a message; what the socket does not take now is kept for ``pump``. Raises OSError where the other end is
        gone.
        """
        if os.getpid() != self._owner:
            os._exit(1)  # a forked child has no business here, and must not run what follows
        self._outgoing += framed(self._key, pickle.dumps(message, pickle.HIGHEST_PROTOCOL))
        self.pump()

    def pump(self) -> None:
        """Send as much as the socket takes now. Raises OSError where the other end is gone."""
        try:
            while self._outgoing:
                del self._outgoing[: self._socket.send(self._outgoing)]
        except BlockingIOError:
            return

    def send_all(self, message: Any) -> None:
        """Send a message and wait until all of it is sent. Raises OSError where the other end is gone."""
        self.send(message)
        while self._outgoing:
            self._wait(select.POLLOUT)
            self.pump()

    def received(self) -> Iterator[Any]:
        """The whole messages that have come. Raises EOFError where the other end is gone and all are read, GarbageError
        for anything that is no message.
        """
        is_open = self._read()
        while True:
            length = self._length()
            start = len(self._key) + LENGTH_BYTES
            if length is None or len(self._incoming) < start + length:
                break
            body = bytes(self._incoming[start : start + length])
            del self._incoming[: start + length]
            yield _loaded(body)
        if not is_open:
            raise EOFError

    def next(self) -> Any:
        """Wait for a message. Raises as ``received``."""
        while True:
            for message in self.received():
                return message  # what follows it stays where it is
            self._wait(select.POLLIN)

    def close(self) -> None:
        self._socket.close()

    def _wait(self, event: int) -> None:
        poll = select.poll()
        poll.register(self._socket, event)
        poll.poll()

    def _read(self) -> bool:
        """Read what has come. Returns whether more can come."""
        try:
            while chunk := self._socket.recv(CHUNK):
                self._incoming += chunk
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    def _length(self) -> int | None:
        """The length of the message that comes next; None where not even that has come."""
        size = len(self._key)
        if not self._key.startswith(self._incoming[:size]):
            raise GarbageError("sent something that is no message")
        if len(self._incoming) < size + LENGTH_BYTES:
            return None
        return int.from_bytes(self._incoming[size : size + LENGTH_BYTES], "big")


def framed(key: bytes, body: bytes) -> bytes:
    """A pickled message as it is sent. ``worker_main`` spells one out, as it may import nothing yet."""
    return key + len(body).to_bytes(LENGTH_BYTES, "big") + body


def _loaded(body: bytes) -> Any:
    try:
        return pickle.loads(body)
    except Exception as error:
        raise GarbageError(f"sent a message that cannot be read ({type(error).__name__})") from error
