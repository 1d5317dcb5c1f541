"""The only caller of Slurm's commands. All of it works without accounting (sacct).

submitit is not used: it learns how jobs ended from sacct, waits for ever where that is missing, and refuses arrays
larger than the cluster allows.
"""

from __future__ import annotations

import getpass
import os
import re
import subprocess
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

TIMEOUT_S = 60.0
"""Seconds that a command may take: one on a busy cluster takes some."""
RETRIES_S = (1.0, 2.0, 5.0, 10.0, 20.0, 30.0)
"""Seconds between attempts to reach Slurm where it does not answer."""
TRANSIENT = re.compile(r"unable to contact|timed out|connection refused|temporarily|communication|try again", re.I)
"""What Slurm says where it may answer later."""
ENDED = frozenset((
    "BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED", "REVOKED",
    "TIMEOUT",
))  # fmt: skip
"""States of jobs that will not run again."""
FRESH_S = 5.0
"""Seconds for which an answer about other people's tasks is kept: thousands of runs may be theirs."""
WHOLE_LISTS = {"SLURM_BITSTR_LEN": "0"}
"""Keeps squeue from cutting the list of an array's pending tasks short."""


class SlurmError(RuntimeError):
    """Slurm refused something, in its own words."""


class NoAnswerError(SlurmError):
    """Slurm could not be asked: its controller does not answer."""


class NotHereError(NoAnswerError):
    """Slurm could not be asked: its commands are not on this machine."""


@dataclass(frozen=True)
class TaskState:
    """What squeue says of an array task."""

    state: str  # such as PENDING, RUNNING, COMPLETING
    reason: str = ""  # why it does not run

    @property
    def is_live(self) -> bool:
        """Whether it runs or will run."""
        return self.state not in ENDED

    @property
    def has_begun(self) -> bool:
        """Whether it does not merely wait in the queue."""
        return self.state not in ("PENDING", "REQUEUED", "REQUEUE_HOLD")

    def __str__(self) -> str:
        return f"{self.state} ({self.reason})" if self.reason not in ("", "None") else self.state


Task = tuple[int, int]
"""The id of an array and the index of a task in it."""


def submit(script: Path, *, array: str, arguments: Sequence[str], comment: str) -> int:
    """Submit a job array and return its id. Raises SlurmError.

    array: as of ``--array``; comment: unique, so that an array is found whose submission was accepted unheard.
    """
    command = ["sbatch", "--parsable", f"--array={array}", f"--comment={comment}", str(script), *arguments]
    for wait_s in (*RETRIES_S, None):
        try:
            return int(_run(command).split(";")[0])
        except NoAnswerError as error:
            if wait_s is None or isinstance(error, NotHereError):
                raise
            time.sleep(wait_s)
            with suppress(NoAnswerError):
                found = find(comment)
                if found is not None:
                    return found
    raise AssertionError


def find(comment: str) -> int | None:
    """The id of the array with a comment, if there is one. Raises NoAnswerError."""
    lines = _run(["squeue", "--noheader", "--states=all", f"--user={getpass.getuser()}", "--format=%F|%k"])
    found = (line.split("|", 1) for line in lines.splitlines())
    return next((int(job) for job, text in found if text.strip() == comment), None)


def states(arrays: Iterable[int]) -> dict[Task, TaskState]:
    """The tasks of arrays that squeue still lists, some of which may have ended. Raises NoAnswerError."""
    wanted = set(arrays)
    found: dict[Task, TaskState] = {}
    command = ["squeue", "--noheader", "--states=all", f"--user={getpass.getuser()}", "--format=%F|%K|%T|%r"]
    for line in _run(command).splitlines():
        job, indices, state, reason = line.split("|", 3)
        if job.isdecimal() and int(job) in wanted:
            found |= {(int(job), index): TaskState(state, reason.strip()) for index in expanded(indices)}
    return found


