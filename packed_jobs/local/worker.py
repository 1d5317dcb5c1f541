"""A lane's side: take packs from the parent, run them, send back their results."""

from __future__ import annotations

import gc
import logging
import os
import select
import signal
import socket
import sys
import threading
import time
import traceback
from types import FrameType
from typing import Any

from hydra.core.utils import JobReturn
from hydra.types import HydraContext

from packed_jobs import run, streams
from packed_jobs.hydra_internals import run_job
from packed_jobs.local.channel import Channel
from packed_jobs.local.memory import memory_held_gib
from packed_jobs.local.messages import Initialize, JobEnded, Ready, RunPack, StartFailed, UpdateState
from packed_jobs.program import Program, restore_state
from packed_jobs.returns import sent

ORPHAN_GRACE_S = 3.0
"""Seconds that a job has to record itself, once the parent is gone."""

log = logging.getLogger(__name__)


def serve(connection: int, key: bytes, lifeline: int, parent: int) -> None:
    """Run what the parent sends, until it closes the connection or dies.

    connection, lifeline: file descriptors; key: of the channel; parent: process id.
    """
    streams.protect()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job would ignore it
    signal.signal(signal.SIGTERM, _interrupt)
    logging.raiseExceptions = False  # do not print that a log cannot be written, as on a full disk
    threading.Thread(target=_exit_with_parent, args=(lifeline, parent), daemon=True).start()
    run_job.speed_up_run_job()
    try:
        _serve(Channel(socket.socket(fileno=connection), key))
    except (EOFError, OSError):
        return
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)


def _interrupt(number: int, _frame: FrameType | None) -> None:
    """The handler of SIGTERM, which may go to every process of a sweep at once: the same as SIGINT, which follows."""
    if os.getsid(0) == os.getpid():
        raise KeyboardInterrupt
    signal.signal(number, signal.SIG_DFL)  # a process that a job has forked off
    os.kill(os.getpid(), number)


def _exit_with_parent(lifeline: int, parent: int) -> None:
    """Once the parent has died in whatever way, interrupt the job, and soon kill this process and its children."""
    while not select.select([lifeline], [], [], 1.0)[0] and os.getppid() == parent:
        pass
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(ORPHAN_GRACE_S)
    os.killpg(os.getpgid(0), signal.SIGKILL)


def _serve(connection: Channel) -> None:
    try:
        first: Initialize = connection.next()
        worker = _Worker(connection, first.program)
    except Exception:
        connection.send_all(StartFailed(traceback.format_exc()))
        return
    while True:
        connection.send_all(Ready(memory_held_gib()))
        message = connection.next()
        while isinstance(message, UpdateState):
            worker.context = restore_state(message.state)
            message = connection.next()
        worker.run(message)


class _Worker:
    """The task function, and what Hydra needs to run its jobs."""

    def __init__(self, connection: Channel, program: Program) -> None:
        self.connection = connection
        self.task = program.load_task()
        self.context: HydraContext = restore_state(program.state)
        warm_up = getattr(self.task, "warm_up", None)
        if warm_up is not None:
            _warm_up(warm_up)
        gc.freeze()  # configs are cyclic garbage; collecting them need not traverse large libraries

    def run(self, pack: RunPack) -> None:
        run.run_jobs(self.task, self.context, pack.jobs, self._report)

    def _report(self, index: int, job_return: JobReturn) -> None:
        self.connection.send_all(JobEnded(index, sent(job_return)))
        sys.stdout.flush()  # a file or pipe is block-buffered


def _warm_up(warm_up: Any) -> None:
    try:
        warm_up()
    except Exception:  # the first job will fail with it too, and has a log and a JobReturn
        log.debug("warm_up failed", exc_info=True)
