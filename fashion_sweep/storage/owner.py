"""Who owns a folder: what ``owner.json`` says, and whether that process is still alive."""

from __future__ import annotations

import hashlib
import os
import platform
import uuid
from dataclasses import dataclass, fields, replace
from datetime import datetime, timezone
from functools import cache
from pathlib import Path

from fashion_sweep.errors import UnreadableError
from fashion_sweep.storage.plain_text import clean
from fashion_sweep.storage.reading import parse_json, read_start

DEAD_AFTER_S = 180.0
"""Seconds without a heartbeat after which an owner that is not seen from here counts as dead."""

LARGEST = 2**16
"""Bytes of an owner's file that are read at most; a whole one has a few hundred."""


@dataclass(frozen=True)
class Owner:
    """A process that owns a folder."""

    host: str
    pid: int  # 0: unknown, and ``host`` says why
    start: str  # start time of the process, as the system reports it: PIDs are reused
    since: str  # ISO 8601, UTC
    token: str  # unique to this ownership
    boot: str = ""  # of the machine; two machines may have one name
    namespace: str = ""  # of PIDs: in another container the same number is another process
    task: str = ""  # of a launcher, which trains a run for a command and may outlive it; a job of Slurm, or "local"
    cluster: str = ""  # the name of Slurm's cluster
    attempt: str = "0"  # how often Slurm has started the job anew

    @classmethod
    def this_process(cls) -> Owner:
        """This process as an owner, from now on."""
        now = datetime.now(timezone.utc).isoformat(timespec="seconds")
        pid = os.getpid()
        return cls(platform.node(), pid, _start_of(pid), now, uuid.uuid4().hex, *_place())

    @classmethod
    def this_task(cls) -> Owner:
        """This process, which a launcher started for a run."""
        given = os.environ.get
        array = f"{given('SLURM_ARRAY_JOB_ID')}_{given('SLURM_ARRAY_TASK_ID')}"
        job = array if given("SLURM_ARRAY_JOB_ID") else given("SLURM_JOB_ID")
        where = (given("SLURM_CLUSTER_NAME", ""), given("SLURM_RESTART_COUNT", "0")) if job else ("", "0")
        return replace(cls.this_process(), task=job or "local", cluster=where[0], attempt=where[1])

    def follows(self, other: Owner) -> bool:
        """Whether Slurm has started this task anew, so that the other attempt at it counts no more."""
        is_same = bool(self.cluster) and (self.task, self.cluster) == (other.task, other.cluster)
        return (
            is_same
            and self.attempt.isdecimal()
            and other.attempt.isdecimal()
            and int(self.attempt) > int(other.attempt)
        )

    @classmethod
    def unknown(cls, why: str, token: str = "") -> Owner:
        """An owner that cannot be named. why: for people."""
        return cls(why, 0, "", "", token)

    @property
    def is_seen_from_here(self) -> bool:
        """Whether its PID means the same process to us."""
        return self.pid > 0 and self.host == platform.node() and (self.boot, self.namespace) == _place()

    def __str__(self) -> str:
        if not self.pid:
            return clean(f"an unknown process ({self.host})")
        job = f"Slurm job {self.task}, " if self.cluster else ""
        return clean(f"{job}process {self.pid} on {self.host}, since {self.since}")


def read(place: Path) -> Owner | None:
    """The owner recorded in a file; None if there is no such file, an unknown owner if the file is damaged.

    Raises UnreadableError where it is there and cannot be read.
    """
    try:
        text, _ = read_start(place, LARGEST)
    except FileNotFoundError as error:
        if not os.path.lexists(place):
            return None
        raise UnreadableError(f"{place}: cannot be read (a link that leads nowhere)") from error
    return _parsed(text) or Owner.unknown(f"{place} is damaged", hashlib.sha256(text).hexdigest())


def is_alive(owner: Owner, place: Path) -> bool:
    """Whether the owner that a file records still runs, as far as can be known."""
    if owner.is_seen_from_here:
        return _start_of(owner.pid) == owner.start
    if owner.cluster:
        from packed_jobs.slurm import cluster

        is_live = cluster.is_live(owner.task, owner.cluster)
        if is_live is not None:
            return is_live
    try:
        return abs(_age(place)) < DEAD_AFTER_S  # negative if the clock was set back and no heartbeat has come since
    except FileNotFoundError:
        return False
    except OSError:  # without write permission, the age cannot be measured
        return True


def _parsed(text: bytes) -> Owner | None:
    """None for anything that is not an owner."""
    try:
        raw = parse_json(text.decode())
    except ValueError:
        return None
    if not isinstance(raw, dict):
        return None
    kinds = {field.name: int if field.name == "pid" else str for field in fields(Owner)}
    values = {key: raw[key] for key in kinds if key in raw}
    if not all(type(value) is kinds[key] for key, value in values.items()) or values.get("pid", 0) <= 0:
        return None
    try:
        return Owner(**values)
    except TypeError:  # a key is missing
        return None


def _age(place: Path) -> float:
    """Seconds since the last heartbeat, by the clock of the file system."""
    now = place.with_name(f".{uuid.uuid4().hex}.now")
    try:
        now.touch()
        return now.stat().st_mtime - place.stat().st_mtime
    finally:
        now.unlink(missing_ok=True)


def _start_of(pid: int) -> str:
    """The start time of a process on this machine, in the system's own format; empty if no such process runs."""
    try:
        state, *values = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return "" if state in "ZX" else values[18]  # killed, though its parent has not asked for its exit code yet
    except OSError:
        pass
    if Path("/proc/self/stat").exists():
        return ""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return ""
    except PermissionError:
        pass
    return "alive"


@cache
def _place() -> tuple[str, str]:
    """Boot id and PID namespace of this process; empty where the system does not tell."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip(), str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return "", ""
