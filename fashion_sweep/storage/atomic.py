"""Atomic writes: a file is replaced whole or not at all."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_guarded: dict[Path, Callable[[], None]] = {}
"""Folder -> what to call before a file in it is replaced."""


def write_text(path: Path, text: str) -> None:
    """Write a whole file so that readers see the old one or the new one, never a part."""
    with replacing(path) as beside:
        beside.write_text(text, "utf-8")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``, with the same suffix; move it into place if the block succeeds.

    The folder must exist: one that was renamed or deleted meanwhile is not to come into being again.
    """
    beside = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        yield beside
        move(beside, path)
    finally:
        beside.unlink(missing_ok=True)


@contextmanager
def guarded(folder: Path, require: Callable[[], None]) -> Iterator[None]:
    """Within the block, call ``require`` before a file in a folder is replaced: it raises where that is not allowed."""
    _guarded[folder.absolute()] = require
    try:
        yield
    finally:
        del _guarded[folder.absolute()]


def move(source: Path, path: Path) -> None:
    """Move a file to its place. Raises what a guard of the folder raises."""
    check(path)
    source.replace(path)


def check(path: Path) -> None:
    """Raise what a guard of the folder raises where a file may not be written."""
    if _guarded:
        for folder in path.absolute().parents:
            _guarded.get(folder, _allow)()


def _allow() -> None:
    pass


def as_json(value: Any) -> str:
    """A value as indented JSON; numbers that are not finite become null, values of unknown types strings."""
    return json.dumps(_finite(value), indent=2, default=str, allow_nan=False) + "\n"


def _finite(value: Any) -> Any:
    """The same value with every float that is not finite replaced by None, which JSON can hold."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return value
