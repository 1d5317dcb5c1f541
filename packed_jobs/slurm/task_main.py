"""What an array task runs, as ``python -m packed_jobs.slurm.task_main FOLDER NUMBER``: its packs, in lanes of its own.

A signal interrupts the jobs, so that they save their states: SIGUSR1 or SIGTERM, before a time limit and where the task
is preempted or cancelled, or SIGINT from the submitter, who wants all to end. Then the task is requeued, unless Slurm
or the submitter has ended it. One that starts again passes over the jobs that have returned.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from types import FrameType
from typing import Any

from hydra.core.utils import JobReturn, JobStatus
from hydra.types import TaskFunction

from packed_jobs import lost, streams
from packed_jobs.compose import failed_job
from packed_jobs.errors import JobTimeoutError
from packed_jobs.hydra_internals.job_return import result_of
from packed_jobs.local.executor import LocalExecutor
from packed_jobs.packs import Pack
from packed_jobs.program import restore_state
from packed_jobs.returns import sent
from packed_jobs.slurm import allocation, cluster
from packed_jobs.slurm.submission import Submission, TaskFile
from packed_jobs.task import PlannedJob

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)
ENDING_S = 60.0
"""Seconds that Slurm has to end a task that it requeues."""

log = logging.getLogger(__name__)


class Stopped(KeyboardInterrupt):
    """A signal came. Slurm is asked what that means when somebody wants to know: first the jobs are interrupted."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = signal.Signals(number)

    @cached_property
    def may_go_on(self) -> bool:
        """Whether the task is wanted later: neither the submitter nor Slurm has decided what becomes of it."""
        return self.number is not signal.SIGINT and self._about.get("JobState") == "RUNNING"

    @cached_property
    def is_time_limit(self) -> bool:
        """Whether the task has met its time limit."""
        is_preempted = self._about.get("PreemptTime", "None") != "None"
        return self.number is signal.SIGUSR1 and self.may_go_on and not is_preempted

    @cached_property
    def _about(self) -> dict[str, str]:
        return _about_this_job()


def _about_this_job() -> dict[str, str]:
    """What Slurm says of this job; empty where it does not answer."""
    try:
        return cluster.about(_job())
    except cluster.SlurmError as error:
        log.warning("Slurm does not tell how this task ends: %s", error)
        return {}


class _ArrayTask:
    """The task of this process."""

    def __init__(self, submission: Submission, number: int) -> None:
        self.submission, self.number = submission, number
        self.attempt = int(os.environ.get("SLURM_RESTART_COUNT", "0"))
        submission.begin(number, self.attempt)
        self.given: TaskFile = submission.read_task(number)
        self.program = submission.read_program()
        sys.path[:] = self.program.path
        self.task: TaskFunction = self.program.load_task()
        restore_state(self.program.state)
        self.succeeded: Callable[[Any], bool] = getattr(self.task, "succeeded", lambda _value: True)
        self.successes: dict[int, bool] = {}  # of jobs that have returned; their files go when nobody waits any more

    def run(self) -> int:
        """Run what has not returned. Returns the exit code: 0 where every job of the task succeeded."""
        packs = self._due()
        if packs:
            executor = LocalExecutor(
                allocation.lanes(self.given.lanes), self.given.lanes["lane_memory_gib"], self._write_return
            )
            try:
                self._run(executor, packs)
            except Stopped as stopped:
                running = [job for lane in executor.lanes.running for job in lane.jobs.values()]
                for job in executor.interrupt():
                    self._on_lost(job, lost.INTERRUPTED)
                if stopped.is_time_limit:
                    self._count_timeout(running)
                raise
            finally:
                executor.close()
        return 0 if all(self.successes.get(job.index) for pack in self.given.packs for job in pack) else 1

    def _run(self, executor: LocalExecutor, packs: list[Pack]) -> None:
        jobs = sum(map(len, packs))
        log.info("Task %d: %d jobs in %d packs on %d lanes", self.number, jobs, len(packs), executor.slots)
        environments = {tuple(sorted(pack[0].environment.items())): pack[0].environment for pack in packs}
        executor.start(self.program, len(packs), list(environments.values()))
        returns = executor.run(packs, self.program, self.given.rules, self._on_lost)
        for job in (job for pack in packs for job in pack):
            if job.index not in self.successes:  # never started, because of fail_fast
                self._write_return(job, returns[job.index])

    def _due(self) -> list[Pack]:
        known = self.submission.returned()
        for job in (job for pack in self.given.packs for job in pack if job.index in known):
            self.successes[job.index] = self._has_succeeded(job)
        packs = [[job for job in pack if job.index not in known] for pack in self.given.packs]
        return [pack for pack in packs if pack]

    def _on_lost(self, job: PlannedJob, reason: str) -> None:
        if self.submission.is_current(self.number, self.attempt):
            lost.tell(self.task, job, reason)

    def _write_return(self, job: PlannedJob, returned: JobReturn) -> None:
        self.successes[job.index] = self._is_success(returned)
        if not self.submission.is_current(self.number, self.attempt):
            return
        try:
            self.submission.write_return(job.index, sent(returned))
        except OSError as error:  # the others go on; who asks finds what the job has recorded itself
            log.warning("The result of #%d could not be written: %s", job.number, error)

    def _has_succeeded(self, job: PlannedJob) -> bool:
        """Whether a job did that has returned to an earlier attempt."""
        try:
            return self._is_success(self.submission.read_return(job.index).received(job))
        except OSError:
            return False

    def _is_success(self, returned: JobReturn) -> bool:
        return returned.status is JobStatus.COMPLETED and self.succeeded(result_of(returned))

    def _count_timeout(self, running: Sequence[PlannedJob]) -> None:
        """Count that these jobs have met the time limit; those that met it too often fail."""
        counts = self.submission.count_timeouts(self.number, [job.index for job in running])
        for job in running:
            if counts[job.index] > self.given.max_num_timeout:
                limit = f"timeout: it met its task's limit of {self.given.timeout_min} min {counts[job.index]} times"
                self._on_lost(job, limit)
                self._write_return(job, failed_job(job, JobTimeoutError(limit)))


def main() -> int:
    """Run the task that the command line names."""
    streams.protect()
    logging.basicConfig(
        level=logging.INFO, stream=sys.stdout, format="[%(asctime)s][%(name)s][%(levelname)s] - %(message)s"
    )
    for number in SIGNALS:
        signal.signal(number, _stop)
    try:
        return _ArrayTask(Submission(Path(sys.argv[1])), int(sys.argv[2])).run()
    except Stopped as stopped:
        _go_on_later(stopped)
        return 128 + stopped.number


def _go_on_later(stopped: Stopped) -> None:
    """Requeue this task, unless Slurm or the submitter has ended it. Does not return where it is requeued."""
    if not stopped.may_go_on:
        return
    try:
        cluster.requeue(_job())
    except cluster.SlurmError as error:
        log.warning("The task could not be requeued: %s", error)
        return
    log.info("The task is requeued")
    time.sleep(ENDING_S)  # Slurm ends this process


def _job() -> str:
    return os.environ["SLURM_JOB_ID"]


def _stop(number: int, _frame: FrameType | None) -> None:
    _ignore_signals()  # one is enough: Slurm may send several
    raise Stopped(number)


def _ignore_signals() -> None:
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


if __name__ == "__main__":
    sys.exit(main())
