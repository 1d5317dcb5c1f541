"""Batches of jobs: composed, prepared, formed into packs and handed to an executor. What Hydra's launchers share."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn, configure_log, filter_overrides, setup_globals
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from packed_jobs import compose, lost
from packed_jobs.errors import NotStartedError
from packed_jobs.executor import NOT_STARTED, Executor, Rules
from packed_jobs.hydra_internals.config_loader import fast_loader, plain_loader
from packed_jobs.packs import form
from packed_jobs.program import Program, captured_state, make_program
from packed_jobs.task import PlannedJob

log = logging.getLogger(__name__)


class BatchRunner:
    """Runs the batches of one sweep. pack_size: the most jobs in a pack, None for the executor's default."""

    def __init__(self, executor: Executor, pack_size: int | None, rules: Rules) -> None:
        self.executor, self.rules = executor, rules
        self.pack_size = executor.default_pack_size.limited(pack_size)
        self._has_folder = False
        self.context: HydraContext
        self.worker_context: HydraContext  # with Hydra's own config loader
        self.task: TaskFunction
        self.config: DictConfig
        self.program: Program

    def setup(self, context: HydraContext, task: TaskFunction, config: DictConfig) -> None:
        """Start the executor, and make composition fast, for the sweeper as well, which has the same context."""
        self.context, self.task, self.config = context, task, config
        self.worker_context = copy.copy(context)
        self.worker_context.config_loader = plain_loader(context.config_loader)
        context.config_loader = fast_loader(context.config_loader)
        self.program = make_program(task, self.worker_context)
        environments: Callable[[], Sequence[Mapping[str, str]]] = getattr(self.task, "environments", list)
        self.executor.start(self.program, self._planned_jobs(), environments() or [{}])

    def _planned_jobs(self) -> int | None:
        """How many jobs there will be, where the task function has planned them."""
        planned: Callable[[], Sequence[Any] | None] = getattr(self.task, "jobs", lambda: None)
        jobs = planned()
        return None if jobs is None else len(jobs)

    def run(self, job_overrides: Sequence[Sequence[str]], first_number: int) -> list[JobReturn]:
        """Run a batch of jobs. Returns a JobReturn for each, in the same order.

        Raises KeyboardInterrupt, after the interrupted jobs have had a few seconds to record themselves, and what Hydra
        raises for a config that cannot be composed.
        """
        setup_globals()
        configure_log(self.config.hydra.hydra_logging, self.config.hydra.verbose)
        self._make_folder()
        try:
            return self._run(job_overrides, first_number)
        except KeyboardInterrupt:
            for job in self.executor.interrupt():
                self._on_lost(job, lost.INTERRUPTED)
            raise
        except BaseException:
            self.executor.kill()
            raise

    def _make_folder(self) -> None:
        """Make the folder of all jobs, once: where it is gone later, somebody has renamed or deleted it."""
        if not self._has_folder:
            Path(str(self.config.hydra.sweep.dir)).mkdir(parents=True, exist_ok=True)
            self._has_folder = True

    def _run(self, job_overrides: Sequence[Sequence[str]], first_number: int) -> list[JobReturn]:
        jobs = compose.plan(self.context, self.config, job_overrides, first_number, self.task)
        returns = self._fail_unprepared(jobs)
        packs = form([job for job in jobs if job.index not in returns], self.pack_size, self.executor.slots)
        log.info("Launching %d jobs in %d packs on %d lanes", len(jobs), len(packs), self.executor.slots)
        for job, overrides in zip(jobs, job_overrides, strict=True):
            log.info("\t#%d : %s", job.number, " ".join(filter_overrides(overrides)))
        program = replace(self.program, state=captured_state(self.worker_context))
        returns |= self.executor.run(packs, program, self.rules, self._on_lost)
        return [returns[job.index] for job in jobs]

    def _fail_unprepared(self, jobs: Sequence[PlannedJob]) -> dict[int, JobReturn]:
        """The JobReturns of jobs that will not run, by index: not prepared, or not started because of fail_fast."""
        returns = {job.index: self._fail(job, job.error) for job in jobs if job.error is not None}
        if returns and self.rules.fail_fast:
            rest = [job for job in jobs if job.index not in returns]
            returns |= {job.index: compose.failed_job(job, NotStartedError(NOT_STARTED)) for job in rest}
        return returns

    def _fail(self, job: PlannedJob, error: Exception) -> JobReturn:
        reason = f"{type(error).__name__}: {error}"
        log.error("\t#%d could not be prepared: %s", job.number, reason)
        self._on_lost(job, f"the job could not be prepared: {reason}")
        return compose.failed_job(job, error)

    def _on_lost(self, job: PlannedJob, reason: str) -> None:
        lost.tell(self.task, job, reason)
