"""The one place that spells the files of a run; those of a sweep are spelled in ``sweep_dir``.

Training writes through this module and analysis reads through it, so that neither knows the other.
Every file is written beside its place and moved there with a rename: a reader never sees half of one.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

from fashion_sweep.errors import FolderError

HISTORY_COLUMNS = ("epoch", "loss", "accuracy", "val_loss", "val_accuracy", "learning_rate", "seconds")
"""Columns of history.csv in their order; ``learning_rate`` is there only for runs that change it."""

METRICS = ("loss", "accuracy", "val_loss", "val_accuracy")


class Status(str, Enum):
    """What has become of a run."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    DIVERGED = "diverged"
    FAILED = "failed"
    INTERRUPTED = "interrupted"

    @property
    def is_final(self) -> bool:
        """Whether the run has ended, well or badly."""
        return self not in (Status.PENDING, Status.RUNNING)


RETRIED = {
    "none": (),
    "failed": (Status.FAILED, Status.INTERRUPTED),
    "diverged": (Status.DIVERGED, Status.INTERRUPTED),
    "all": (Status.FAILED, Status.INTERRUPTED, Status.DIVERGED),
}
"""What the config's ``retry`` may be, and the runs that a sweep then trains again."""


@dataclass
class RunRecord:
    """What run.json holds. Times are ISO 8601 in UTC; metrics that are not finite numbers are None."""

    run: str  # name of the run's folder
    identity: str  # 64 hex digits, see ``identity``
    status: Status = Status.PENDING
    reason: str | None = None  # why the run did not complete, for people: one line
    attempt: int = 1  # counts from 1
    seed: int | None = 0  # None: the trainer has no use for one
    choices: dict[str, str] = field(default_factory=dict)  # config group -> chosen option
    overrides: list[str] = field(default_factory=list)  # as given on the command line
    config: dict[str, Any] = field(default_factory=dict)  # resolved
    data: dict[str, Any] = field(default_factory=dict)  # fingerprint, train_samples, validation_samples
    versions: dict[str, str] = field(default_factory=dict)  # package -> version
    git: dict[str, Any] | None = None  # commit, dirty; None outside a git checkout
    code: str | None = None  # SHA-256 of the Python files that the run was trained with
    device: dict[str, Any] = field(default_factory=dict)  # kind, name, host, threads
    started: str | None = None
    ended: str | None = None
    seconds: float | None = None
    pack: int = 1  # how many runs were trained together with this one, itself included
    memory_mib: float | None = None  # most that the process has held, in MiB; of a GPU's memory where it trains on one
    parameters: int | None = None  # number of weights, trainable or not
    epochs_run: int = 0
    best: dict[str, float | None] | None = None  # epoch and METRICS where val_loss was lowest
    last: dict[str, float | None] | None = None  # epoch and METRICS of the last epoch

    @classmethod
    def from_json(cls, text: str) -> RunRecord:
        """Read what ``to_json`` wrote; unknown keys are dropped. Raises ValueError for anything else."""
        raw = json.loads(text)
        if not isinstance(raw, dict) or not {"run", "identity", "status"} <= raw.keys():
            raise ValueError("not a run record")
        kinds = get_type_hints(cls)
        values = {key: value for key, value in raw.items() if key in kinds} | {"status": Status(raw["status"])}
        for key, value in values.items():
            if not _fits(value, kinds[key]):
                raise ValueError(f"{key} is {value!r:.60}, expected {cls.__annotations__[key]}")
        return cls(**values)

    def to_json(self) -> str:
        """Valid JSON: numbers that are not finite become null."""
        return as_json(dataclasses.asdict(self))

    def is_kept(self, identity: str, retry: str) -> bool:
        """Whether a sweep leaves the run as it is. identity: of what it would train; retry: a key of RETRIED.

        To be asked by the owner of the sweep: a run that is said to be running has then lost its process.
        """
        return self.identity == identity and self.status.is_final and self.status not in RETRIED[retry]


