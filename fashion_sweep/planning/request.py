"""What a command line asks for, and ``resume=``, which takes it from the folder of an earlier one."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fashion_sweep.errors import FolderError
from fashion_sweep.planning import hydra_errors
from fashion_sweep.storage.run_dir import RunDir
from fashion_sweep.storage.sweep_dir import SweepDir

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

    @classmethod
    def typed(cls, arguments: argparse.Namespace, conf: Path) -> Request:
        """The command line of this process. conf: our config groups. Raises FolderError for a ``resume`` of nothing."""
        own, extra = (Path(given) if given else None for given in (arguments.config_path, arguments.config_dir))
        name = arguments.config_name or "config"
        command = cls(list(arguments.overrides), own or conf, name, extra, bool(arguments.multirun))
        given = [line for line in command.overrides if _key(line) == "resume"]
        return command._resumed(given[-1]) if given else command

    @property
    def text(self) -> str:
        """The command as it was typed, for people."""
        return shlex.join(["python", "-m", "fashion_sweep", *sys.argv[1:]])

    def request(self) -> dict[str, Any]:
        """What ``resume`` needs, as JSON; the config folders are kept elsewhere."""
        return {"overrides": lasting(self.overrides), "config_name": self.config_name}

    def _resumed(self, line: str) -> Request:
        """The command that the folder was begun with, and whatever else is given now."""
        others = [other for other in self.overrides if _key(other) != "resume"]
        text = line.partition("=")[2].strip()
        folder = Path(text[1:-1].replace("\\'", "'") if text[:1] == text[-1:] == "'" else text)
        if SweepDir(folder).plan.exists():
            request = SweepDir(folder).read_request()
            where = f"hydra.sweep.dir={hydra_errors.quoted(str(folder))}"
            kept = replace(self, config_name=request["config_name"], multirun=True)._with_configs_of(SweepDir(folder))
            return replace(kept, overrides=[*request["overrides"], *others, where])
        record = RunDir(folder).read_record()
        if record is None:
            raise FolderError(f"resume={folder}: expected the folder of a sweep (sweep.json) or of a run (run.json)")
        where = f"hydra.run.dir={hydra_errors.quoted(str(folder))}"
        kept = replace(self, multirun=False)._with_configs_of(SweepDir(folder.absolute().parent))
        return replace(kept, overrides=[*lasting(record.overrides), *others, where])

    def _with_configs_of(self, sweep: SweepDir) -> Request:
        """With the config groups that a sweep has kept, where it has."""
        conf, extra = (folder if folder.is_dir() else None for folder in (sweep.configs, sweep.extra_configs))
        return replace(self, conf=conf or self.conf, extra_conf=extra or self.extra_conf)


def _key(line: str) -> str:
    return line.lstrip("+~").partition("=")[0]


def lasting(overrides: Sequence[str]) -> list[str]:
    """The overrides that say what is trained."""
    return [line for line in overrides if _key(line) not in ABOUT_THE_COMMAND]
