"""A lane's side: take packs from the parent, run them, send back what became of them."""

from __future__ import annotations

import gc
import logging
import os
import pickle
import select
import signal
import sys
import threading
import time
import traceback
from multiprocessing.connection import Connection
from typing import Any

import cloudpickle
from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, JobStatus, setup_globals
from hydra.types import HydraContext, TaskFunction

from packed_jobs import run
from packed_jobs.errors import UnsendableError
from packed_jobs.hydra_internals import run_job
from packed_jobs.local.memory import memory_held_gib
from packed_jobs.local.messages import Brief, Broken, Done, Free, RunPack, Start

ORPHAN_GRACE_S = 3.0
"""Seconds that a job has to record itself, once the parent is gone."""

log = logging.getLogger(__name__)


def serve(connection: int, lifeline: int, parent: int) -> None:
    """Run what the parent sends, until it closes the connection or dies.

    connection, lifeline: file descriptors; parent: process id.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job would ignore it
    logging.raiseExceptions = False  # a log that cannot be written, as on a full disk, is no news for the terminal
    threading.Thread(target=_die_with, args=(lifeline, parent), daemon=True).start()
    run_job.speed_up_run_job()
    try:
        _serve(Connection(connection))
    except (EOFError, ConnectionError):
        return
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)


def _die_with(lifeline: int, parent: int) -> None:
    """Interrupt the job, and soon kill this process and its children, when the parent has died in whatever way."""
    while not select.select([lifeline], [], [], 1.0)[0] and os.getppid() == parent:
        pass
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(ORPHAN_GRACE_S)
    os.killpg(os.getpgid(0), signal.SIGKILL)


def _serve(connection: Connection[Any, Any]) -> None:
    try:
        lane = _Lane(connection, connection.recv())
    except Exception:
        connection.send(Broken(traceback.format_exc()))
        return
    while True:
        connection.send(Free(memory_held_gib()))
        message = connection.recv()
        while isinstance(message, Brief):
            lane.brief(message.briefing)
            message = connection.recv()
        lane.run(message)


class _Lane:
    """The task function, and all that Hydra wants around it."""

    def __init__(self, connection: Connection[Any, Any], start: Start) -> None:
        self.connection = connection
        self.task: TaskFunction = pickle.loads(start.task)
        self.context: HydraContext
        self.brief(start.briefing)
        warm_up = getattr(self.task, "warm_up", None)
        if warm_up is not None:
            _warm_up(warm_up)
        gc.freeze()  # configs are cyclic garbage, and large libraries need not be searched through to find it

    def brief(self, briefing: bytes) -> None:
        """Take over Hydra's global state from the parent."""
        setup_globals()
        state, self.context, folder, sys.argv[:] = pickle.loads(briefing)
        Singleton.set_state(state)
        os.chdir(folder)

    def run(self, pack: RunPack) -> None:
        run.run_jobs(self.task, self.context, pack.jobs, self._report)

    def _report(self, index: int, job_return: JobReturn) -> None:
        self.connection.send(_done(index, job_return))
        sys.stdout.flush()  # into a file or pipe, where it would wait for more


def _warm_up(warm_up: Any) -> None:
    try:
        warm_up()
    except Exception:  # the first job will meet it again, and has a log and a JobReturn to tell it
        log.warning("warm_up failed", exc_info=True)


def _done(index: int, job_return: JobReturn) -> Done:
    """The message about an ended job; what cannot be pickled, or not be unpickled, becomes an UnsendableError."""
    error = job_return._return_value if job_return.status is JobStatus.FAILED else None
    text = "".join(traceback.format_exception(error)) if isinstance(error, BaseException) else ""
    try:
        pickled = _pickled(job_return)
        if error is not None:  # exceptions are often picklable but not unpicklable
            pickle.loads(pickled)
    except Exception as problem:
        job_return.return_value = _unsendable(job_return, error, problem)
        job_return.status = JobStatus.FAILED
        pickled = _pickled(job_return)
    return Done(index, pickled, text)


def _pickled(value: Any) -> bytes:
    """Pickled by the fast pickler where it can; classes of the parent's main program need the other."""
    try:
        return pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
    except Exception:
        pickled: bytes = cloudpickle.dumps(value)
        return pickled


def _unsendable(job_return: JobReturn, error: Any, problem: Exception) -> UnsendableError:
    if error is not None:
        return UnsendableError(f"{type(error).__name__}: {error}")
    kind = type(job_return._return_value).__name__
    return UnsendableError(f"the job returned a {kind}, which cannot be sent from its lane: {problem}")
