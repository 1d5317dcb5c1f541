"""Compiled programs that a process keeps from pack to pack: a small cache of anything, keyed by text."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

PROGRAMS_KEPT = 8
"""Programs in a cache; the least recently used one is dropped first."""

_Kind = TypeVar("_Kind")


class ProgramCache(Generic[_Kind]):
    """The programs that were used last."""

    def __init__(self, size: int = PROGRAMS_KEPT) -> None:
        self._size = size
        self._found: OrderedDict[str, _Kind] = OrderedDict()

    def get(self, key: Sequence[Any], make: Callable[[], _Kind]) -> _Kind:
        """The program of this key, made if there is none. key: JSON, or anything that differs in its text."""
        text = _text(key)
        if text not in self._found:
            self._found[text] = make()
        self._found.move_to_end(text)
        while len(self._found) > self._size:
            self._found.popitem(last=False)
        return self._found[text]

    def __contains__(self, key: Sequence[Any]) -> bool:
        return _text(key) in self._found

    def values(self) -> list[_Kind]:
        """All programs, the most recently used one last."""
        return list(self._found.values())

    def clear(self) -> None:
        self._found.clear()

    def __len__(self) -> int:
        return len(self._found)


def _text(key: Sequence[Any]) -> str:
    return json.dumps(key, default=str)
