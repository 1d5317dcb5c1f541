"""The files of one submission, in a folder that submitter and nodes share: names and formats, defined here alone.

Only its owner can look into it. The submitter writes what tasks read, once; a task writes a file for each of its jobs.
Each file is written beside its place and moved there, and nothing relies on locks or on equal clocks.
"""

from __future__ import annotations

import json
import os
import pickle
import shutil
import uuid
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # a login node that asks how a submission is needs none of these
    from packed_jobs.executor import Rules
    from packed_jobs.packs import Pack
    from packed_jobs.program import Program
    from packed_jobs.returns import SentReturn

FOLDER = "slurm"
"""The name of the folder of all submissions, in that of a sweep."""


@dataclass(frozen=True)
class Array:
    """A job array of a submission: its task 0 is the submission's task ``first``."""

    comment: str  # unique, see ``cluster.submit``
    first: int
    size: int
    job: int | None = None  # None: not known to have been submitted


@dataclass(frozen=True)
class Manifest:
    """What was submitted."""

    created: str  # ISO 8601, UTC
    cluster: str = ""  # its name
    tasks: list[dict[str, str]] = field(default_factory=list)  # of each, index of a job -> name of its folder
    arrays: list[Array] = field(default_factory=list)
    has_ended: bool = False  # whether somebody has seen all tasks end

    def task_of(self, number: int) -> tuple[int, int] | None:
        """The array and the index of a task; None where it is not known to have been submitted."""
        for array in self.arrays:
            if array.job is not None and array.first <= number < array.first + array.size:
                return array.job, number - array.first
        return None


@dataclass(frozen=True)
class TaskFile:
    """What an array task reads."""

    packs: list[Pack]
    rules: Rules
    lanes: Mapping[str, Any]  # options of the lanes in a task, see ``allocation.lanes``
    timeout_min: int
    max_num_timeout: int


@dataclass(frozen=True)
class Submission:
    """The files of one submission."""

    path: Path

    @classmethod
    def new(cls, sweep: Path, cluster: str) -> Submission:
        """Make the folder of a submission in that of a sweep. Raises OSError."""
        now = datetime.now(timezone.utc)
        made = cls(sweep.absolute() / FOLDER / f"{now:%Y-%m-%d_%H-%M-%S}-{uuid.uuid4().hex[:6]}")
        made.path.parent.mkdir(exist_ok=True)
        made.path.mkdir(0o700)  # configs hold values that are written nowhere else
        for folder in (made.tasks, made.returns, made.logs):
            folder.mkdir()
        made.write_manifest(Manifest(now.isoformat(timespec="seconds"), cluster))
        return made

    @classmethod
    def all_of(cls, sweep: Path) -> list[Submission]:
        """Every submission of a sweep, the first one first."""
        found = [cls(path) for path in sorted((sweep / FOLDER).glob("*/")) if path.is_dir()]
        return [each for each in found if each.manifest_file.exists()]

    @property
    def manifest_file(self) -> Path:
        return self.path / "submission.json"

    @property
    def script(self) -> Path:
        return self.path / "task.sh"

    @property
    def program(self) -> Path:
        return self.path / "program.pickle"

    @property
    def tasks(self) -> Path:
        return self.path / "tasks"

    @property
    def returns(self) -> Path:
        return self.path / "returns"

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    def read_manifest(self) -> Manifest:
        """Raises OSError or ValueError for one that is not there or is damaged."""
        try:
            raw = json.loads(self.manifest_file.read_text("utf-8"))
            return replace(Manifest(**raw), arrays=[Array(**each) for each in raw["arrays"]])
        except (TypeError, KeyError) as error:
            raise ValueError(f"{self.manifest_file} is damaged: {error}") from error

    def write_manifest(self, manifest: Manifest) -> None:
        with written(self.manifest_file) as beside:
            beside.write_text(json.dumps(asdict(manifest), indent=1) + "\n", "utf-8")

    def close(self) -> None:
        """Note that all tasks have ended, and remove what they have read and written, but not their logs."""
        self.write_manifest(replace(self.read_manifest(), has_ended=True))
        for folder in (self.tasks, self.returns):
            shutil.rmtree(folder, ignore_errors=True)
        self.program.unlink(missing_ok=True)

    def write_program(self, program: Program) -> None:
        with written(self.program) as beside:
            beside.write_bytes(pickle.dumps(program))

    def read_program(self) -> Program:
        program: Program = pickle.loads(self.program.read_bytes())
        return program

    def write_task(self, number: int, task: TaskFile) -> None:
        with written(self.tasks / f"{number}.pickle") as beside:
            beside.write_bytes(_packed(task))

    def read_task(self, number: int) -> TaskFile:
        task: TaskFile = _unpacked(self.tasks / f"{number}.pickle")
        return task

    def begin(self, number: int, attempt: int) -> None:
        """Note that Slurm has started a task, for the time ``attempt``, counted from 0."""
        with written(self._attempt(number)) as beside:
            beside.write_text(f"{attempt}\n", "utf-8")

    def is_current(self, number: int, attempt: int) -> bool:
        """Whether Slurm has not started the task anew since: a node that was lost may go on with an older attempt."""
        try:
            return int(self._attempt(number).read_text("utf-8")) <= attempt
        except (FileNotFoundError, ValueError):
            return True

    def _attempt(self, number: int) -> Path:
        return self.tasks / f"{number}.attempt"

    def count_timeouts(self, number: int, jobs: Sequence[int]) -> dict[int, int]:
        """Count that these jobs of a task have met its time limit once more. Returns how often each of all has."""
        place = self.tasks / f"{number}.timeouts.json"
        before: dict[str, int] = json.loads(place.read_text("utf-8")) if place.exists() else {}
        counts = before | {str(job): before.get(str(job), 0) + 1 for job in jobs}
        with written(place) as beside:
            beside.write_text(json.dumps(counts), "utf-8")
        return {int(job): count for job, count in counts.items()}

    def write_return(self, index: int, returned: SentReturn) -> None:
        """Write what became of a job. index: in its batch."""
        with written(self.returns / f"{index}.pickle") as beside:
            beside.write_bytes(_packed(returned))

    def returned(self) -> set[int]:
        """The jobs that have returned."""
        with os.scandir(self.returns) as entries:
            names = [entry.name.partition(".") for entry in entries]
        return {int(stem) for stem, _, suffix in names if suffix == "pickle" and stem.isdecimal()}

    def refresh(self) -> None:
        """Have a network file system list the results anew: it may keep a list for a minute, but not past a change."""
        with written(self.returns / ".looked") as beside:
            beside.touch()

    def read_return(self, index: int) -> SentReturn:
        returned: SentReturn = _unpacked(self.returns / f"{index}.pickle")
        return returned


def _packed(value: Any) -> bytes:
    """Pickled and compressed, to a fifth: the configs of jobs are much alike."""
    return zlib.compress(pickle.dumps(value, pickle.HIGHEST_PROTOCOL), level=1)


def _unpacked(path: Path) -> Any:
    return pickle.loads(zlib.decompress(path.read_bytes()))


@contextmanager
def written(path: Path) -> Iterator[Path]:
    """Yield a place beside a file, on whichever node; move it into the file's place if the block succeeds."""
    beside = path.with_name(f".{uuid.uuid4().hex}.{path.name}")
    try:
        yield beside
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
