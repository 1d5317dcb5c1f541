"""Gives packs to lanes until every job of a batch has a JobReturn, however jobs and lanes fail."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Sequence

from hydra.core.utils import JobReturn, JobStatus

from packed_jobs.compose import failed_job
from packed_jobs.errors import (
    JobNotOpenedError,
    JobTimeoutError,
    LaneDiedError,
    LaneTraceback,
    NotStartedError,
    how_it_ended,
)
from packed_jobs.executor import NOT_STARTED, OnEnd, OnLost, Rules
from packed_jobs.hydra_internals.job_return import result_of
from packed_jobs.local.memory import limit_gib, share_gib
from packed_jobs.local.messages import JobEnded, Ready, StartFailed
from packed_jobs.local.pool import Lane, Lanes
from packed_jobs.packs import Pack
from packed_jobs.task import PlannedJob

POLL_S = 0.5
"""Seconds to wait for messages before deadlines are checked."""
MAX_LANE_FAILURES = 2
"""Lanes that may die while they have a job, before the job fails."""

log = logging.getLogger(__name__)


class Scheduler:
    """Runs one batch of packs.

    lane_memory_gib: a lane that holds more is replaced; None: see ``memory.limit_gib``. on_lost: called for each job
    that ends with its lane; on_end: with each job that has run, and its JobReturn.
    """

    def __init__(
        self,
        lanes: Lanes,
        packs: Sequence[Pack],
        rules: Rules,
        lane_memory_gib: float | None,
        on_lost: OnLost,
        *,
        on_end: OnEnd = lambda _job, _returned: None,
    ) -> None:
        self.lanes, self.rules, self.on_lost, self.on_end = lanes, rules, on_lost, on_end
        self.lane_memory_gib = lane_memory_gib
        self.queue = deque(packs)
        self.share_gib = share_gib(len(lanes.slots))
        self.returns: dict[int, JobReturn] = {}  # by index in the batch
        self.pending = {job.index: job for pack in packs for job in pack}  # without a JobReturn
        self.start_error = ""  # what the last lane said that could not start
        self.stopping = False  # no further pack is started

    def run(self) -> dict[int, JobReturn]:
        """Run all packs. Returns a JobReturn for each job, by index in the batch. Raises only KeyboardInterrupt."""
        while self.pending:
            self._start_packs()
            self.lanes.wait(POLL_S)
            for lane in list(self.lanes.running):
                self._read_messages(lane)
            for lane in list(self.lanes.running):
                self._check_deadline(lane)
        return self.returns

    def _start_packs(self) -> None:
        self._start_lanes()
        if self.queue and not self.lanes.running and not self.lanes.usable:
            self._give_up(_no_lane(self.lanes.start_failure, self.start_error))
        for lane in self.lanes.ready():
            pack = next((pack for pack in self.queue if lane.serves(pack[0].environment)), None)
            if pack is not None:
                self.queue.remove(pack)
                limit = self.rules.timeout_min
                lane.run(pack, None if limit is None else 60 * limit * len(pack))

    def _start_lanes(self) -> None:
        """Start a lane for each waiting pack that no idle one can run; where no slot is free, in the place of one that
        can run none of them.
        """
        wanted = [pack[0].environment for pack in self.queue]
        needless = []
        for lane in [lane for lane in self.lanes.running if not lane.jobs]:
            served = next(filter(lane.serves, wanted), None)
            if served is not None:
                wanted.remove(served)
            elif lane.is_ready or not lane.has_started:  # else it is about to say that it has run its pack
                needless.append(lane)
        for lane in needless[: max(0, len(wanted) - len(self.lanes.free))]:
            self.lanes.retire(lane)
        self.lanes.start(wanted)

    def _read_messages(self, lane: Lane) -> None:
        try:
            for message in lane.messages():
                if isinstance(message, JobEnded):
                    job = lane.jobs.pop(message.index, None)
                    if job is not None:  # it may be said twice, by a job that has copied what its lane sent
                        self._finish(job, message.job_return.received(job))
                elif isinstance(message, Ready):
                    self._note_ready(lane, message.memory_gib)
                    if self.queue and self._is_too_large(lane, message.memory_gib):
                        log.info("A lane holds %.1f GiB and is replaced", message.memory_gib)
                        self.lanes.retire(lane)
                        return
                elif isinstance(message, StartFailed):
                    lane.start_error = message.traceback
                elif message is None:
                    lane.note_life()
        except EOFError as error:
            self._retry_jobs(lane, _ending(error, self.lanes.reap(lane)))

    def _note_ready(self, lane: Lane, memory_gib: float) -> None:
        """Note that a lane has started, or has run its pack."""
        if not lane.has_started:
            self.lanes.note_started(lane)
        lane.is_ready = True
        lane.deadline = None
        self._retry_jobs(lane, "gave no result")  # there are none, unless the stack or the memory ran out
        lane.jobs.clear()
        if lane.pack_size and not lane.first_gib:
            lane.first_gib = memory_gib

    def _is_too_large(self, lane: Lane, memory_gib: float) -> bool:
        """Whether a lane holds too much memory; one that has run nothing yet is as small as it can be."""
        limit = limit_gib(self.lane_memory_gib, self.share_gib, lane.first_gib)
        return lane.pack_size > 0 and memory_gib > limit

    def _check_deadline(self, lane: Lane) -> None:
        if not lane.has_started and time.monotonic() > lane.start_deadline:
            self.lanes.kill(lane)
            self._count_failed_start(lane, "was not ready in time, and was killed")
            return
        if lane.deadline is None or time.monotonic() < lane.deadline or not lane.jobs:
            return
        limit = f"run_timeout_min={self.rules.timeout_min:g}"
        self.lanes.kill(lane)
        if lane.pack_size > 1:
            self._retry_jobs(lane, f"took longer than {limit} for each of its jobs")
            return
        for job in lane.jobs.values():
            self._fail(job, JobTimeoutError(f"the job took longer than {limit} and was killed"))

    def _retry_jobs(self, lane: Lane, reason: str) -> None:
        """Queue the jobs of a failed lane again, each alone; those whose second lane it was fail."""
        if not lane.has_started:
            self._count_failed_start(lane, reason)
        for job in reversed(lane.jobs.values()):
            job.lane_failures += 1
            is_last = job.lane_failures == MAX_LANE_FAILURES
            if is_last or self.stopping:
                again = "; it is the second that the job has lost" if is_last else ""
                self._fail(job, LaneDiedError(f"the lane of the job {reason}{again}"))
                continue
            log.warning("\t#%d : its lane %s; it runs again, alone", job.number, reason)
            self.queue.appendleft([job])

    def _count_failed_start(self, lane: Lane, reason: str) -> None:
        self.lanes.note_failed_start(lane.slot, reason)
        self.start_error = lane.start_error

    def _fail(self, job: PlannedJob, error: Exception) -> None:
        self.on_lost(job, str(error))
        self._finish(job, failed_job(job, error))

    def _finish(self, job: PlannedJob, returned: JobReturn) -> None:
        if self.pending.pop(job.index, None) is None:
            return
        self.returns[job.index] = returned
        self.on_end(job, returned)
        if returned.status is JobStatus.COMPLETED:
            return
        error = result_of(returned)
        log.error("\t#%d failed: %s: %s", job.number, type(error).__name__, error)
        if isinstance(error, JobNotOpenedError):
            self.on_lost(job, str(error))
        if self.rules.fail_fast:
            self.stopping = True
            self._drop_queue()

    def _give_up(self, error: LaneDiedError) -> None:
        """Fail every job that has not been started; no lane will ever run it."""
        dropped = [job for pack in self.queue for job in pack]
        self.queue.clear()
        for job in dropped:
            self._fail(job, error)

    def _drop_queue(self) -> None:
        """Leave out every job that has not been started."""
        dropped = [job for pack in self.queue for job in pack]
        self.queue.clear()
        for job in dropped:
            del self.pending[job.index]
            self.returns[job.index] = failed_job(job, NotStartedError(NOT_STARTED))


def _no_lane(reason: str, text: str) -> LaneDiedError:
    """reason: how the last lane ended; text: the traceback that it has sent, which ends with the error, if it has."""
    if not text:
        return LaneDiedError(f"no lane can be started: the last one {reason}")
    error = LaneDiedError(f"a lane could not start: {text.strip().splitlines()[-1]}")
    error.__cause__ = LaneTraceback(text)
    return error


def _ending(error: EOFError, code: int) -> str:
    """How a lane ended, in words: one that speaks nonsense has been killed for it."""
    return str(error) or how_it_ended(code)
