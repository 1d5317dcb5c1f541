"""Gives packs to lanes until every job of a batch has a JobReturn, whatever becomes of jobs and lanes."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hydra.core.utils import JobReturn, JobStatus

from packed_jobs.compose import failed
from packed_jobs.errors import (
    JobTimeoutError,
    LaneDiedError,
    LaneTraceback,
    NotStartedError,
    UnsendableError,
    how_it_ended,
)
from packed_jobs.local.memory import limit_gib, share_gib
from packed_jobs.local.messages import Broken, Done, Free
from packed_jobs.local.pool import Lane, Lanes
from packed_jobs.packs import Pack
from packed_jobs.returns import KeptReturn
from packed_jobs.task import PlannedJob

POLL_S = 0.5
"""Seconds between two looks at lanes that say nothing."""
TRIES = 2
"""Lanes that one job may lose."""
STARTS = 3
"""Lanes in a row that may die before they have started; then no lane can."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Rules:
    """What the config says about jobs that go wrong."""

    timeout_min: float | None  # minutes a run
    lane_memory_gib: float | None  # beyond which a lane is replaced; None: see _memory
    fail_fast: bool


class Dispatch:
    """One batch of jobs. on_lost: told of each job that ends with its lane, and why."""

    def __init__(
        self, lanes: Lanes, packs: Sequence[Pack], rules: Rules, on_lost: Callable[[PlannedJob, str], None]
    ) -> None:
        self.lanes, self.rules, self.on_lost = lanes, rules, on_lost
        self.queue = deque(packs)
        self.share_gib = share_gib(len(lanes.slots))
        self.returns: dict[int, JobReturn] = {}  # by index in the batch
        self.waiting = {job.index: job for pack in packs for job in pack}
        self.false_starts = 0
        self.stopping = False  # no further pack is started

    def run(self) -> dict[int, JobReturn]:
        """Run all packs. Returns a JobReturn for each job, by index in the batch. Raises only KeyboardInterrupt."""
        while self.waiting:
            busy = sum(1 for lane in self.lanes.running if lane.jobs)
            self.lanes.ensure(busy + len(self.queue))
            for lane in self.lanes.free():
                if self.queue:
                    self._start(lane, self.queue.popleft())
            self.lanes.wait(POLL_S)
            for lane in list(self.lanes.running):
                self._listen(lane)
            for lane in list(self.lanes.running):
                self._check_time(lane)
        return self.returns

    def _start(self, lane: Lane, pack: Pack) -> None:
        limit = self.rules.timeout_min
        lane.run(pack, None if limit is None else 60 * limit * len(pack))

    def _listen(self, lane: Lane) -> None:
        try:
            for message in lane.messages():
                if isinstance(message, Done):
                    job = lane.jobs.pop(message.index)
                    self._finish(job, _received(message, job))
                elif isinstance(message, Free):
                    lane.is_free = lane.has_started = True
                    lane.deadline, self.false_starts = None, 0
                    self._lose(lane, "gave no result")  # none is left, unless the stack or the memory ran out
                    lane.jobs.clear()
                    if lane.pack_size and not lane.first_gib:
                        lane.first_gib = message.memory_gib
                    if self.queue and self._is_too_large(lane, message.memory_gib):
                        log.info("A lane holds %.1f GiB; a fresh one takes over", message.memory_gib)
                        self.lanes.retire(lane)
                        return
                elif isinstance(message, Broken):
                    self._give_up(f"a lane could not start:\n{message.traceback}")
        except EOFError:
            self._lose(lane, how_it_ended(self.lanes.bury(lane)))

    def _is_too_large(self, lane: Lane, memory_gib: float) -> bool:
        """Whether a lane holds too much; one that has run nothing yet is as small as it can be."""
        limit = limit_gib(self.rules.lane_memory_gib, self.share_gib, lane.first_gib)
        return lane.pack_size > 0 and memory_gib > limit

    def _check_time(self, lane: Lane) -> None:
        if lane.deadline is None or time.monotonic() < lane.deadline or not lane.jobs:
            return
        limit = f"run_timeout_min={self.rules.timeout_min:g}"
        self.lanes.kill(lane)
        if lane.pack_size > 1:
            self._lose(lane, f"took longer than {limit} for each of its jobs")
            return
        for job in lane.jobs.values():
            self._fail(job, JobTimeoutError(f"the job took longer than {limit} and was killed"))

    def _lose(self, lane: Lane, what: str) -> None:
        """Give the jobs of a dead lane another try, each alone; one that has had it fails."""
        if not lane.has_started:
            self._count_false_start(what)
        for job in reversed(lane.jobs.values()):
            job.lane_failures += 1
            if self.stopping or job.lane_failures == TRIES:
                again = "; it is the second that the job has lost" if job.lane_failures == TRIES else ""
                self._fail(job, LaneDiedError(f"the lane of the job {what}{again}"))
                continue
            log.warning("\t#%d : its lane %s; it runs again, alone", job.number, what)
            self.queue.appendleft([job])

    def _count_false_start(self, what: str) -> None:
        self.false_starts += 1
        if self.false_starts == STARTS:
            self._give_up(f"{STARTS} lanes in a row died as they started; the last one {what}")

    def _fail(self, job: PlannedJob, error: Exception) -> None:
        self.on_lost(job, str(error))
        self._finish(job, failed(job.pickled.load_config(), error))

    def _finish(self, job: PlannedJob, returned: JobReturn) -> None:
        if self.waiting.pop(job.index, None) is None:
            return
        self.returns[job.index] = returned
        if returned.status is JobStatus.COMPLETED:
            return
        error = returned._return_value
        log.error("\t#%d failed: %s: %s", job.number, type(error).__name__, error)
        if self.rules.fail_fast:
            self.stopping = True
            self._drop_queue(lambda: NotStartedError("not started: fail_fast, and a job before it failed"))

    def _give_up(self, why: str) -> None:
        self._drop_queue(lambda: LaneDiedError(why))

    def _drop_queue(self, error: Callable[[], Exception]) -> None:
        """Fail every job that has not been started."""
        dropped = [job for pack in self.queue for job in pack]
        self.queue.clear()
        for job in dropped:
            del self.waiting[job.index]
            self.returns[job.index] = failed(job.pickled.load_config(), error())


def _received(message: Done, job: PlannedJob) -> JobReturn:
    try:
        returned = KeptReturn(message.job_return)
    except Exception as error:  # of a class that only the lane can import
        return failed(
            job.pickled.load_config(), UnsendableError(f"what the job returned cannot be loaded here: {error}")
        )
    if returned.status is JobStatus.FAILED and message.traceback:
        returned._return_value.__cause__ = LaneTraceback(message.traceback)
    return returned