@dataclass(frozen=True)
class RunDir:
    """The files of one run."""

    path: Path

    @property
    def record(self) -> Path:
        return self.path / "run.json"

    @property
    def history(self) -> Path:
        return self.path / "history.csv"

    @property
    def model_summary(self) -> Path:
        return self.path / "model.txt"

    @property
    def last_model(self) -> Path:
        return self.path / "last.keras"

    @property
    def last_weights(self) -> Path:
        return self.path / "last.weights.h5"

    @property
    def last_h5(self) -> Path:
        """The whole model in Keras' legacy format."""
        return self.path / "last.h5"

    @property
    def folds(self) -> Path:
        """Scores of every fold of a cross-validation, one row each."""
        return self.path / "folds.csv"

    @property
    def log(self) -> Path:
        return self.path / "train.log"

    @property
    def composed(self) -> Path:
        """The config as Hydra composed it, interpolations unresolved."""
        return self.path / ".hydra" / "config.yaml"

    @property
    def state(self) -> Path:
        """What an interrupted run needs to go on; there only until the run has ended."""
        return self.path / "state.npz"

    def clear_leftovers(self) -> None:
        """Take away what killed processes were about to write, see ``replacing``."""
        for path in self.path.glob(".[0-9]*.*"):
            path.unlink(missing_ok=True)

    def read_record(self) -> RunRecord | None:
        """The run's record; None where there is none yet. Raises FolderError for one that cannot be read."""
        try:
            return RunRecord.from_json(self.record.read_text("utf-8"))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError, RecursionError, OSError) as error:
            raise FolderError(f"{self.record}: cannot be read as a run's record ({error})") from error

    def write_record(self, record: RunRecord) -> None:
        write_text(self.record, record.to_json())

    def overwrite_record(self, record: RunRecord) -> None:
        """Write the record into the file that is there: it takes no room on a full disk, but is no longer atomic."""
        text = json.dumps(json.loads(record.to_json()), separators=(",", ":")).encode()
        with self.record.open("r+b") as file:
            file.write(text.ljust(self.record.stat().st_size))

    def read_history(self) -> list[dict[str, float]]:
        """One dict an epoch, numbers as floats. Empty where there is none yet; FolderError where it is damaged."""
        rows, fault = self.salvage_history()
        if fault:
            raise FolderError(f"{self.history}: cannot be read as a history ({fault})")
        return rows

    def salvage_history(self) -> tuple[list[dict[str, float]], str]:
        """The epochs before the first damaged line, and what is wrong there: empty where nothing is."""
        try:
            lines = self.history.read_bytes().decode("utf-8", "replace").split("\n")
        except FileNotFoundError:
            return [], ""
        except OSError as error:
            return [], error.strerror or str(error)
        rows: list[dict[str, float]] = []
        columns = lines[0].strip().split(",")
        if len(lines) == 1 or not {"epoch", *METRICS} <= set(columns):
            return [], f"line 1 is not the names of columns: {lines[0]!r:.60}"
        for number, line in enumerate(lines[1:-1], start=2):
            try:
                rows.append(_epoch(columns, line, len(rows) + 1))
            except ValueError as error:
                return rows, f"line {number} is damaged: {error!s:.80}"
        # Every line is written with its end: a number that was cut off may still look like one.
        return rows, f"line {len(lines)} is damaged: it breaks off" if lines[-1] else ""

    def write_history(self, rows: Sequence[Mapping[str, float]]) -> None:
        """Write all epochs so far; every row has the keys of the first, a subset of HISTORY_COLUMNS."""
        columns = [name for name in HISTORY_COLUMNS if name in rows[0]]
        lines = [columns, *([_cell(row[name]) for name in columns] for row in rows)]
        write_text(self.history, "".join(",".join(line) + "\n" for line in lines))


def write_text(path: Path, text: str) -> None:
    """Write a whole file so that readers see the old one or the new one, never a part."""
    with replacing(path) as beside:
        beside.write_text(text, "utf-8")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a path beside ``path``, of the same suffix, to write to; move it into place when the block ends well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        yield beside
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)


def _epoch(columns: Sequence[str], line: str, epoch: int) -> dict[str, float]:
    """A line of history.csv that is to be the given epoch's. Raises ValueError for anything else."""
    cells = line.split(",")
    if len(cells) != len(columns):
        raise ValueError(f"it has {len(cells)} cells, expected {len(columns)}")
    row = dict(zip(columns, map(float, cells), strict=True))
    if row["epoch"] != epoch:
        raise ValueError(f"its epoch is {row['epoch']:g}, expected {epoch}")
    return row


def _cell(value: float) -> str:
    return str(value) if isinstance(value, int) else repr(float(value))


def as_json(value: Any) -> str:
    """A value as indented JSON; numbers that are not finite become null, what JSON does not know a text."""
    return json.dumps(_finite(value), indent=2, default=str, allow_nan=False) + "\n"


def _fits(value: Any, kind: Any) -> bool:
    """Whether a value out of a JSON file is of a field's type."""
    inside = get_args(kind)
    if kind is Any:
        return True
    if isinstance(kind, UnionType):
        return any(_fits(value, one) for one in inside)
    if get_origin(kind) is list:
        return isinstance(value, list) and all(_fits(item, inside[0]) for item in value)
    if get_origin(kind) is dict:
        return isinstance(value, dict) and all(_fits(item, inside[1]) for item in value.values())
    return isinstance(value, (int, float) if kind is float else kind) and not isinstance(value, bool)


def _finite(value: Any) -> Any:
    """The same value with every float that is not finite replaced by None, which JSON can hold."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return value
