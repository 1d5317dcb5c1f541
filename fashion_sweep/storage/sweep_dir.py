"""The names and formats of a sweep's files, defined here and nowhere else, and the folder names of its runs."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from fashion_sweep.errors import FolderError
from fashion_sweep.storage.atomic import as_json, write_text
from fashion_sweep.storage.identity import DIGITS, run_name
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

    def read_plan(self) -> tuple[str, list[PlannedRun]]:
        """The command and the planned runs; empty if there is no plan. Raises FolderError for a damaged one."""
        try:
            raw = json.loads(self.plan.read_text("utf-8"))
            return raw["command"], [PlannedRun(**run) for run in raw["runs"]]
        except FileNotFoundError:
            return "", []
        except (ValueError, TypeError, KeyError, RecursionError, OSError) as error:
            raise FolderError(f"{self.plan}: cannot be read as a sweep's plan ({error})") from error

    def write_plan(self, command: str, runs: Sequence[PlannedRun], request: Mapping[str, Any] | None = None) -> None:
        """Write what the sweep will train. request: what ``read_request`` returns."""
        planned = [dataclasses.asdict(run) for run in runs]
        write_text(self.plan, as_json({"command": command, "request": request, "runs": planned}))

    def read_request(self) -> dict[str, Any]:
        """The request that started the sweep. Raises FolderError if the plan does not have it."""
        try:
            return dict(json.loads(self.plan.read_text("utf-8"))["request"])
        except (ValueError, TypeError, KeyError, OSError) as error:
            raise FolderError(
                f"{self.path}: sweep.json does not record the command that started the sweep ({type(error).__name__}); "
                f"run that command again with hydra.sweep.dir={self.path}"
            ) from error

    def name_of(self, values: Mapping[str, Any], identity: str) -> str:
        """The name of a run's folder: the existing one, however its overrides were written, or ``run_name``."""
        return _existing_names(self.path).get(identity[:DIGITS]) or run_name(values, identity)

    def run_dirs(self) -> list[RunDir]:
        """The folders of planned runs in the plan's order, then unplanned ones that hold a run.json, by name."""
        planned = [run.run for run in self.read_plan()[1]]
        found = (path.parent.name for path in self.path.glob("*/run.json"))
        return [RunDir(self.path / name) for name in [*planned, *sorted(set(found) - set(planned))]]


@lru_cache(maxsize=8)
def _existing_names(folder: Path) -> dict[str, str]:
    """Digits of the identity -> name of the run folders that existed when this process first looked."""
    found = sorted(path.name for path in folder.glob("*_" + "[0-9a-f]" * DIGITS))
    return {name.rpartition("_")[2]: name for name in found}
