"""The seam between forming packs and running them: executors run packs in processes, on this machine or elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from hydra.core.utils import JobReturn

from packed_jobs.packs import Pack, PackSize
from packed_jobs.program import Program
from packed_jobs.task import PlannedJob

NOT_STARTED = "not started: fail_fast, and a job before it failed"
"""The message of the NotStartedError of jobs that fail_fast keeps from starting."""
OnLost = Callable[[PlannedJob, str], None]
"""Called with a job that ended without recording its end itself, and the reason."""
OnEnd = Callable[[PlannedJob, JobReturn], None]
"""Called with a job that has ended, in whatever way, and its JobReturn."""


@dataclass(frozen=True)
class Rules:
    """How jobs that go wrong are treated."""

    timeout_min: float | None  # minutes a job may take, a pack of n: n times as many; None: no limit
    fail_fast: bool  # start no further job after the first that failed


class Executor(Protocol):
    """Runs packs. One executor serves one launcher, from ``start`` to ``close``.

    ``local.executor.LocalExecutor`` keeps worker processes on this machine. ``slurm.executor.SlurmExecutor`` submits
    each batch as job arrays, whose tasks run their packs with the first one.
    """

    @property
    def slots(self) -> int:
        """How many packs run at the same time; packs are formed so that all slots are busy."""

    @property
    def default_pack_size(self) -> PackSize:
        """How many jobs a pack has where the config does not say."""

    def start(self, program: Program, jobs: int | None, environments: Sequence[Mapping[str, str]]) -> None:
        """Called once, before the first batch is composed: start what takes long to start. Returns at once.

        jobs: how many there will be at most; None where nobody knows. environments: those that jobs are likely to ask
        for, at least one.
        """

    def run(self, packs: Sequence[Pack], program: Program, rules: Rules, on_lost: OnLost) -> dict[int, JobReturn]:
        """Run the packs of a batch, in this order. Returns a JobReturn for each job, by ``PlannedJob.index``.

        program: as in ``start``, with the state that the parent has now. The jobs of a pack have equal environments
        and run in a process that was started with these variables. A job that fails, or whose process dies, has a
        JobReturn with the exception; ``on_lost`` is called for the latter. Raises KeyboardInterrupt, and what keeps the
        whole batch from running.
        """

    def interrupt(self) -> list[PlannedJob]:
        """Called after a KeyboardInterrupt in ``run``: have running jobs record themselves, then end all processes; at
        once on another KeyboardInterrupt. Returns the jobs that had to be killed.
        """

    def kill(self) -> None:
        """End all processes at once; called after an unexpected exception. ``run`` may be called again."""

    def close(self) -> None:
        """End all processes, idle ones gracefully; called when the launcher is no longer used, also after ``kill``."""
