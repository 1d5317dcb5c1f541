"""What runs are called in a report: by their folders, told apart where those are called alike."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from fashion_sweep.analysis.settings import clean


def run_names(paths: Sequence[Path]) -> list[str]:
    """A name for each of the folders, no two alike, fit for any terminal, file and font."""
    numbers: Counter[str] = Counter()  # cleaning may have made some alike
    taken: dict[str, None] = {}
    for name in map(clean, distinct_names(paths)):
        unique = name
        while unique in taken:
            numbers[name] += 1
            unique = f"{name} ({numbers[name] + 1})"
        taken[unique] = None
    return list(taken)


def distinct_names(paths: Sequence[Path]) -> list[str]:
    """The folders' names, led by as many parent folders as it takes to tell those that clash apart."""
    names = [path.name for path in paths]
    depth = 1
    while clashing := {name for name, count in Counter(names).items() if count > 1}:
        depth += 1
        names = [
            "/".join(path.parts[-depth:]) if name in clashing else name for name, path in zip(names, paths, strict=True)
        ]
    return names
