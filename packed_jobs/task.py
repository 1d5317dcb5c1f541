"""What the launcher and a task function say to each other.

A task function is any callable that takes a config. The attributes of ``PackTask`` are all optional. They must be on
the very function that ``hydra.main`` decorates, so they are set before it is decorated.
"""

from __future__ import annotations

import logging
import pickle
from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Protocol

from omegaconf import DictConfig

_speaker: ContextVar[int | None] = ContextVar("speaker", default=None)


@dataclass(frozen=True)
class Job:
    """One job of a pack, as ``PackTask.run_pack`` gets it. Its folder, .hydra/ and log exist."""

    config: DictConfig  # what the task function would have been called with: no hydra node
    hydra: DictConfig  # has the node ``hydra``, which is what HydraConfig.get() would return in this job alone
    number: int  # hydra.job.num

    @contextmanager
    def own_log(self) -> Iterator[None]:
        """Within the block, what this thread logs goes to this job's log alone, not to those of the whole pack."""
        token = _speaker.set(self.number)
        try:
            yield
        finally:
            _speaker.reset(token)


class PackTask(Protocol):
    """Attributes that a task function may offer to this launcher; none of them has to be there."""

    import_path: Sequence[str]
    """Folders that lanes search for modules before all others."""

    def __call__(self, config: DictConfig) -> Any:
        """Run one job. It runs in a lane, as under any launcher, wherever a job is alone."""

    def warm_up(self) -> None:
        """Called once in each lane as it starts, while the parent still composes: import what is slow to import."""

    def pack_key(self, config: DictConfig) -> Hashable | None:
        """Called in the parent. Jobs with equal keys may train together; with None the job runs alone."""

    def cost(self, config: DictConfig) -> float:
        """Called in the parent: how long the job takes relative to the others. The longest start first."""

    def run_pack(self, jobs: Sequence[Job]) -> Sequence[Any]:
        """Called in a lane with two jobs or more. Returns for each job its value, or the exception that it failed with;
        an exception that this raises is that of every job. HydraConfig is the last job's: read ``Job.hydra`` instead.
        """

    def on_lost(self, config: DictConfig, hydra: DictConfig, reason: str) -> None:
        """Called in the parent for a job that cannot speak for itself: its lane died or was killed."""


@dataclass(eq=False)
class PlannedJob:
    """A job as the launcher holds it."""

    index: int  # in the batch
    number: int  # hydra.job.num
    pickled: bytes  # its config, composed, with the hydra node
    key: Hashable | None = None  # of the pack that it may join
    cost: float = 1.0  # relative time
    losses: int = 0  # lanes that died of it, or with it

    def config(self) -> DictConfig:
        """The config. A sweep has thousands of jobs: pickled they take a tenth of the memory."""
        config: DictConfig = pickle.loads(self.pickled)
        return config


class OwnRecords(logging.Filter):
    """Lets through what these jobs say, and what is said for all jobs of the pack. numbers: hydra.job.num of each."""

    def __init__(self, numbers: frozenset[int]) -> None:
        super().__init__()
        self.numbers = numbers

    def filter(self, _record: logging.LogRecord) -> bool:
        speaker = _speaker.get()
        return speaker is None or speaker in self.numbers
