"""The names and formats of a sweep's files, defined here and nowhere else, and the folder names of its runs."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fashion_sweep.errors import FolderError, UnreadableError
from fashion_sweep.storage.atomic import as_json, write_text
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

    @staticmethod
    def own_names() -> list[str]:
        """The names that the sweep itself uses in its folder, so that no run's folder may have them."""
        sweep = SweepDir(Path())
        paths = (sweep.plan, sweep.report, sweep.report_error, sweep.launch_error, sweep.code, sweep.samples)
        return [*(path.name for path in paths), "multirun.yaml"]

    @staticmethod
    def is_run_name(name: str) -> bool:
        """Whether a run's folder may have this name: a plain one, and none that the sweep itself uses."""
        is_plain = Path(name).name == name and not name.startswith(".") and "\0" not in name
        return is_plain and name not in (*SweepDir.own_names(), "owner.json")

    def read_plan(self) -> tuple[list[str], list[PlannedRun]]:
        """The commands that trained into the folder and the planned runs; both empty where there is no plan.

        Raises FolderError for a plan that is damaged, UnreadableError where the file cannot be read.
        """
        try:
            raw = json.loads(self.plan.read_text("utf-8"))
            commands = raw["commands"] if "commands" in raw else [raw["command"]]
            return [str(command) for command in commands], [PlannedRun(**run) for run in raw["runs"]]
        except FileNotFoundError:
            return [], []
        except OSError as error:
            raise UnreadableError(f"{self.plan}: cannot be read ({error.strerror or error})") from error
        except (ValueError, TypeError, KeyError, RecursionError) as error:
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
            raw = json.loads(self.plan.read_text("utf-8"))
            found = [dict(each) for each in (raw["requests"] if "requests" in raw else [raw["request"]])]
            return found or [raw["request"]]
        except OSError as error:
            raise UnreadableError(f"{self.plan}: cannot be read ({error.strerror or error})") from error
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise FolderError(
                f"{self.path}: sweep.json does not record the command that started the sweep ({type(error).__name__}); "
                f"run that command again with hydra.sweep.dir={self.path}"
            ) from error

    def names_by_identity(self) -> dict[str, str]:
        """Identity -> name of the folders that runs have already: those of the plan, and others with a record.

        Where a plan or a record is damaged, its runs are left out; raises UnreadableError for one that cannot be read.
        """
        planned = self.plan_before()[1]
        found = {run.identity: run.run for run in planned}
        names = {run.run for run in planned}
        for path in sorted(self.path.glob("*/run.json")):
            if path.parent.name not in names:
                record = RunDir(path.parent).record_before()
                if record is not None:
                    found.setdefault(record.identity, path.parent.name)
        return found

    def run_dirs(self) -> list[RunDir]:
        """The folders of planned runs in the plan's order, then unplanned ones that hold a run.json, by name."""
        planned = [run.run for run in self.read_plan()[1]]
        found = (path.parent.name for path in self.path.glob("*/run.json"))
        return [RunDir(self.path / name) for name in [*planned, *sorted(set(found) - set(planned))]]
