"""Tells a task function of jobs that could not record their end themselves."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from hydra.types import TaskFunction

from packed_jobs import compose
from packed_jobs.hydra_internals.hydra_config import as_hydra_config
from packed_jobs.task import Job, PlannedJob

INTERRUPTED = "interrupted, and killed as it did not end by itself"
"""The reason that ``on_lost`` gets for jobs that had to be killed after an interrupt."""

log = logging.getLogger(__name__)


def tell(task: TaskFunction, job: PlannedJob, reason: str) -> None:
    """Call the task function's ``on_lost``, if it has one. Does not raise."""
    on_lost: Callable[[Job, str], None] | None = getattr(task, "on_lost", None)
    if on_lost is None:
        return
    try:
        own, hydra = compose.parts(job.pickled.load_config())
        with as_hydra_config(hydra):
            on_lost(Job(own, hydra, job.number, _payload(job)), reason)
    except Exception as error:
        log.warning("\t#%d : its end could not be recorded: %s: %s", job.number, type(error).__name__, error)
        log.debug("\t#%d : on_lost failed", job.number, exc_info=True)


def _payload(job: PlannedJob) -> Any:
    """The payload of a job; None where it cannot be unpickled, which may be why the job is lost."""
    try:
        return job.pickled.load_payload()
    except Exception:
        return None
