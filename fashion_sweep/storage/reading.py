"""Reads files of a folder that may hold anything: damaged, enormous, or made to do harm.

A ValueError says what is wrong with the contents; ``UnreadableError`` that nobody could look at them.
"""

from __future__ import annotations

import errno
import json
import os
import re
import stat
from pathlib import Path
from typing import Any, BinaryIO

from fashion_sweep.errors import UnreadableError

MIB = 2**20
MOST_BYTES = 64 * MIB
"""Size above which a file that we write ourselves counts as damaged."""
MOST_LEVELS = 100
"""How deeply JSON may be nested; our own is nested less than ten levels."""

_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_PIPES_DO_NOT_WAIT = os.O_NONBLOCK


def open_file(path: Path) -> BinaryIO:
    """Open a file. Raises FileNotFoundError, UnreadableError for one that cannot be read or is no regular file."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | _PIPES_DO_NOT_WAIT)
    except FileNotFoundError:
        raise
    except NotADirectoryError as error:  # a file is in the place of its folder
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path)) from error
    except OSError as error:
        raise unreadable(path, error) from error
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise UnreadableError(f"{path}: cannot be read (it is no regular file)")
    return os.fdopen(handle, "rb")


def read_start(path: Path, most: int) -> tuple[bytes, bool]:
    """The first bytes of a file, at most this many, and whether it has more. Raises as ``open_file`` does."""
    with open_file(path) as file:
        try:
            content = file.read(most + 1)
        except OSError as error:
            raise unreadable(path, error) from error
    return content[:most], len(content) > most


def read_end(path: Path, most: int) -> bytes:
    """The last bytes of a file, at most this many. Raises as ``open_file`` does."""
    with open_file(path) as file:
        try:
            file.seek(max(os.fstat(file.fileno()).st_size - most, 0))
            return file.read(most)
        except OSError as error:
            raise unreadable(path, error) from error


def read_text(path: Path, most: int = MOST_BYTES) -> str:
    """A whole UTF-8 file. Raises as ``open_file`` does, and ValueError for one with more bytes than ``most``."""
    content, has_more = read_start(path, most)
    if has_more:
        raise ValueError(f"larger than {most // MIB} MiB")
    return content.decode("utf-8-sig")


def read_json(path: Path) -> Any:
    """The value in a JSON file. Raises as ``read_text`` and ``parse_json`` do."""
    return parse_json(read_text(path))


def parse_json(text: str) -> Any:
    """The value of a JSON text; surrogates, which cannot be printed, become question marks. Raises ValueError.

    Numbers that are not finite, and deep nesting, are refused: we write neither.
    """
    try:
        value = json.loads(text, parse_constant=_not_a_number, parse_float=_finite)
    except RecursionError as error:
        raise ValueError(_too_deep()) from error
    is_plain = text.count("[") + text.count("{") <= MOST_LEVELS and not _SURROGATE.search(text)
    return value if is_plain else _printable(value, MOST_LEVELS)


def unreadable(path: Path, error: OSError) -> UnreadableError:
    """The error for a file that is there and cannot be read."""
    return UnreadableError(f"{path}: cannot be read ({error.strerror or error})")


def _printable(value: Any, levels: int) -> Any:
    if levels < 0:
        raise ValueError(_too_deep())
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, list):
        return [_printable(item, levels - 1) for item in value]
    if isinstance(value, dict):
        return {_printable(key, levels): _printable(item, levels - 1) for key, item in value.items()}
    return value


def _too_deep() -> str:
    return f"nested more than {MOST_LEVELS} levels deep"


def _not_a_number(text: str) -> float:
    raise ValueError(f"{text} is not a number of JSON")


def _finite(text: str) -> float:
    value = float(text)
    return value if abs(value) < float("inf") else _not_a_number(text[:20])
