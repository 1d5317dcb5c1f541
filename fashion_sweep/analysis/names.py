"""Names for run folders in tables, figures and pages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from fashion_sweep.storage.plain_text import clean


def run_names(paths: Sequence[Path]) -> list[str]:
    """A unique name for each folder, safe in any terminal, file and font."""
    return unique(map(clean, distinct_names(paths)))  # cleaning may have made some names equal


def unique(names: Iterable[str]) -> list[str]:
    """The same names, those that came before with a number behind them."""
    numbers: Counter[str] = Counter()
    taken: dict[str, None] = {}
    for name in names:
        unique = name
        while unique in taken:
            numbers[name] += 1
            unique = f"{name} ({numbers[name] + 1})"
        taken[unique] = None
    return list(taken)


def distinct_names(paths: Sequence[Path]) -> list[str]:
    """The folders' names, prefixed with as many parent folders as it takes to make clashing names unique."""
    names = [path.name for path in paths]
    depth = 1
    while clashing := {name for name, count in Counter(names).items() if count > 1}:
        depth += 1
        names = [
            "/".join(path.parts[-depth:]) if name in clashing else name for name, path in zip(names, paths, strict=True)
        ]
    return names
