"""The names and formats of a sweep's files, defined here and nowhere else, and the folder names of its runs."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, get_type_hints

from fashion_sweep.errors import FolderError, UnreadableError
from fashion_sweep.storage import reading
from fashion_sweep.storage.atomic import as_json, write_text
from fashion_sweep.storage.lease import OWNER
from fashion_sweep.storage.record import fits, is_file_name
from fashion_sweep.storage.run_dir import RunDir


@dataclass(frozen=True)
class PlannedRun:
    """One entry of sweep.json: a run before it starts."""

    run: str
    overrides: list[str]
    identity: str


@dataclass(frozen=True)
class SweepDir:
    """The files of one sweep: a folder that holds run folders."""

    path: Path

    @property
    def plan(self) -> Path:
        return self.path / "sweep.json"

    @property
    def report(self) -> Path:
        return self.path / "report"

    @property
    def report_error(self) -> Path:
        return self.path / "report_error.txt"

    @property
    def launch_error(self) -> Path:
        """The traceback of an error outside any run, such as one of a launcher."""
        return self.path / "launch_error.txt"

    @property
    def code(self) -> Path:
        """The source files that the runs are trained with."""
        return self.path / "code"

    @property
    def configs(self) -> Path:
        """The config groups that the runs are composed from."""
        return self.code / "conf"

    @property
    def extra_configs(self) -> Path:
        """The user's own config groups, if there are any."""
        return self.code / "config_dir"

    @property
    def samples(self) -> Path:
        """Ten images of the dataset for the report: arrays ``images``, ``labels``, ``class_names``."""
        return self.path / "samples.npz"

    @property
    def test(self) -> Path:
        """Looks at the test images, see ``looks``."""
        return self.path / "test.json"

    @property
    def submissions(self) -> Path:
        """What was submitted to a cluster, see ``packed_jobs.slurm.submission``."""
        return self.path / "slurm"

    @staticmethod
    def own_names() -> list[str]:
        """The names that the sweep itself uses in its folder, so that no run's folder may have them."""
        sweep = SweepDir(Path())
        paths = (
            sweep.plan,
            sweep.report,
            sweep.report_error,
            sweep.launch_error,
            sweep.code,
            sweep.samples,
            sweep.test,
            sweep.submissions,
        )
        return [*(path.name for path in paths), "multirun.yaml"]

    @staticmethod
    def is_run_name(name: str) -> bool:
        """Whether a run's folder may have this name: a plain one, and none that the sweep itself uses."""
        return is_file_name(name) and not name.startswith(".") and name not in (*SweepDir.own_names(), OWNER)

    def read_plan(self) -> tuple[list[str], list[PlannedRun]]:
        """The commands that trained into the folder and the planned runs; both empty where there is no plan.

        Runs whose entries are invalid are left out: see ``read_entries``.
        Raises FolderError for a plan that is damaged, UnreadableError where the file cannot be read.
        """
        commands, entries = self.read_entries()
        return commands, [entry for entry in entries if isinstance(entry, PlannedRun)]

    def read_entries(self) -> tuple[list[str], list[PlannedRun | str]]:
        """As ``read_plan``, with what is wrong with an entry in the place of a run that is left out."""
        try:
            return _plan_of(reading.read_json(self.plan))
        except FileNotFoundError:
            return [], []
        except (ValueError, TypeError, KeyError) as error:
            raise FolderError(f"{self.plan}: cannot be read as a sweep's plan ({error})") from error

    def write_plan(self, command: str, runs: Sequence[PlannedRun], requests: Sequence[Mapping[str, Any]] = ()) -> None:
        """Write what the sweep will train. requests: of each grid, what ``read_requests`` gives back.

        A folder may be given one grid after another: commands, runs and requests of earlier ones are kept.
        """
        commands, before = self.plan_before()
        own = {run.identity for run in runs}
        others = [run for run in before if run.identity not in own]
        given = [*(self._requests_before() if others else ()), *requests]
        planned = [dataclasses.asdict(run) for run in [*others, *runs]]
        text = {
            "commands": list(dict.fromkeys([*commands, command])),
            "requests": list({json.dumps(each, sort_keys=True): each for each in given}.values()),
            "runs": planned,
        }
        write_text(self.plan, as_json(text))

    def plan_before(self) -> tuple[list[str], list[PlannedRun]]:
        """As ``read_plan``; a plan that is damaged is written anew, and runs are known by their records.

        Raises UnreadableError.
        """
        try:
            return self.read_plan()
        except UnreadableError:
            raise
        except FolderError:
            return [], []

    def _requests_before(self) -> list[dict[str, Any]]:
        try:
            return self.read_requests()
        except UnreadableError:
            raise
        except FolderError:
            return []

    def read_requests(self) -> list[dict[str, Any]]:
        """What the grids of the sweep were composed from, the last one last. Raises FolderError for a plan without.

        Raises UnreadableError where the file cannot be read.
        """
        try:
            raw = reading.read_json(self.plan)
            older = [raw["request"]] if "request" in raw else []  # the key of a single grid
            return [checked_request(each) for each in [*older, *raw.get("requests", [])]] or [raw["request"]]
        except (ValueError, TypeError, KeyError, AttributeError, FileNotFoundError) as error:
            raise FolderError(
                f"{self.path}: sweep.json does not record the command that started the sweep "
                f"({error if isinstance(error, ValueError) else type(error).__name__}); "
                f"run that command again with hydra.sweep.dir={self.path}"
            ) from error

    def names_by_identity(self) -> dict[str, str]:
        """Identity -> name of the folders that runs have already: those of the plan, and others with a record.

        Where a plan or a record is damaged, its runs are left out; raises UnreadableError for one that cannot be read.
        """
        planned = self.plan_before()[1]
        found = {run.identity: run.run for run in planned}
        names = {run.run for run in planned}
        for run in self.recorded():
            if run.path.name not in names:
                record = run.record_before()
                if record is not None:
                    found.setdefault(record.identity, run.path.name)
        return found

    def recorded(self) -> list[RunDir]:
        """The folders that hold a run.json, by name, whether it can be read or not."""
        try:
            folders = sorted(self.path.iterdir())
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise reading.unreadable(self.path, error) from error
        return [run for run in map(RunDir, folders) if os.path.lexists(run.record)]

    def run_dirs(self) -> list[RunDir]:
        """The folders of planned runs in the plan's order, then unplanned ones that hold a run.json, by name."""
        planned = [run.run for run in self.read_plan()[1]]
        found = (run.path.name for run in self.recorded())
        return [RunDir(self.path / name) for name in [*planned, *sorted(set(found) - set(planned))]]


