"""Ends tasks so that they can record what they were doing."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from packed_jobs.slurm import cluster

GRACE_S = 12.0
"""Seconds that running tasks have to record themselves: their lanes have 5, and Slurm takes some to tell."""
POLL_S = 0.5


def interrupt(arrays: Sequence[str], is_running: Callable[[], bool]) -> None:
    """Cancel pending tasks, interrupt running ones, and wait for them, but not for long. Raises SlurmError."""
    cluster.cancel(arrays, "--state=PENDING")
    cluster.cancel(arrays, "--state=RUNNING", "--batch", "--signal=INT")
    end = time.monotonic() + GRACE_S
    while is_running() and time.monotonic() < end:
        time.sleep(POLL_S)


def stop(arrays: Sequence[str], is_running: Callable[[], bool]) -> None:
    """Interrupt all tasks, and cancel those that do not end. Raises SlurmError."""
    interrupt(arrays, is_running)
    cluster.cancel(arrays)
