"""Which jobs train together, and in which order the packs start."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from itertools import pairwise
from typing import NamedTuple

from packed_jobs.task import PlannedJob

Pack = list[PlannedJob]
WELL_MIXED = 4
"""With this many packs a lane, or more, the order of the queue balances the lanes by itself."""


class PackSize(NamedTuple):
    """How many jobs a pack may have."""

    most: int
    least: int = 1  # in each half of a pack that is divided only so that every lane has work

    def limited(self, most: int | None) -> PackSize:
        """The same for at most so many jobs, of which there may be fewer by default; None: as it is."""
        return self if most is None else PackSize(most, min(self.least, most))


def form(jobs: Sequence[PlannedJob], size: PackSize, lanes: int) -> list[Pack]:
    """The packs of a batch, longest first.

    Jobs with equal keys join, at most size.most of them, in packs of nearly equal size: a program is compiled once for
    each size. Few packs are halved until every lane has the same number of them.
    """
    packs = [pack for group in _groups(jobs) for pack in _evenly(group, -(-len(group) // size.most))]
    while len(packs) % lanes and len(packs) < WELL_MIXED * lanes:
        largest = max(packs, key=lambda pack: cost(pack) if len(pack) >= 2 * size.least else -1.0)
        if len(largest) < 2 * size.least:
            break
        packs.remove(largest)
        packs.extend(_evenly(largest, 2))
    return sorted(packs, key=cost, reverse=True)


def cost(pack: Pack) -> float:
    """Relative time of a pack."""
    return sum(job.cost for job in pack)


def _groups(jobs: Sequence[PlannedJob]) -> list[Pack]:
    """Jobs that may train together, the costliest first, so that jobs of a pack end at about the same time."""
    groups: dict[Hashable, Pack] = {}
    for job in sorted(jobs, key=lambda job: job.cost, reverse=True):
        groups.setdefault(("alone", job.index) if job.key is None else ("together", job.key), []).append(job)
    return list(groups.values())


def _evenly(group: Pack, parts: int) -> list[Pack]:
    """The group, divided into this many parts, whose lengths differ by at most one."""
    size, longer = divmod(len(group), parts)
    bounds = [part * size + min(part, longer) for part in range(parts + 1)]
    return [group[start:end] for start, end in pairwise(bounds)]
