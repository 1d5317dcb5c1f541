"""Standard streams that cannot fail: what a process prints is never worth its work.

A terminal may go away, a disk may be full, nobody may read a pipe any more, an encoding may lack a character, and a
stream may never have been there. Whatever is printed then is lost, and the process goes on.
"""

from __future__ import annotations

import codecs
import errno
import io
import os
import sys
import unicodedata
from pathlib import Path
from typing import Any

ERRORS = "legible"
"""The name of the handler of characters that an encoding lacks."""
PLAIN = {"±": "+-", "×": "x", "…": "...", "–": "-", "—": "-", "−": "-", "→": "->", "≤": "<=", "≥": ">=", "·": "."}  # noqa: RUF001
LAST_STANDARD = 2
"""The file descriptor of standard error."""
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EAGAIN)
"""Errors that may pass: what comes later is written again."""


class Stream(io.TextIOWrapper):
    """A text stream whose write and flush do not raise."""

    def write(self, text: str) -> int:
        """Write, or lose, a text. Returns its length."""
        try:
            return super().write(text)
        except (OSError, ValueError) as error:
            self._lose(error)
            return len(text)

    def flush(self) -> None:
        """Write, or lose, what is buffered."""
        try:
            super().flush()
        except (OSError, ValueError) as error:
            self._lose(error)

    def _lose(self, error: Exception) -> None:
        """Send all that follows nowhere where the stream is gone for good, so that its last flush does not fail."""
        if not isinstance(error, OSError) or error.errno in FULL:
            return
        try:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)
        except (OSError, ValueError):
            pass


def protect() -> None:
    """Give this process standard streams that cannot fail. Streams that somebody has replaced are left alone."""
    codecs.register_error(ERRORS, _legible)
    _fill_descriptors()
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None or (type(stream) is io.TextIOWrapper and stream is getattr(sys, f"__{name}__")):
            protected = opened(1 if name == "stdout" else 2) if stream is None else _protected(stream)
            setattr(sys, name, protected)
            setattr(sys, f"__{name}__", protected)
    if sys.stdin is None:
        sys.stdin = Path(os.devnull).open()  # noqa: SIM115 - it stays open


def opened(descriptor: int) -> Stream:
    """A stream that writes to a file descriptor, line by line, and does not close it."""
    codecs.register_error(ERRORS, _legible)
    raw = open(descriptor, "wb", closefd=False)  # noqa: SIM115 - the stream is its owner
    return Stream(raw, encoding="utf-8", errors=ERRORS, line_buffering=True)


def _protected(stream: io.TextIOWrapper) -> Stream:
    options: dict[str, Any] = {"line_buffering": stream.line_buffering, "write_through": stream.write_through}
    encoding = stream.encoding
    return Stream(stream.detach(), encoding=encoding, errors=ERRORS, **options)


def _fill_descriptors() -> None:
    """Open the standard file descriptors that are closed: else the next file that is opened would get what is printed
    by C code.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= LAST_STANDARD:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)


def _legible(error: UnicodeError) -> tuple[str, int]:
    """A replacement in ASCII for characters that cannot be encoded."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(_plain, error.object[error.start : error.end])), error.end


def _plain(char: str) -> str:
    text = unicodedata.normalize("NFKD", char).encode("ascii", "ignore").decode("ascii")
    return PLAIN.get(char) or text or "?"
