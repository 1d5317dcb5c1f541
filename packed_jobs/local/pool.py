"""The parent's side of lanes: start them, exchange messages with them, end them.

A lane leads a session of its own, so that Ctrl-C reaches it once, through the parent, and its children die with it.
A lane that cannot be started costs its slot alone. What libraries read from the environment as they are imported cannot
be changed later: a lane runs only jobs whose variables it was started with.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import secrets
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from packed_jobs.local.channel import Channel
from packed_jobs.local.devices import Slot
from packed_jobs.local.messages import Initialize, JobEnded, RunPack, UpdateState
from packed_jobs.program import Program
from packed_jobs.task import PlannedJob

REAP_S = 1.0
"""Seconds within which a process exits after it has closed its connection."""
END_GRACE_S = 3.0
"""Seconds that an idle lane has to exit."""
SIGN_OF_LIFE_S = 60.0
"""Seconds that a new process has to say that it lives, which it does before it imports anything."""
START_S = 600.0
"""Seconds that a lane has to import everything and warm up."""
MAX_FAILED_STARTS = 3
"""Lanes in a row that may fail to start in a slot before the slot is no longer used."""
INTERRUPT_GRACE_S = 5.0
"""Seconds that the task function has to record an interrupted job."""


log = logging.getLogger(__name__)


class Lane:
    """A worker process, the slot that it owns, and the jobs that it runs. Raises OSError where it cannot be made.

    environment: variables that it has besides those of the parent.
    """

    def __init__(self, slot: Slot, program: Program, environment: Mapping[str, str]) -> None:
        self.slot, self.environment = slot, environment
        self.jobs: dict[int, PlannedJob] = {}  # that have not ended, by index in the batch
        self.pack_size = 0  # of the pack that they came in
        self.first_gib = 0.0  # memory that it held after its first pack
        self.deadline: float | None = None  # of the pack, by time.monotonic
        self.start_deadline = time.monotonic() + SIGN_OF_LIFE_S
        self.start_error = ""  # why it says that it cannot start
        self.is_ready = False
        self.has_started = False
        self._lifeline = -1
        self._start(slot, program)

    def _start(self, slot: Slot, program: Program) -> None:
        key = secrets.token_bytes(16)
        with contextlib.ExitStack() as ours:  # closed where anything fails
            mine, its = socket.socketpair()
            ours.callback(mine.close)
            with its:
                lifeline, end = os.pipe()
                ours.callback(os.close, end)
                try:
                    ends = {"connection": its.fileno(), "lifeline": lifeline}
                    self.process = _process(slot, program, self.environment, key, ends)
                finally:
                    os.close(lifeline)
            ours.pop_all()
        self._lifeline, self.channel = end, Channel(mine, key)
        self._send(Initialize(program))

    def _send(self, message: Any) -> None:
        with contextlib.suppress(OSError):  # the lane has died: reading from it will raise EOFError
            self.channel.send(message)

    def note_life(self) -> None:
        """Note the first message of the process."""
        self.start_deadline = time.monotonic() + START_S

    def serves(self, environment: Mapping[str, str]) -> bool:
        """Whether the process was started with these variables."""
        return environment.items() <= self.environment.items()

    def update(self, state: bytes) -> None:
        """Send the parent's state, for the packs that follow."""
        self._send(UpdateState(state))

    def run(self, pack: Sequence[PlannedJob], timeout_s: float | None) -> None:
        """Have a lane that is ready run a pack. timeout_s: seconds it may take."""
        self.is_ready = False
        self.jobs, self.pack_size = {job.index: job for job in pack}, len(pack)
        self.deadline = None if timeout_s is None else time.monotonic() + timeout_s
        self._send(RunPack([job.pickled for job in pack]))

    def messages(self) -> Iterator[Any]:
        """The messages that the lane has sent. Raises EOFError when it is dead and all are read, or speaks nonsense."""
        is_dead = self.process.poll() is not None
        yield from self.channel.received()
        if is_dead:
            raise EOFError  # a process that the job started still has the other end open

    def pump(self) -> None:
        """Send what could not be sent at once."""
        with contextlib.suppress(OSError):
            self.channel.pump()

    def interrupt(self) -> None:
        """What Ctrl-C does to a process."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)

    def kill(self) -> int:
        """End the process and its children at once. Returns its exit code, negative for a signal."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        code = self.process.wait()
        self._close()
        return code

    def _close(self) -> None:
        self.channel.close()
        if self._lifeline >= 0:
            os.close(self._lifeline)
            self._lifeline = -1


def _process(
    slot: Slot, program: Program, environment: Mapping[str, str], key: bytes, ends: Mapping[str, int]
) -> subprocess.Popen[bytes]:
    """Start a lane's process. ends: the file descriptors that it inherits."""
    given = {"cores": slot.cores, "path": program.path, "parent": os.getpid(), "key": key.hex()}
    return subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("worker_main.py")), json.dumps(given | dict(ends))],
        stdin=subprocess.DEVNULL,
        env=os.environ | slot.environment() | dict(environment),
        pass_fds=tuple(ends.values()),
        start_new_session=True,
    )


