"""Waits for the jobs of a submission: for the files that their tasks write, and for what squeue says of the tasks."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence

from hydra.core.utils import JobReturn, JobStatus

from packed_jobs.compose import failed_job
from packed_jobs.errors import LaneDiedError, NotStartedError
from packed_jobs.executor import NOT_STARTED, OnLost, Rules
from packed_jobs.hydra_internals.job_return import result_of
from packed_jobs.slurm import cluster
from packed_jobs.slurm.cluster import TaskState
from packed_jobs.slurm.submission import Submission
from packed_jobs.task import PlannedJob

POLL_S = (0.5, 5.0)
"""The least and the most seconds between two looks at files."""
LOOK_S = (2.0, 30.0)
"""The same between two calls of squeue: the longer all takes, the longer."""
SETTLE_S = 2.0
"""Seconds after which the files of a task that has ended are there."""
NO_ANSWER_S = 1800.0
"""Seconds without an answer of Slurm, and without a job that returns, after which waiting is given up."""
MAX_FAILURES = 2
"""Tasks that may end without a result while they have a job, before the job fails."""
QUEUED = frozenset((
    "", "None", "Priority", "Resources", "BeginTime", "JobArrayTaskLimit", "Dependency", "Cleaning", "Licenses",
))  # fmt: skip
"""Reasons of pending tasks that pass by themselves."""

log = logging.getLogger(__name__)


class Wait:
    """Waits for one submission.

    on_lost: see ``Executor.run``. resubmit: submits jobs again, each alone, and adds their tasks to this.
    """

    def __init__(
        self, submission: Submission, rules: Rules, on_lost: OnLost, resubmit: Callable[[Sequence[PlannedJob]], None]
    ) -> None:
        self.submission, self.rules, self.on_lost, self.resubmit = submission, rules, on_lost, resubmit
        self.tasks: dict[int, list[PlannedJob]] = {}  # by number
        self.pending: dict[int, PlannedJob] = {}  # without a JobReturn, by index in the batch
        self.returns: dict[int, JobReturn] = {}
        self.ended: dict[int, tuple[float, TaskState | None]] = {}  # when a task was first seen to have ended, and how
        self.stopping = False  # no further job is started
        self._told: set[str] = set()
        self._started = self._heard = time.monotonic()

    def add(self, number: int, jobs: Sequence[PlannedJob]) -> None:
        """Wait for a task that has these jobs."""
        self.tasks[number] = list(jobs)
        self.pending |= {job.index: job for job in jobs}

    def run(self) -> dict[int, JobReturn]:
        """Wait for all jobs. Returns their JobReturns, by index in the batch.

        Raises KeyboardInterrupt, and SlurmError where Slurm has not been heard of for NO_ANSWER_S.
        """
        look = time.monotonic()
        while self.pending:
            self.receive()
            if time.monotonic() >= look:
                self._look()
                look = time.monotonic() + self._spread(LOOK_S)
            if self.pending:
                time.sleep(self._spread(POLL_S))
        return self.returns

    def arrays(self) -> list[str]:
        """The ids of the arrays, as scancel takes them."""
        return [str(array.job) for array in self.submission.read_manifest().arrays if array.job is not None]

    def running(self) -> list[PlannedJob]:
        """The jobs without a result of tasks that run. Raises SlurmError."""
        self.receive()
        states = self._states()
        live = [number for number, state in states.items() if state is not None and state.is_live and state.has_begun]
        return [job for number in live for job in self._missing(number)]

    def receive(self) -> None:
        """Take what tasks have written."""
        for index in sorted(self.submission.returned() & self.pending.keys()):
            self._heard = time.monotonic()
            self._finish(index, self.submission.read_return(index).received(self.pending[index]))

    def _finish(self, index: int, returned: JobReturn) -> None:
        job = self.pending.pop(index)
        self.returns[index] = returned
        if returned.status is not JobStatus.FAILED:
            return
        error = result_of(returned)
        log.error("\t#%d failed: %s: %s", job.number, type(error).__name__, error)
        if self.rules.fail_fast and not self.stopping:
            self.stopping = True
            cluster.cancel(self.arrays(), "--state=PENDING")

    def _look(self) -> None:
        """Ask Slurm which tasks are live, and see to those that have ended without their jobs' results."""
        try:
            states = self._states()
        except cluster.NoAnswerError as error:
            self._tell_once(f"Slurm does not answer: {error}; the jobs go on, and this waits for them")
            if time.monotonic() - self._heard > NO_ANSWER_S:
                raise
            return
        self._heard = time.monotonic()
        now = {number for number in states if self._has_ended(number, states[number])}
        if not now:
            return
        self.submission.refresh()
        self.receive()
        for number in now:
            self._lose(number, self.ended[number][1])

    def _states(self) -> dict[int, TaskState | None]:
        """What squeue says of the tasks that have jobs without results; None of those that it has forgotten."""
        manifest = self.submission.read_manifest()
        places = {number: manifest.task_of(number) for number in self.tasks if self._missing(number)}
        found = cluster.states(place[0] for place in places.values() if place is not None)
        return {number: found.get(place) if place is not None else None for number, place in places.items()}

    def _has_ended(self, number: int, state: TaskState | None) -> bool:
        """Whether a task has ended, for long enough for its files to be there."""
        if state is not None and state.is_live:
            self.ended.pop(number, None)
            if state.state == "PENDING" and state.reason not in QUEUED:
                self._tell_once(f"Slurm does not start a task: {state.reason}")
            return False
        since, known = self.ended.setdefault(number, (time.monotonic(), state))
        self.ended[number] = since, state or known
        return time.monotonic() - since >= SETTLE_S

    def _lose(self, number: int, state: TaskState | None) -> None:
        """See to the jobs of a task that has ended without their results."""
        again = []
        for job in self._missing(number):
            job.lane_failures += 1
            how = f"its Slurm task ended ({state or 'unknown to Slurm by now'}) without a result"
            if self.stopping:
                self._finish(job.index, failed_job(job, NotStartedError(NOT_STARTED)))
            elif state is not None and state.state == "CANCELLED":
                self._fail(job, "interrupted: its Slurm task was cancelled")
            elif job.lane_failures >= MAX_FAILURES:
                self._fail(job, f"{how}, twice for this job")
            else:
                log.warning("\t#%d : %s; it is submitted again, alone", job.number, how)
                again.append(job)
        self.tasks[number] = []
        if again:
            self.resubmit(again)

    def _fail(self, job: PlannedJob, reason: str) -> None:
        self.on_lost(job, reason)
        self._finish(job.index, failed_job(job, LaneDiedError(reason)))

    def _missing(self, number: int) -> list[PlannedJob]:
        """The jobs of a task that have no result."""
        return [job for job in self.tasks[number] if job.index in self.pending]

    def _tell_once(self, text: str) -> None:
        if text not in self._told:
            self._told.add(text)
            log.warning(text)

    def _spread(self, seconds: tuple[float, float]) -> float:
        """Seconds to sleep: the longer all takes so far, the longer."""
        least, most = seconds
        return min(most, max(least, (time.monotonic() - self._started) / 60))
