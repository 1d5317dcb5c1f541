"""Runs jobs in this process, one by one or as a pack, each with all that Hydra promises a job.

Hydra's own ``run_job`` opens a job (folder, .hydra/, log, callbacks), calls its task function and closes it. The jobs
of a pack nest: the task function of the first opens the second, and the innermost one runs the pack, so that every job
of it is opened and closed by Hydra itself.
"""

from __future__ import annotations

import functools
import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn, run_job
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from packed_jobs.compose import failed
from packed_jobs.errors import JobExitedError, JobNotOpenedError
from packed_jobs.hydra_internals import hydra_config
from packed_jobs.process_state import restored
from packed_jobs.task import Job, OwnRecords, PickledJob

FRAMES_A_JOB = 8
"""An upper bound of the stack frames that a nested job takes."""

log = logging.getLogger(__name__)
Report = Callable[[int, JobReturn], None]


def run_jobs(task: TaskFunction, context: HydraContext, jobs: Sequence[PickledJob], report: Report) -> None:
    """Run jobs and report each as it ends, under its index in the batch. Raises only KeyboardInterrupt.

    A task function without ``run_pack`` gets its jobs one after another. What they change of the process is restored.
    """
    if hasattr(task, "run_pack"):
        with restored():
            _Pack(task, context, jobs, report).run()
        return
    for job in jobs:
        with restored():
            returned = _run_alone(task, context, job.load_config())
        report(job.index, returned)


def _run_alone(task: TaskFunction, context: HydraContext, config: DictConfig) -> JobReturn:
    @functools.wraps(task)
    def guarded(job_config: DictConfig) -> Any:
        try:
            return _without_exit(task, job_config)
        except Exception:
            log.exception("The job failed")
            raise

    try:
        return _run_job(guarded, context, config)
    except Exception as error:
        return failed(config, _not_opened(error))


def _not_opened(error: Exception) -> JobNotOpenedError:
    opened = JobNotOpenedError(f"the job could not be opened: {type(error).__name__}: {error}")
    opened.__cause__ = error
    return opened


def _run_job(task: TaskFunction, context: HydraContext, config: DictConfig) -> JobReturn:
    """Hydra's run_job. Raises FileNotFoundError where the folder of all jobs is gone, which Hydra would make anew."""
    if not Path(str(config.hydra.sweep.dir)).is_dir():
        raise FileNotFoundError(f"{config.hydra.sweep.dir}: the folder is gone; it was renamed or deleted")
    return run_job(
        task_function=task,
        config=config,
        job_dir_key="hydra.sweep.dir",
        job_subdir_key="hydra.sweep.subdir",
        hydra_context=context,
    )


def _without_exit(function: Callable[[Any], Any], argument: Any) -> Any:
    """Call the function. Raises JobExitedError where it calls sys.exit: other jobs need the process."""
    try:
        return function(argument)
    except SystemExit as stopped:
        raise JobExitedError(f"the job called sys.exit({stopped.code!r})") from stopped


class _Pack:
    """Jobs that run together, opened one inside the other."""

    def __init__(self, task: TaskFunction, context: HydraContext, jobs: Sequence[PickledJob], report: Report) -> None:
        self.task, self.context, self.jobs, self.report = task, context, jobs, report
        self.opened: dict[int, Job] = {}  # by index in the batch
        self.logs: dict[str, tuple[logging.FileHandler, set[int]]] = {}  # by path, with the jobs that log there
        self.results: dict[int, Any] = {}

    def run(self) -> None:
        limit = sys.getrecursionlimit()
        sys.setrecursionlimit(limit + FRAMES_A_JOB * len(self.jobs))
        try:
            self._open(0)
        finally:
            sys.setrecursionlimit(limit)

    def _open(self, level: int) -> None:
        """Open the job of this level and those after it, run them all, close it."""
        if level == len(self.jobs):
            self._run_opened()
            return
        job = self.jobs[level]
        config = job.load_config()
        try:
            returned = _run_job(self._inside(level, job.load_payload()), self.context, config)
        except Exception as error:  # this job cannot be opened: the others go on without it
            if job.index not in self.opened:
                self._open(level + 1)
                error = _not_opened(error)
            returned = failed(config, error)
        self.report(job.index, returned)

    def _inside(self, level: int, payload: Any) -> TaskFunction:
        index = self.jobs[level].index

        @functools.wraps(self.task)
        def inside(config: DictConfig) -> Any:
            hydra = hydra_config.current()
            self.opened[index] = Job(config, hydra, hydra.hydra.job.num, payload)
            self._note_logs(hydra.hydra.job.num)
            self._open(level + 1)
            if isinstance(self.results[index], BaseException):
                raise self.results[index]
            return self.results[index]

        return inside

    def _note_logs(self, number: int) -> None:
        """Remember the log files of the job just opened: opening the next job removes them from the root logger."""
        for handler in logging.getLogger().handlers:
            if isinstance(handler, logging.FileHandler):
                self.logs.setdefault(handler.baseFilename, (handler, set()))[1].add(number)

    def _run_opened(self) -> None:
        jobs = list(self.opened.values())
        with self._all_logs() if len(self.jobs) > 1 else nullcontext():
            if len(jobs) > 1:
                log.info("%d jobs run together: %s", len(jobs), ", ".join(f"#{job.number}" for job in jobs))
            self.results = dict(zip(self.opened, self._results(jobs), strict=True))
            for index, job in self.opened.items():
                _log_end(job, self.results[index])

    def _results(self, jobs: list[Job]) -> list[Any]:
        """What run_pack returned: a value or an exception for each job."""
        run_pack: Callable[[list[Job]], Sequence[Any]] = self.task.run_pack  # type: ignore[attr-defined]
        try:
            results = list(_without_exit(run_pack, jobs)) if jobs else []
        except Exception as error:
            return [error] * len(jobs)
        if len(results) == len(jobs):
            return results
        return [ValueError(f"run_pack returned {len(results)} results for {len(jobs)} jobs")] * len(jobs)

    @contextmanager
    def _all_logs(self) -> Iterator[None]:
        """Within the block, each job's log file gets what is logged for the whole pack, and what that job logs."""
        root = logging.getLogger()
        before, files = root.handlers, [_reopened(*noted) for noted in self.logs.values()]
        root.handlers = [*(h for h in before if not isinstance(h, logging.FileHandler)), *files]
        try:
            yield
        finally:
            root.handlers = before
            for handler in files:
                handler.close()


def _reopened(handler: logging.FileHandler, numbers: set[int]) -> logging.FileHandler:
    """A handler like the given one, which is closed, for the jobs of these numbers."""
    again = logging.FileHandler(handler.baseFilename, mode="a", encoding=handler.encoding)
    again.setFormatter(handler.formatter)
    again.setLevel(handler.level)
    for each in (*handler.filters, OwnRecords(frozenset(numbers))):
        again.addFilter(each)
    return again


def _log_end(job: Job, result: Any) -> None:
    with job.own_log():
        if isinstance(result, BaseException):
            log.error("Job #%d failed", job.number, exc_info=result)
        else:
            log.info("Job #%d ended", job.number)
