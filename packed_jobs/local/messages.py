"""What goes over the channel between the parent and a lane. A lane's first message is None, its sign of life."""

from __future__ import annotations

from dataclasses import dataclass

from packed_jobs.program import Program
from packed_jobs.returns import SentReturn
from packed_jobs.task import PickledJob


@dataclass(frozen=True)
class Initialize:
    """To a lane, once, before all else."""

    program: Program


@dataclass(frozen=True)
class UpdateState:
    """To a lane: the parent's state, for the packs that follow."""

    state: bytes  # see program.captured_state


@dataclass(frozen=True)
class RunPack:
    """To a lane that is ready: run these jobs."""

    jobs: list[PickledJob]


@dataclass(frozen=True)
class JobEnded:
    """From a lane: the job has ended, well or not."""

    index: int
    job_return: SentReturn


@dataclass(frozen=True)
class Ready:
    """From a lane: it has warmed up, or all jobs of its pack have ended."""

    memory_gib: float  # that it holds


@dataclass(frozen=True)
class StartFailed:
    """From a lane: it cannot start, and ends."""

    traceback: str
