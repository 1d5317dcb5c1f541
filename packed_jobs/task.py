"""The protocol between the launcher and a task function.

A task function is any callable that takes a config. The attributes of ``PackTask`` are all optional. They must be on
the very function that ``hydra.main`` decorates, so they are set before it is decorated.
"""

from __future__ import annotations

import logging
import pickle
from collections.abc import Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Protocol

from omegaconf import DictConfig

_log_owner: ContextVar[int | None] = ContextVar("log_owner", default=None)


@dataclass(frozen=True)
class Prepared:
    """What a task function knows of a job before it runs."""

    pack_key: Hashable | None = None  # jobs with equal keys may train together; None: the job runs alone
    cost: float = 1.0  # how long the job takes relative to the others; the longest start first
    payload: Any = None  # picklable; the process that runs the job gets a copy as Job.payload
    environment: Mapping[str, str] = field(default_factory=dict)  # variables that its process has to start with
    seconds: float | None = None  # that the job takes by itself, where that is known


@dataclass(frozen=True)
class Job:
    """One job of a pack, as ``PackTask.run_pack`` gets it. Its folder, .hydra/ and log exist."""

    config: DictConfig  # what the task function would have been called with: no hydra node
    hydra: DictConfig  # has the node ``hydra``, which is what HydraConfig.get() would return in this job alone
    number: int  # hydra.job.num
    payload: Any = None  # of its Prepared

    @contextmanager
    def own_log(self) -> Iterator[None]:
        """Within the block, what this thread logs goes to this job's log alone, not to those of the whole pack."""
        token = _log_owner.set(self.number)
        try:
            yield
        finally:
            _log_owner.reset(token)


class PackTask(Protocol):
    """Attributes that a task function may offer to the launcher and to the sweeper ``planned``; all are optional."""

    import_path: Sequence[str]
    """Folders that lanes search for modules before all others."""

    def __call__(self, config: DictConfig) -> Any:
        """Run one job: under other launchers, and in a lane where the task function has no ``run_pack``."""

    def environments(self) -> Sequence[Mapping[str, str]]:
        """Called in the parent before any job is prepared: the different environments that jobs will ask for."""

    def warm_up(self) -> None:
        """Called once in each lane as it starts, while the parent still composes: import what is slow to import, and
        fits the lane's environment.
        """

    def jobs(self) -> Sequence[Sequence[str]] | None:
        """Called by the sweeper: the overrides of each job to launch, expanded and checked; None: the whole grid."""

    def number_of(self, overrides: Sequence[str]) -> int | None:
        """Called in the parent: the job's number (hydra.job.num); None: its position among the jobs launched."""

    def prepare(self, config: DictConfig, number: int) -> Prepared:
        """Called in the parent, once a job.

        config: as composed, with its hydra node, to which HydraConfig is set; the job's folder is not known yet.
        number: hydra.job.num. A job for which this raises fails with that exception; the others run.
        """

    def run_pack(self, jobs: Sequence[Job]) -> Sequence[Any]:
        """Called in a lane with one job or more. Returns for each its value, or the exception that it failed with; an
        exception that this raises is that of every job. HydraConfig is the last job's: read ``Job.hydra`` instead.
        """

    def succeeded(self, value: Any) -> bool:
        """Called in a task of a cluster: whether what a job returned means success; else the task's exit code is 1."""

    def on_lost(self, job: Job, reason: str) -> None:
        """Called in the parent for a job that cannot record its own end: its lane died or was killed, or it could not
        be prepared, in which case it has no payload. HydraConfig is the job's.
        """


@dataclass(eq=False)
class PickledJob:
    """A composed job, as it goes to the process that runs it. As objects, configs take ten times the memory."""

    index: int  # in the batch
    config: bytes  # with the hydra node
    payload: bytes | None = None

    def load_config(self) -> DictConfig:
        """Unpickle the config."""
        config: DictConfig = pickle.loads(self.config)
        return config

    def load_payload(self) -> Any:
        """Unpickle the payload; None where there is none."""
        return None if self.payload is None else pickle.loads(self.payload)


@dataclass(eq=False)
class PlannedJob:
    """A job as the launcher holds it."""

    pickled: PickledJob
    number: int  # hydra.job.num
    key: Hashable | None = None  # of the pack that it may join
    cost: float = 1.0  # relative time
    environment: Mapping[str, str] = field(default_factory=dict)  # see Prepared
    seconds: float | None = None  # see Prepared
    folder: str = ""  # its name in the folder of all jobs; empty where it cannot be resolved
    error: Exception | None = None  # why it could not be prepared
    lane_failures: int = 0  # lanes that died while they had the job

    @property
    def index(self) -> int:
        """Its position in the batch."""
        return self.pickled.index


class OwnRecords(logging.Filter):
    """Lets through what is logged of these jobs, or of the whole pack. numbers: hydra.job.num of each."""

    def __init__(self, numbers: frozenset[int]) -> None:
        super().__init__()
        self.numbers = numbers

    def filter(self, _record: logging.LogRecord) -> bool:
        owner = _log_owner.get()
        return owner is None or owner in self.numbers