def expanded(indices: str) -> Iterator[int]:
    """The indices that ``0-8:2,11%4`` stands for; none of a job that is no array's."""
    for part in indices.partition("%")[0].split(","):
        match = re.fullmatch(r"(\d+)(?:-(\d+))?(?::(\d+))?", part)
        if match:
            first, last, step = (int(each) if each else None for each in match.groups())
            assert first is not None
            yield from range(first, (first if last is None else last) + 1, step or 1)


def cancel(jobs: Sequence[str], *options: str) -> None:
    """Cancel jobs, ``12`` or ``12_3``, or signal them (``--signal=INT``). Those that have ended are passed over."""
    if jobs:
        try:
            _run(["scancel", "--quiet", *options, *jobs])
        except NoAnswerError:
            raise
        except SlurmError as error:
            if "already" not in str(error) and "Invalid job id" not in str(error):
                raise


def is_live(job: str, cluster: str) -> bool | None:
    """Whether a job, ``12`` or ``12_3``, runs or will run; None where this machine's Slurm cannot tell.

    cluster: the name of the job's cluster. Any user's job is found.
    """
    array, _, index = job.partition("_")
    try:
        known = _states_of(array, int(time.monotonic() / FRESH_S))
        if settings().get("ClusterName") != cluster:
            return None
    except SlurmError:
        return None
    return any(state.is_live for indices, state in known if not index or int(index) in expanded(indices))


@lru_cache(16)
def _states_of(job: str, _when: int) -> list[tuple[str, TaskState]]:
    """The tasks of an array, as squeue lists them; none of one that it has forgotten. Raises NoAnswerError."""
    try:
        text = _run(["squeue", "--noheader", "--states=all", f"--jobs={job}", "--format=%K|%T|%r"])
    except NoAnswerError:
        raise
    except SlurmError as error:
        if "Invalid job id" in str(error):
            return []
        raise
    rows = (line.split("|", 2) for line in text.splitlines())
    return [(indices, TaskState(state, reason)) for indices, state, reason in rows]


def about(job: str) -> dict[str, str]:
    """What ``scontrol show job`` says of a job, such as JobState and PreemptTime. Raises SlurmError."""
    words = _patiently(["scontrol", "--oneliner", "show", "job", job]).split()
    return {name: value for name, sign, value in (word.partition("=") for word in words) if sign}


def requeue(job: str) -> None:
    """Have Slurm end a running job and start it again later. Raises SlurmError."""
    _patiently(["scontrol", "requeue", job])


@cache
def settings() -> dict[str, str]:
    """The cluster's settings, by name, such as MaxArraySize and ClusterName. Raises NoAnswerError."""
    lines = (line.partition("=") for line in _patiently(["scontrol", "show", "config"]).splitlines())
    return {name.strip(): value.strip() for name, sign, value in lines if sign}


def max_array_size() -> int:
    """How many tasks an array may have."""
    return max(1, int(settings().get("MaxArraySize", "1001")))


def _patiently(command: Sequence[str]) -> str:
    """As ``_run``, again and again for a minute while Slurm does not answer. The command may be repeated."""
    for wait_s in RETRIES_S:
        try:
            return _run(command)
        except NotHereError:
            raise
        except NoAnswerError:
            time.sleep(wait_s)
    return _run(command)


def _run(command: Sequence[str]) -> str:
    """What a command prints. Raises NoAnswerError or SlurmError."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False, stdin=subprocess.DEVNULL,
            env=os.environ | WHOLE_LISTS, errors="replace",
        )  # fmt: skip
    except OSError as error:
        raise NotHereError(f"{command[0]}: {error.strerror}; expected a machine of a Slurm cluster") from error
    except subprocess.TimeoutExpired as error:
        raise NoAnswerError(f"{command[0]}: no answer within {TIMEOUT_S:.0f} s") from error
    if done.returncode == 0:
        return done.stdout
    said = " ".join(done.stderr.split())
    kind = NoAnswerError if TRANSIENT.search(said) else SlurmError
    raise kind(said or f"{command[0]} ended with exit code {done.returncode}")
