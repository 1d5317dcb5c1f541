"""What goes over the connection between the parent and a lane."""

from __future__ import annotations

from dataclasses import dataclass

from packed_jobs.task import PickledJob


@dataclass(frozen=True)
class Start:
    """To a lane, once: the task function, pickled by cloudpickle, and a first briefing."""

    task: bytes
    briefing: bytes


@dataclass(frozen=True)
class Brief:
    """To a lane: what it has to know of the parent process, pickled, for the packs that follow."""

    briefing: bytes


@dataclass(frozen=True)
class RunPack:
    """To a lane that is free: run these jobs."""

    jobs: list[PickledJob]


@dataclass(frozen=True)
class Done:
    """From a lane: the job has ended, well or not."""

    index: int
    job_return: bytes  # pickled JobReturn
    traceback: str  # of the exception that a failed job's JobReturn holds


@dataclass(frozen=True)
class Free:
    """From a lane: it has warmed up, or all jobs of its pack have ended."""

    memory_gib: float  # that it holds


@dataclass(frozen=True)
class Broken:
    """From a lane: it cannot start, and ends."""

    traceback: str
