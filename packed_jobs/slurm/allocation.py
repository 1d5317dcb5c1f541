"""What an array task was given: lanes for it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace

from packed_jobs.local.devices import Slot, available_cores, slots


def allocated_cores() -> int:
    """How many cores Slurm gave to this task."""
    given = os.environ.get("SLURM_CPUS_PER_TASK") or os.environ.get("SLURM_CPUS_ON_NODE") or ""
    seen = len(available_cores())
    return min(seen, int(given)) if given.isdecimal() and int(given) else seen


def lanes(options: Mapping[str, int | None]) -> list[Slot]:
    """A slot for each lane, as on a machine that has what was allocated. options: lanes, threads_per_lane.

    Where Slurm does not confine tasks to their cores, lanes are not pinned: tasks beside them would take the same ones.
    """
    cores, threads = allocated_cores(), options["threads_per_lane"]
    found = slots(options["lanes"], threads)
    if found[0].gpu is not None or cores == len(available_cores()):
        return found
    count = options["lanes"] or max(1, cores // (threads or 1))
    return [replace(slot, cores=()) for slot in slots(count, threads)]
