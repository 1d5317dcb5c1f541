"""How a batch would run on this machine, without running it."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from packed_jobs.local.devices import default_pack_size, slots
from packed_jobs.packs import form
from packed_jobs.task import PickledJob, PlannedJob


@dataclass(frozen=True)
class Preview:
    """How a batch would be trained."""

    lanes: list[str]  # what each lane owns, for people
    packs: list[list[int]]  # numbers of the jobs of each, in the order in which they start
    tasks: list[int] = field(default_factory=list)  # how many jobs each array task of a cluster has
    script: str = ""  # what a cluster is given


def preview(keys_and_costs: Sequence[tuple[Hashable | None, float]], options: Mapping[str, Any]) -> Preview:
    """What ``hydra/launcher=packed`` would do with jobs of these keys and costs. options: its config node, resolved."""
    found = slots(options["lanes"], options["threads_per_lane"])
    jobs = [PlannedJob(PickledJob(number, b""), number, *each) for number, each in enumerate(keys_and_costs)]
    packs = form(jobs, default_pack_size(found).limited(options["pack_size"]), len(found))
    return Preview([str(slot) for slot in found], [[job.index for job in pack] for pack in packs])
