"""Which jobs train together, and in which order the packs start."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from packed_jobs.local.devices import GPU_PACK_SIZE, Slot, slots
from packed_jobs.task import PickledJob, PlannedJob

Pack = list[PlannedJob]
WELL_MIXED = 4
"""From so many packs a lane on, the order of the queue evens out the lanes by itself."""


def form(jobs: Sequence[PlannedJob], pack_size: int, lanes: int) -> list[Pack]:
    """The packs of a batch, longest first.

    Jobs with equal keys join, at most pack_size of them, in packs as equal as possible: a program for so many runs is
    compiled once. Where packs are few they are halved until every lane has as many as the others.
    """
    packs = [pack for group in _groups(jobs) for pack in _evenly(group, -(-len(group) // pack_size))]
    while len(packs) % lanes and len(packs) < WELL_MIXED * lanes:
        largest = max(packs, key=_cost_if_divisible)
        if len(largest) == 1:
            break
        packs.remove(largest)
        packs.extend(_evenly(largest, 2))
    return sorted(packs, key=cost, reverse=True)


@dataclass(frozen=True)
class Preview:
    """How a batch would be trained."""

    lanes: list[str]  # what each lane owns, for people
    packs: list[list[int]]  # numbers of the jobs of each, in the order in which they start


def preview(keys_and_costs: Sequence[tuple[Hashable | None, float]], options: Mapping[str, Any]) -> Preview:
    """What the launcher would do with jobs of these keys and costs. options: its config node, resolved."""
    given = slots(options["lanes"], options["threads_per_lane"])
    size = size_of_packs(options["pack_size"], given)
    jobs = [PlannedJob(PickledJob(number, b""), number, key, cost) for number, (key, cost) in enumerate(keys_and_costs)]
    packs = form(jobs, size, len(given)) if jobs else []
    return Preview([str(slot) for slot in given], [[job.index for job in pack] for pack in packs])


def size_of_packs(pack_size: int | None, given: Sequence[Slot]) -> int:
    """The most jobs in a pack. pack_size: as in the config, None where it leaves it open."""
    return pack_size or (GPU_PACK_SIZE if given[0].gpu is not None else 1)


def cost(pack: Pack) -> float:
    """Relative time of a pack."""
    return sum(job.cost for job in pack)


def _cost_if_divisible(pack: Pack) -> float:
    return cost(pack) if len(pack) > 1 else -1.0


def _groups(jobs: Sequence[PlannedJob]) -> list[Pack]:
    """Jobs that may train together, the costliest first, so that jobs of a pack end at about the same time."""
    groups: dict[Hashable, Pack] = {}
    for job in sorted(jobs, key=lambda job: job.cost, reverse=True):
        groups.setdefault(("alone", job.index) if job.key is None else ("together", job.key), []).append(job)
    return list(groups.values())


def _evenly(group: Pack, parts: int) -> list[Pack]:
    """The group in so many parts, whose lengths differ by at most one."""
    size, longer = divmod(len(group), parts)
    bounds = [part * size + min(part, longer) for part in range(parts + 1)]
    return [group[start:end] for start, end in pairwise(bounds)]