@dataclass(frozen=True)
class _RecordedRequest:
    """The types of what is kept of a command, see ``planning.request``."""

    overrides: list[str]
    config_name: str | None = None
    config_path: str | None = None
    config_dir: str | None = None
    started: str | None = None  # ISO 8601


def checked_request(raw: Any) -> dict[str, Any]:
    """What was kept of a command; unknown keys are dropped. Raises ValueError where it is of another kind."""
    kinds = get_type_hints(_RecordedRequest)
    if not isinstance(raw, dict) or "overrides" not in raw:
        raise ValueError("a request without overrides")
    values = {key: value for key, value in raw.items() if key in kinds}
    for key, value in values.items():
        if not fits(value, kinds[key]):
            raise ValueError(f"{key} is {value!r:.60}, expected {_RecordedRequest.__annotations__[key]}")
    datetime.fromisoformat(values.get("started") or "2000-01-01")
    return values


def _plan_of(raw: Any) -> tuple[list[str], list[PlannedRun | str]]:
    """Commands and runs of a plan, see ``_planned``. Raises ValueError, TypeError or KeyError for anything else."""
    commands = raw["commands"] if "commands" in raw else [raw["command"]]
    if not (fits(commands, list[str]) and isinstance(raw["runs"], list)):
        raise ValueError("commands and runs have to be lists")
    return commands, [_planned(entry) for entry in raw["runs"]]


_TYPES = get_type_hints(PlannedRun)


def _planned(raw: Any) -> PlannedRun | str:
    """An entry of a plan, or what is wrong with it."""
    if not isinstance(raw, dict) or not _TYPES.keys() <= raw.keys():
        return "an entry is no run; left out"
    values = {key: raw[key] for key in _TYPES}
    if not (isinstance(values["run"], str) and is_file_name(values["run"])):
        return f"{values['run']!r:.60} is not a valid folder name; run left out"
    wrong = [key for key, value in values.items() if not fits(value, _TYPES[key])]
    return f"{values['run']}: {wrong[0]} is {values[wrong[0]]!r:.60}; run left out" if wrong else PlannedRun(**values)
