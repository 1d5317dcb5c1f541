"""What a command line asks for: the spec of every run, checked before the first one starts.

Hydra finds a wrong value only when its run starts, hours into a sweep. Here every grid point is composed once, as Hydra
composes it, and becomes a spec; all bad ones are named at once. The composed configs are handed to launchers as they
are. Nothing in this module imports TensorFlow.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from fashion_sweep.config import targets
from fashion_sweep.config.run_spec import RunSpec
from fashion_sweep.errors import ConfigError, UserError
from fashion_sweep.planning import hydra_errors, validation
from fashion_sweep.planning.grid import Grid
from fashion_sweep.planning.request import Request
from fashion_sweep.planning.run_spec import SweepFolders
from fashion_sweep.storage.sweep_dir import PlannedRun
from fashion_sweep.training.engines.process import BACKEND
from fashion_sweep.training.trainer import trainer_of
from packed_jobs.hydra_internals.session import Session, is_listed

SLURM = "packed_slurm"
"""The launcher that submits runs to a cluster."""


@dataclass(frozen=True)
class Plan:
    """All runs of one command, in the order of its grid."""

    specs: list[RunSpec]  # empty for a sweeper that searches: then only it knows what it will try
    folder: Path  # of the run, or of the sweep
    config: DictConfig  # of the run, or of the sweep, as Hydra is to be given it
    is_sweep: bool
    grids: list[list[str]] = field(default_factory=list)  # overrides of each grid of the sweep

    @property
    def launcher(self) -> dict[str, Any]:
        """Hydra's launcher node."""
        return self._plain(self.config.hydra.launcher)

    @property
    def trainer(self) -> dict[str, Any]:
        """The trainer node: of the runs, where a sweeper chooses them as it goes, most likely this."""
        node = {"trainer": self._plain(self.config.trainer)}
        return dict(trainer_of(node).variants(node)[0])

    @property
    def has_lanes(self) -> bool:
        """Whether the runs are trained in lanes, on this machine or on a cluster."""
        return self.launcher_name in ("packed", SLURM)

    @property
    def launcher_name(self) -> str:
        """The choice of Hydra's launcher; empty for a single run."""
        return str(self.config.hydra.runtime.choices.get("hydra/launcher")) if self.is_sweep else ""

    @property
    def is_for_slurm(self) -> bool:
        """Whether the packed launcher submits the runs to a cluster."""
        return self.launcher_name == SLURM

    @property
    def is_detached(self) -> bool:
        """Whether the command ends once the runs are submitted."""
        return self.is_for_slurm and bool(self.launcher["detach"])

    @property
    def only_shows(self) -> bool:
        return bool(self.config.get("plan"))

    @property
    def only_summarizes(self) -> bool:
        return bool(self.config.get("summary"))

    @property
    def runs(self) -> list[RunSpec]:
        """The specs, each run once: of those with equal identity the first."""
        first: dict[str, RunSpec] = {}
        for spec in self.specs:
            first.setdefault(spec.identity, spec)
        return list(first.values())

    @staticmethod
    def _plain(node: DictConfig) -> dict[str, Any]:
        found = OmegaConf.to_container(node, resolve=True)
        assert isinstance(found, dict)
        return {str(key): value for key, value in found.items()}

    def planned(self) -> list[PlannedRun]:
        """The runs as sweep.json lists them."""
        return [PlannedRun(spec.name, spec.overrides, spec.identity) for spec in self.runs]


def make_plan(session: Session, request: Request) -> Plan:
    """Compose and check every grid point of a command. Raises UserError that names every bad grid point.

    session: Hydra with the config sources of the request.
    """
    targets.forget()
    try:
        main = Grid(session, request, request.overrides)
        if not main.is_sweep:
            spec, config = main.single_run()
            validation.try_out([spec])
            return Plan([spec], Path(str(config.hydra.run.dir)), config, False, [main.lines])
        others = [Grid(session, request, lines) for lines in request.other_grids]
        return _sweep(main, others)
    except UserError:
        raise
    except Exception as error:  # whatever a config makes libraries raise is the config's fault, and nothing has run
        if os.environ.get("HYDRA_FULL_ERROR"):
            raise
        text = f"{type(error).__name__}: {hydra_errors.first_line(error)}"
        raise ConfigError(f"the config cannot be used: {text}; HYDRA_FULL_ERROR=1 shows where") from error


def _sweep(main: Grid, others: Sequence[Grid]) -> Plan:
    config = main.master()
    folder = Path(str(config.hydra.sweep.dir))
    _settle_folder(config, folder)
    if not is_listed(config):
        return Plan([], folder, config, True, [main.lines])
    grids = [*((each, each.master()) for each in others), (main, config)]
    for _, master in grids:
        _settle_folder(master, folder)
    swept = list(dict.fromkeys(key for each, master in grids for key in each.swept(master)))
    folders = SweepFolders(folder, swept)
    specs = [spec for each, master in grids for spec in each.specs(master, folders)]
    planned = Plan(specs, folder, config, True, [each.lines for each, _ in grids])
    if not planned.has_lanes:
        _check_engines(planned)
    validation.try_out(specs)
    return planned


def _check_engines(planned: Plan) -> None:
    """Raise ConfigError where runs that one process may have to train need several engines."""
    environments = (trainer_of(spec.config).environment for spec in planned.specs)
    engines = sorted({each[BACKEND] for each in environments if each})
    if len(engines) > 1:
        launcher = planned.config.hydra.runtime.choices.get("hydra/launcher")
        raise ConfigError(
            f"the runs need the engines {' and '.join(engines)}, and hydra/launcher={launcher} may train them in one "
            f"process, which can hold only one: use hydra/launcher=packed, or one engine (trainer.engine={engines[-1]})"
        )


def _settle_folder(config: DictConfig, folder: Path) -> None:
    """Write the sweep's folder into its config and into what its jobs are composed from."""
    config.hydra.sweep.dir = str(folder)
    config.hydra.overrides.hydra.append(f"hydra.sweep.dir={hydra_errors.quoted(str(folder))}")
