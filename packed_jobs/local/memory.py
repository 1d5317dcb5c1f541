"""How much memory there is, and how much a lane holds.

Libraries keep some memory for each program that they compile, TensorFlow about 10 MiB, until their process ends.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

GIB = 2**30
SHARE = 0.75
"""Of the machine's memory, for all lanes together, where the config sets no limit."""
GROWTH = 1.5
"""A lane may hold this many times the memory that it held after its first pack: a fresh one would not hold less."""


def share_gib(lanes: int) -> float:
    """What one of this many lanes may hold, where the config sets no limit."""
    return SHARE * memory_gib() / lanes


def limit_gib(given: float | None, share: float, first: float) -> float:
    """What a lane may hold.

    given: as in the config, None where it sets no limit; share: see share_gib; first: held after the first pack.
    """
    return given or max(share, GROWTH * first)


def memory_gib(control_groups: Path = Path("/sys/fs/cgroup"), own: Path = Path("/proc/self/cgroup")) -> float:
    """The machine's memory, or what the control group of this process allows (version 2, as batch systems use it)."""
    found = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / GIB
    with suppress(OSError, ValueError):
        group = control_groups / own.read_text().strip().rpartition(":")[2].lstrip("/")
        for place in (group, *(parent for parent in group.parents if control_groups in (parent, *parent.parents))):
            with suppress(OSError, ValueError):  # "max": no limit here
                found = min(found, int((place / "memory.max").read_text()) / GIB)
    return found


def memory_held_gib() -> float:
    """The resident memory of this process; 0 where the system does not report it."""
    with suppress(OSError):
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / GIB
    return 0.0
