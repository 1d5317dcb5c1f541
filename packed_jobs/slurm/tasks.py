"""Which packs an array task runs."""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence

from packed_jobs.local.devices import GPU_LANES, GPU_PACK_SIZE
from packed_jobs.packs import Pack, PackSize, cost
from packed_jobs.slurm.options import SlurmOptions

ROUNDS = 4
"""The most tasks that follow one another in a place of the array, on average: each begins with seconds of imports."""
LEAST_S = 600.0
"""Seconds that a task works at least, where the time of jobs is known: Slurm takes some to start each."""


def lanes_of(options: SlurmOptions, lanes: int | None) -> int:
    """How many lanes a task has, as ``allocation.lanes`` will find. lanes: None where the config does not say."""
    cores, gpus = options.cpus_per_task or 1, (options.gpus_per_node or 1) if options.has_gpus else 0
    return lanes or (gpus * max(1, min(GPU_LANES, cores // gpus)) if gpus else cores)


def default_pack_size(options: SlurmOptions) -> PackSize:
    """How many jobs a pack has where the config does not say."""
    return GPU_PACK_SIZE if options.has_gpus else PackSize(1)


def grouped(packs: Sequence[Pack], options: SlurmOptions, lanes: int) -> list[list[Pack]]:
    """The packs of each task. lanes: of a task.

    With runs_per_task, a task has at most so many jobs, unless one pack has more. Else tasks take about equally long:
    ROUNDS times array_parallelism of them, but fewer where a GPU, or a lane on cores, would have no pack, or where a
    lane would work for less than LEAST_S.
    """
    if options.runs_per_task is not None:
        return _filled(packs, options.runs_per_task)
    seconds = _seconds(packs)
    most = len(packs) if seconds is None else max(1, int(seconds / lanes / LEAST_S))
    places = options.gpus_per_node or 1 if options.has_gpus else lanes
    return _balanced(packs, min(math.ceil(len(packs) / places), most, ROUNDS * options.array_parallelism))


def _seconds(packs: Sequence[Pack]) -> float | None:
    """Seconds that all packs take one after another; None where those of a job are not known."""
    known = [[job.seconds for job in pack if job.seconds is not None] for pack in packs]
    if any(len(seconds) < len(pack) for seconds, pack in zip(known, packs, strict=True)):
        return None
    return sum(max(seconds) for seconds in known)


def _filled(packs: Sequence[Pack], runs_per_task: int) -> list[list[Pack]]:
    """Packs in their order, as many in a task as fit."""
    tasks: list[list[Pack]] = []
    room = 0
    for pack in packs:
        if not tasks or room < len(pack):
            tasks.append([])
            room = runs_per_task
        tasks[-1].append(pack)
        room -= len(pack)
    return tasks


def _balanced(packs: Sequence[Pack], count: int) -> list[list[Pack]]:
    """Each pack, the costliest first, in the task that has least to do."""
    tasks: list[list[Pack]] = [[] for _ in range(count)]
    least = [(0.0, 0, number) for number in range(count)]
    for pack in sorted(packs, key=cost, reverse=True):
        total, jobs, number = least[0]
        tasks[number].append(pack)
        heapq.heapreplace(least, (total + cost(pack), jobs + len(pack), number))
    return tasks