class Lanes:
    """All lanes of an executor; a slot without a lane gets one when there is work for it."""

    def __init__(self, slots: Sequence[Slot]) -> None:
        self.slots = slots
        self.running: list[Lane] = []
        self.program: Program | None = None
        self.failed_starts: dict[int, int] = {}  # in a row, by id of the slot
        self.start_failure = ""  # the last one, in words for people

    @property
    def usable(self) -> list[Slot]:
        """The slots in which lanes have not failed to start again and again."""
        return [slot for slot in self.slots if self.failed_starts.get(id(slot), 0) < MAX_FAILED_STARTS]

    @property
    def free(self) -> list[Slot]:
        """The usable slots without a lane."""
        taken = {id(lane.slot) for lane in self.running}
        return [slot for slot in self.usable if id(slot) not in taken]

    def start(self, environments: Sequence[Mapping[str, str]]) -> None:
        """Start a lane with each of these environments, in this order, while there are free slots. Needs a program."""
        assert self.program is not None
        for slot, environment in zip(self.free, environments, strict=False):
            try:
                self.running.append(Lane(slot, self.program, environment))
            except OSError as error:  # too many processes or open files
                self.note_failed_start(slot, f"could not be made ({error.strerror or error})")
                return

    def note_failed_start(self, slot: Slot, reason: str) -> None:
        """Note that a lane has died, or could not be made, before it was ready."""
        self.failed_starts[id(slot)] = self.failed_starts.get(id(slot), 0) + 1
        self.start_failure = reason
        if slot not in self.usable:
            log.warning("No further lane is started on %s: the last one %s", slot, reason)

    def note_started(self, lane: Lane) -> None:
        """Note that a lane is ready for the first time."""
        lane.has_started = True
        self.failed_starts.pop(id(lane.slot), None)

    def shrink(self, count: int) -> None:
        """End idle lanes until at most this many are left; those that have not yet started go first."""
        idle = sorted((lane for lane in self.running if not lane.jobs), key=lambda lane: lane.has_started)
        self._end(idle[: max(0, len(self.running) - count)])

    def set_program(self, program: Program) -> None:
        """Set what lanes run. Those that run already get its state, if it has changed; task function and path stay."""
        before, self.program = self.program, program
        if before is not None and before.state != program.state:
            for lane in self.running:
                lane.update(program.state)

    def ready(self) -> list[Lane]:
        return [lane for lane in self.running if lane.is_ready]

    def wait(self, timeout_s: float) -> None:
        """Sleep until a lane has sent a message, for at most timeout_s seconds; send what could not be sent before."""
        with selectors.PollSelector() as selector:  # takes no file descriptor
            for lane in self.running:
                events = selectors.EVENT_READ | (selectors.EVENT_WRITE if lane.channel.has_unsent else 0)
                selector.register(lane.channel, events, lane)
            for key, events in selector.select(timeout_s):
                if events & selectors.EVENT_WRITE:
                    key.data.pump()

    def reap(self, lane: Lane) -> int:
        """Remove a dead lane. Returns its exit code, negative for a signal."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            lane.process.wait(REAP_S)  # it closes its connection shortly before it exits
        return self.kill(lane)

    def retire(self, lane: Lane) -> None:
        """End an idle lane; its slot is then free for another."""
        self._end([lane])

    def kill(self, lane: Lane) -> int:
        """End a lane at once. Returns its exit code, negative for a signal."""
        self.running.remove(lane)
        return lane.kill()

    def kill_all(self) -> None:
        """End all lanes at once."""
        for lane in list(self.running):
            self.kill(lane)

    def interrupt(self) -> list[PlannedJob]:
        """Interrupt running jobs and end all lanes: at once on another KeyboardInterrupt.

        Returns the jobs that had to be killed.
        """
        busy = [lane for lane in self.running if lane.jobs]
        try:
            for lane in busy:
                lane.interrupt()
            end = time.monotonic() + INTERRUPT_GRACE_S
            while any(_is_busy(lane) for lane in busy) and time.monotonic() < end:
                time.sleep(0.02)
        except KeyboardInterrupt:
            pass
        killed = [job for lane in busy if self.kill(lane) < 0 for job in lane.jobs.values()]
        self.kill_all()
        return killed

    def end(self) -> None:
        """End all lanes: idle ones gracefully, the others at once."""
        self._end(self.running)

    def _end(self, lanes: Sequence[Lane]) -> None:
        idle = [lane for lane in lanes if lane.is_ready]
        for lane in idle:
            lane.channel.close()
        try:
            end = time.monotonic() + END_GRACE_S
            while any(lane.process.poll() is None for lane in idle) and time.monotonic() < end:
                time.sleep(0.01)
        finally:
            for lane in list(lanes):
                self.kill(lane)


def _is_busy(lane: Lane) -> bool:
    """Whether a lane still has a job, after reading which of its jobs have ended."""
    try:
        for message in lane.messages():
            if isinstance(message, JobEnded):
                lane.jobs.pop(message.index, None)
    except EOFError:
        return lane.process.poll() is None
    return bool(lane.jobs)
