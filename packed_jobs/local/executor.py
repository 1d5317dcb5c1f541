"""Runs packs in worker processes of this machine, which live for a whole sweep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import cycle, islice

from hydra.core.utils import JobReturn

from packed_jobs.executor import OnEnd, OnLost, Rules
from packed_jobs.local.devices import Slot, default_pack_size
from packed_jobs.local.pool import Lanes
from packed_jobs.local.scheduler import Scheduler
from packed_jobs.packs import Pack
from packed_jobs.program import Program
from packed_jobs.task import PlannedJob


class LocalExecutor:
    """An ``executor.Executor`` with a lane for each slot.

    lane_memory_gib: a lane that holds more is replaced between packs; None: see ``memory.limit_gib``. on_end: called
    with each job as it ends.
    """

    def __init__(
        self,
        slots: Sequence[Slot],
        lane_memory_gib: float | None,
        on_end: OnEnd = lambda _job, _returned: None,
    ) -> None:
        self.slots = len(slots)
        self.default_pack_size = default_pack_size(slots)
        self.lanes = Lanes(slots)
        self._lane_memory_gib, self._on_end = lane_memory_gib, on_end

    def start(self, program: Program, jobs: int | None, environments: Sequence[Mapping[str, str]]) -> None:
        """Start a lane for each slot, but no more than there are jobs, with these environments in turn."""
        self.lanes.set_program(program)
        count = self.slots if jobs is None else min(self.slots, jobs)
        self.lanes.start(list(islice(cycle(environments), count)))

    def run(self, packs: Sequence[Pack], program: Program, rules: Rules, on_lost: OnLost) -> dict[int, JobReturn]:
        """Run packs in lanes; those that are not needed for it end."""
        self.lanes.shrink(len(packs))
        self.lanes.set_program(program)
        return Scheduler(self.lanes, packs, rules, self._lane_memory_gib, on_lost, on_end=self._on_end).run()

    def interrupt(self) -> list[PlannedJob]:
        """Interrupt running jobs and end all lanes. Returns the jobs that had to be killed."""
        return self.lanes.interrupt()

    def kill(self) -> None:
        """End all lanes at once."""
        self.lanes.kill_all()

    def close(self) -> None:
        """End all lanes: idle ones gracefully, the others at once.

        The garbage collector calls it, and could not pass on a KeyboardInterrupt: one only ends the lanes at once.
        """
        with suppress(KeyboardInterrupt):
            self.lanes.end()
