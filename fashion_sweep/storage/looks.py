"""What a sweep's test.json holds: every look at the test images, so that a report can say how often it happened.

Looks are only ever added. A file that cannot be read is an error: it may hold looks that nobody could count any more.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from fashion_sweep.errors import FolderError, UnreadableError
from fashion_sweep.storage import reading
from fashion_sweep.storage.atomic import as_json, write_text
from fashion_sweep.storage.record import OBJECTIVE, Objective, fits
from fashion_sweep.storage.sweep_dir import SweepDir

Asked = Literal["selected", "run"]
"""What was measured: the sweep's best setting, or a run that a person chose."""
SELECTED: Asked = "selected"
ONE_RUN: Asked = "run"

T = TypeVar("T")


@dataclass(frozen=True)
class Estimate:
    """A mean over images and the ends of its 95% interval over images; NaN where there is none."""

    value: float = math.nan
    low: float = math.nan
    high: float = math.nan


@dataclass(frozen=True)
class Figures:
    """Of one model, or means over the models of several runs."""

    loss: Estimate = field(default_factory=Estimate)
    accuracy: Estimate = field(default_factory=Estimate)


@dataclass(frozen=True)
class MeasuredRun:
    """A run's model on the test and the validation images; NaN where it was not measured on these."""

    run: str  # name of its folder
    identity: str
    seed: int | None
    file: str  # in its folder, such as best.keras
    sha256: str  # of the file
    test_loss: float
    test_accuracy: float
    val_loss: float = math.nan
    val_accuracy: float = math.nan


@dataclass(frozen=True, eq=False)
class Look:
    """One look at the test images. Looks are equal where test.json says the same of them: NaN, too, equals NaN."""

    when: str  # ISO 8601, UTC
    asked: Asked
    images: int  # test images
    fingerprint: str  # of the test images and their classes, see ``Dataset.fingerprint``
    runs: list[MeasuredRun]
    test: Figures
    validation: Figures = field(default_factory=Figures)
    difference: Figures = field(default_factory=Figures)  # test minus validation
    setting: str = ""  # its name when it was selected; empty where there was no other
    among: int = 0  # settings that it was selected from, itself included
    metric: Objective = OBJECTIVE  # that it was selected by, at each run's best epoch
    left_out: dict[str, int] = field(default_factory=dict)  # why -> how many runs of the setting
    versions: dict[str, str] = field(default_factory=dict)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Look) and as_json(dataclasses.asdict(self)) == as_json(dataclasses.asdict(other))

    def __hash__(self) -> int:
        return hash((self.when, self.key))

    @property
    def key(self) -> tuple[object, ...]:
        """Equal for looks that show the same: the same models on the same images."""
        return key(self.asked, self.fingerprint, [(run.identity, run.file, run.sha256) for run in self.runs])

    @property
    def day(self) -> str:
        """When it happened, for people: ``2026-01-02 03:04 UTC``."""
        return f"{self.time:%Y-%m-%d %H:%M} UTC"

    @property
    def time(self) -> datetime:
        return datetime.fromisoformat(self.when).astimezone(timezone.utc)


def key(asked: Asked, fingerprint: str, models: Sequence[tuple[str, str, str]]) -> tuple[object, ...]:
    """See ``Look.key``. models: identity of the run, file and its SHA-256."""
    return asked, fingerprint, *models


def read(sweep: SweepDir) -> list[Look]:
    """All looks, the first one first; none where there is no file. Raises UnreadableError for any other content."""
    return [_checked(_made(Look, raw, sweep), sweep) for raw in _read(sweep)]


def add(sweep: SweepDir, look: Look) -> list[Look]:
    """Add a look, and return all of them. Only the owner of the folder may call this.

    Raises UnreadableError where what is there cannot be read, FolderError where it cannot be written.
    """
    before = read(sweep)
    try:
        write_text(sweep.test, as_json({"looks": [*_read(sweep), dataclasses.asdict(look)]}))
    except OSError as error:
        raise FolderError(f"{sweep.test} cannot be written ({error.strerror or error})") from error
    return [*before, look]


def sha256_of(file: Path) -> str:
    """The SHA-256 (64 hex digits) of a file."""
    digest = hashlib.sha256()
    with reading.open_file(file) as content:
        while block := content.read(reading.MIB):
            digest.update(block)
    return digest.hexdigest()


def _read(sweep: SweepDir) -> list[Any]:
    """The looks as JSON values, with keys that only a later version knows."""
    try:
        raw = reading.read_json(sweep.test)
    except FileNotFoundError:
        return []
    except ValueError as error:
        raise _damaged(sweep, str(error)) from error
    if not (isinstance(raw, dict) and isinstance(raw.get("looks"), list)):
        raise _damaged(sweep, "it has no list of looks")
    looks: list[Any] = raw["looks"]
    return looks


def _made(kind: type[T], raw: Any, sweep: SweepDir) -> T:
    """A value of a dataclass from JSON; unknown keys are dropped, and null is NaN where a number is expected."""
    if not isinstance(raw, dict):
        raise _damaged(sweep, f"{raw!r:.60} in the place of a {kind.__name__}")
    hints = get_type_hints(kind)
    try:
        return kind(**{name: _value(hints[name], value, name, sweep) for name, value in raw.items() if name in hints})
    except TypeError as error:  # a key is missing
        raise _damaged(sweep, str(error).partition("() ")[2]) from error


def _value(kind: Any, raw: Any, name: str, sweep: SweepDir) -> Any:
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        return _made(kind, raw, sweep)
    if get_origin(kind) is list and isinstance(raw, list):
        return [_made(get_args(kind)[0], each, sweep) for each in raw]
    if kind is float and raw is None:
        return math.nan
    if not (raw in get_args(kind) if get_origin(kind) is Literal else fits(raw, kind)):
        raise _damaged(sweep, f"{name} is {raw!r:.60}")
    return raw


def _checked(look: Look, sweep: SweepDir) -> Look:
    try:
        is_whole = look.time is not None and bool(look.runs)
    except (ValueError, OverflowError) as error:
        raise _damaged(sweep, str(error)) from error
    if not is_whole:
        raise _damaged(sweep, "a look at no runs")
    return look


def _damaged(sweep: SweepDir, why: str) -> UnreadableError:
    return UnreadableError(
        f"{sweep.test}: cannot be read as looks at the test images ({why});\n"
        "it is not overwritten: put back a whole copy, or move it away to start counting looks again"
    )
