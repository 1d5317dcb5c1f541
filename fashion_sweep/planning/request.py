"""What a command line asks for, and ``resume=``, which takes it from the folder of an earlier one."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from fashion_sweep.errors import ConfigError, FolderError
from fashion_sweep.planning import hydra_errors
from fashion_sweep.storage import code_snapshot
from fashion_sweep.storage.lease import living_owner, written_into
from fashion_sweep.storage.record import RunRecord
from fashion_sweep.storage.run_dir import RunDir
from fashion_sweep.storage.sweep_dir import SweepDir, checked_request

ABOUT_THE_COMMAND = ("plan", "resume", "retry", "summary")
"""Keys that say what this one command does: they are not taken over when a sweep is resumed."""


@dataclass(frozen=True)
class Request:
    """What Hydra is asked to compose."""

    overrides: list[str]
    conf: Path  # folder of the config groups
    config_name: str
    extra_conf: Path | None  # the user's own config groups
    multirun: bool
    other_grids: list[list[str]] = field(default_factory=list)  # overrides of the grids that the sweep began with
    started: datetime = field(default_factory=datetime.now)  # local time that ${now:...} gives

    def __post_init__(self) -> None:
        for flag, folder in (("--config-path", self.conf), ("--config-dir", self.extra_conf)):
            if folder is not None and not folder.is_dir():
                raise ConfigError(f"{flag} {folder}: there is no such folder")

    @classmethod
    def typed(cls, arguments: argparse.Namespace, conf: Path) -> Request:
        """The command line of this process. conf: our config groups.

        Raises FolderError for a ``resume`` of nothing, ConfigError for a config folder that does not exist.
        """
        own, extra = (Path(given) if given else None for given in (arguments.config_path, arguments.config_dir))
        name = (arguments.config_name or "config").removesuffix(".yaml")
        command = cls(list(arguments.overrides), own or conf, name, extra, bool(arguments.multirun))
        given = [line for line in command.overrides if _key(line) == "resume"]
        return command._resumed(given[-1]) if given else command

    @property
    def text(self) -> str:
        """The command as it was typed, for people."""
        return shlex.join(["python", "-m", "fashion_sweep", *sys.argv[1:]])

    def to_json(self) -> dict[str, Any]:
        """What ``resume`` needs. Where a sweep keeps copies of the configs, these are taken."""
        return {
            "overrides": lasting(self.overrides),
            "config_name": self.config_name,
            "config_path": str(self.conf.absolute()),
            "config_dir": str(self.extra_conf.absolute()) if self.extra_conf else None,
            "started": self.started.isoformat(),
        }

    def _resumed(self, line: str) -> Request:
        """The command that the folder began with, and whatever else is given now."""
        others = [other for other in self.overrides if _key(other) != "resume"]
        text = line.partition("=")[2].strip()
        folder = Path(text[1:-1].replace("\\'", "'") if text[:1] == text[-1:] == "'" else text)
        if SweepDir(folder).plan.exists():
            return self._resumed_sweep(folder, others)
        record = RunDir(folder).read_record()
        if record is None:
            raise FolderError(f"resume={folder}: expected the folder of a sweep (sweep.json) or of a run (run.json)")
        return self._resumed_run(folder, record, others)

    def _resumed_sweep(self, folder: Path, others: list[str]) -> Request:
        sweep = SweepDir(folder)
        if living_owner(folder) is None:
            with written_into(folder):
                code_snapshot.recover(sweep.code)
        where = f"hydra.sweep.dir={hydra_errors.quoted(str(folder))}"
        *earlier, last = [[*each["overrides"], *others, where] for each in sweep.read_requests()]
        begun = replace(self._as(sweep.read_requests()[-1]), multirun=True, overrides=last, other_grids=earlier)
        return begun._with_configs_of(sweep)

    def _resumed_run(self, folder: Path, record: RunRecord, others: list[str]) -> Request:
        where = f"hydra.run.dir={hydra_errors.quoted(str(folder))}"
        sweep = SweepDir(folder.absolute().parent)
        request = _request_of(folder, record) or (sweep.read_requests()[-1] if sweep.plan.exists() else {})
        begun = replace(self._as(request), multirun=False, overrides=[*lasting(record.overrides), *others, where])
        return begun._with_configs_of(sweep)

    def _as(self, request: Mapping[str, Any]) -> Request:
        """With the config sources and the time of an earlier request, as far as it has them and they still exist."""
        places = {key: Path(request[key]) for key in ("config_path", "config_dir") if request.get(key)}
        conf, extra = (
            path if path and path.is_dir() else None for path in map(places.get, ("config_path", "config_dir"))
        )
        began = datetime.fromisoformat(request["started"]) if request.get("started") else self.started
        name = str(request.get("config_name") or self.config_name)
        return replace(
            self, config_name=name, conf=conf or self.conf, extra_conf=self.extra_conf or extra, started=began
        )

    def _with_configs_of(self, sweep: SweepDir) -> Request:
        """With the config groups that a sweep has kept, where it has."""
        conf, extra = (folder if folder.is_dir() else None for folder in (sweep.configs, sweep.extra_configs))
        return replace(self, conf=conf or self.conf, extra_conf=extra or self.extra_conf)


def _request_of(folder: Path, record: RunRecord) -> dict[str, Any]:
    """What a run without a sweep was composed from; empty for one of a sweep. Raises FolderError if it is damaged."""
    try:
        return checked_request(record.request) if record.request else {}
    except ValueError as error:
        raise FolderError(
            f"{folder}: run.json does not record the command that started the run ({error}); "
            f"run that command again with hydra.run.dir={folder}"
        ) from error


def _key(line: str) -> str:
    return line.lstrip("+~").partition("=")[0]


def lasting(overrides: Sequence[str]) -> list[str]:
    """The overrides that say what is trained."""
    return [line for line in overrides if _key(line) not in ABOUT_THE_COMMAND]
