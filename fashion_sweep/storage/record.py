"""The contents of run.json: the record of a run."""

from __future__ import annotations

import dataclasses
import math
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from types import UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from fashion_sweep.storage.atomic import as_json
from fashion_sweep.storage.reading import parse_json

METRICS = ("loss", "accuracy", "val_loss", "val_accuracy")

Objective = Literal["val_loss", "val_accuracy"]
"""The metric that a run's best epoch is chosen by: the lowest loss, or the highest accuracy."""
OBJECTIVES: tuple[Objective, ...] = get_args(Objective)
OBJECTIVE = OBJECTIVES[0]
"""Where a config does not say."""


class Status(str, Enum):
    """The state of a run."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    DIVERGED = "diverged"
    FAILED = "failed"
    INTERRUPTED = "interrupted"

    @property
    def is_final(self) -> bool:
        """Whether the run has ended, successfully or not."""
        return self not in (Status.PENDING, Status.RUNNING)


RETRIED = {
    "none": (),
    "failed": (Status.FAILED, Status.INTERRUPTED),
    "diverged": (Status.DIVERGED, Status.INTERRUPTED),
    "all": (Status.FAILED, Status.INTERRUPTED, Status.DIVERGED),
}
"""Value of the config's ``retry`` -> statuses of the runs that a sweep trains again."""

LARGEST_INT = 2**63 - 1

PROCESS_DIED = "its process died"
"""The reason of a run that is recorded as running although no process owns its folder."""


@dataclass
class RunRecord:
    """What run.json holds. Times are ISO 8601 in UTC; metrics that are not finite numbers are None."""

    run: str  # name of the run's folder
    identity: str  # 64 hex digits, see ``identity``
    status: Status = Status.PENDING
    reason: str | None = None  # why the run did not complete, one line for people
    attempt: int = 1  # counts from 1
    seed: int | None = 0  # None: the trainer does not use one
    choices: dict[str, str] = field(default_factory=dict)  # config group -> chosen option
    overrides: list[str] = field(default_factory=list)  # as given on the command line
    config: dict[str, Any] = field(default_factory=dict)  # resolved
    data: dict[str, Any] = field(default_factory=dict)  # fingerprint, train_samples, see ``Recorder.describe_data``
    versions: dict[str, str] = field(default_factory=dict)  # package -> version
    git: dict[str, Any] | None = None  # commit, dirty; None outside a git checkout
    code: str | None = None  # SHA-256 of the Python files that the run was trained with
    device: dict[str, Any] = field(default_factory=dict)  # kind, name, host, threads
    started: str | None = None
    ended: str | None = None
    seconds: float | None = None
    pack: int = 1  # how many runs were trained together with this one, itself included
    memory_mib: float | None = None  # peak memory of the process, MiB; GPU memory if it trained on one
    parameters: int | None = None  # number of weights, trainable or not
    epochs_run: int = 0
    best: dict[str, float | None] | None = None  # epoch and METRICS where the objective was best, see ``best_row``
    last: dict[str, float | None] | None = None  # epoch and METRICS of the last epoch
    request: dict[str, Any] | None = None  # of a run without a sweep: what ``resume`` composes it from

    @property
    def objective(self) -> Objective:
        """The metric that chooses the best epoch."""
        return "val_accuracy" if self.config.get("objective") == "val_accuracy" else OBJECTIVE

    @classmethod
    def from_json(cls, text: str) -> RunRecord:
        """Read what ``to_json`` wrote; unknown keys are dropped. Raises ValueError for anything else."""
        raw = parse_json(text)
        if not isinstance(raw, dict) or not {"run", "identity", "status"} <= raw.keys():
            raise ValueError("not a run record")
        values = {key: value for key, value in raw.items() if key in _TYPES} | {"status": Status(raw["status"])}
        for key, value in values.items():
            if not fits(value, _TYPES[key]):
                raise ValueError(f"{key} is {value!r:.60}, expected {cls.__annotations__[key]}")
        record = cls(**values)
        if not is_file_name(record.run):
            raise ValueError(f"run is {record.run!r:.60}, expected the name of a folder")
        if min(record.attempt, record.epochs_run, record.pack) < 0:
            raise ValueError("attempt, epochs_run and pack are counts, and one of them is negative")
        return record

    def to_json(self) -> str:
        """Valid JSON: numbers that are not finite become null."""
        return as_json(dataclasses.asdict(self))

    def is_kept(self, identity: str, retry: str) -> bool:
        """Whether a sweep keeps the run instead of training it again. retry: a key of RETRIED.

        identity: of the run that would be trained. Only the owner of the sweep may call this: it assumes that the
        process of a run that is recorded as running has died.
        """
        return self.identity == identity and self.status.is_final and self.status not in RETRIED[retry]


_TYPES = get_type_hints(RunRecord)


def best_row(rows: Iterable[Mapping[str, float]], objective: str) -> Mapping[str, float] | None:
    """The epoch of the lowest val_loss or the highest val_accuracy, the first if tied; None without a finite one."""
    finite = [row for row in rows if math.isfinite(row[objective])]
    if objective == OBJECTIVE:
        return min(finite, key=lambda row: row[objective], default=None)
    return max(finite, key=lambda row: row[objective], default=None)


def is_file_name(name: str) -> bool:
    """Whether a name can neither lead out of a folder nor be the folder itself."""
    return name not in ("", ".", "..") and not set("/\\\0") & set(name)


def fits(value: Any, kind: Any) -> bool:
    """Whether a value from a JSON file has a field's type. Numbers have to be such as other programs can hold."""
    inside = get_args(kind)
    if kind is Any:
        return True
    if isinstance(kind, UnionType):
        return any(fits(value, one) for one in inside)
    if get_origin(kind) is list:
        return isinstance(value, list) and all(fits(item, inside[0]) for item in value)
    if get_origin(kind) is dict:
        return isinstance(value, dict) and all(fits(item, inside[1]) for item in value.values())
    if kind in (int, float):
        largest = LARGEST_INT if kind is int else sys.float_info.max
        is_number = isinstance(value, (int, kind)) and not isinstance(value, bool)
        return is_number and -largest <= value <= largest
    return isinstance(value, kind)
