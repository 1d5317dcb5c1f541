"""What a command line asks for: every run of it, checked before the first one starts.

Hydra finds a wrong value only when its run starts, hours into a sweep. Here the whole grid is composed and checked
first, and every bad grid point is named at once. Nothing in this module imports TensorFlow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hydra import compose, initialize_config_dir
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from fashion_sweep.config import constraints
from fashion_sweep.config.redaction import Redaction
from fashion_sweep.errors import ConfigError, UserError
from fashion_sweep.planning import hydra_errors, validation
from fashion_sweep.planning.request import Request
from fashion_sweep.planning.run_spec import Point, group_choices, name_and_identity, resolved
from fashion_sweep.storage import run_dir
from packed_jobs.hydra_internals.config_loader import speed_up_compose

COMPOSITION_ERRORS = (HydraException, OmegaConfBaseException, ValueError, TypeError, OSError)
"""What Hydra raises for a config that cannot be composed; some of its own checks raise plain Python errors."""


@dataclass(frozen=True)
class Plan:
    """All runs of one command, in the order in which Hydra starts them."""

    points: list[Point]  # empty for a sweeper that is not a grid: then only it knows what it will try
    folder: Path  # of the run, or of the sweep
    is_sweep: bool
    arguments: list[str]  # what Hydra is to be given, the folder included
    launcher: dict[str, Any]  # Hydra's launcher node
    only_shows: bool  # plan=true
    only_summarizes: bool  # summary=true

    @property
    def has_lanes(self) -> bool:
        """Whether the runs are trained by the packed launcher."""
        return self.is_sweep and "packed_launcher" in str(self.launcher.get("_target_"))

    def run_dir(self, point: Point) -> run_dir.RunDir:
        """Where a point is trained."""
        return run_dir.RunDir(self.folder / point.name if self.is_sweep else self.folder)

    @property
    def runs(self) -> list[Point]:
        """The points, each run once: of those with equal identity the first."""
        first: dict[str, Point] = {}
        for point in self.points:
            first.setdefault(point.identity, point)
        return list(first.values())


def make_plan(command: Request) -> Plan:
    """Compose and check every grid point of a command. Raises UserError that names every bad grid point."""
    extra = command.extra_conf
    if extra is not None and not extra.is_dir():
        raise ConfigError(f"--config-dir {extra}: there is no such folder")
    search = [f"hydra.searchpath=[{hydra_errors.quoted(f'file://{extra.absolute()}')}]"] if extra else []
    with initialize_config_dir(str(command.conf.absolute()), version_base="1.3", job_name="fashion_sweep"):
        speed_up_compose()
        return _Composer(command.config_name, search, _parse(command.overrides)).plan(command.multirun)


def _own(config: DictConfig) -> DictConfig:
    return OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])


@dataclass(frozen=True)
class _Composer:
    """Composes points from the parsed overrides of one command line, while Hydra is initialized."""

    config_name: str
    search: list[str]
    overrides: list[Override]

    def plan(self, multirun: bool) -> Plan:
        try:
            return self._plan(multirun)
        except COMPOSITION_ERRORS as error:
            # A fixed value may belong to the swept choices alone; Hydra composes it with the first of them.
            first = [*_parse(self._first_choices()), *self.overrides] if multirun else self.overrides
            if len(first) > len(self.overrides):
                return replace(self, overrides=first)._plan_or_explain(multirun)
            raise self._explained(error, multirun) from error

    def _plan_or_explain(self, multirun: bool) -> Plan:
        try:
            return self._plan(multirun)
        except COMPOSITION_ERRORS as error:
            raise self._explained(error, multirun) from error

    def _explained(self, error: Exception, multirun: bool) -> UserError:
        """What is wrong with every bad point, where the points show it, else with the whole command."""
        if multirun:
            try:
                self._points(self._grid([]), Path())
            except UserError as found:
                return found
        return ConfigError(hydra_errors.composition(error, self._fixed(), self._compose))

    def _plan(self, multirun: bool) -> Plan:
        base = self._base(multirun)
        sweep = multirun or base.hydra.mode == RunMode.MULTIRUN
        folder = Path(str(base.hydra.sweep.dir if sweep else base.hydra.run.dir))
        is_grid = str(base.hydra.sweeper._target_).endswith((".BasicSweeper", ".PlannedSweeper"))
        params = [f"{key}={value}" for key, value in (base.hydra.sweeper.get("params") or {}).items()]
        grid = self._grid(_parse(params)) if sweep else [_lines(self._task())]
        points = self._points(grid, folder if sweep else folder.parent) if is_grid or not sweep else []
        where = f"hydra.{'sweep' if sweep else 'run'}.dir={hydra_errors.quoted(str(folder))}"
        launcher = OmegaConf.to_container(base.hydra.launcher, resolve=True)
        shows = bool(base.get("plan")), bool(base.get("summary"))
        return Plan(points, folder, sweep, [*_lines(self.overrides), where], launcher, *shows)  # type: ignore[arg-type]

    def _base(self, multirun: bool) -> DictConfig:
        """The config without what is swept: it says whether and where to sweep."""
        several = [str(o.input_line) for o in self.overrides if o.is_sweep_override()]
        fixed = self._compose(self._fixed())
        if several and not multirun and fixed.hydra.mode != RunMode.MULTIRUN:
            raise ConfigError(
                f"{' '.join(several)}: several values. Add -m to sweep over them, or write KEY=[a,b] for a list."
            )
        wrong = constraints.problems({"hydra": {"launcher": fixed.hydra.launcher}})
        if wrong:
            raise ConfigError("; ".join(wrong))
        return fixed

    def _compose(self, lines: Sequence[str]) -> DictConfig:
        return compose(self.config_name, [*self.search, *lines], return_hydra_config=True)

    def _fixed(self) -> list[str]:
        return [str(o.input_line) for o in self.overrides if not o.is_sweep_override()]

    def _first_choices(self) -> list[str]:
        """The first choice of every swept group, so that fixed overrides of its keys find them."""
        groups = [o for o in self.overrides if o.is_choice_sweep() and _is_group(o)]
        return [f"{o.get_key_element()}={next(iter(o.sweep_string_iterator()))}" for o in groups]

    def _task(self) -> list[Override]:
        return [o for o in self.overrides if not _is_hydra(o)]

    def _grid(self, params: Sequence[Override]) -> list[list[str]]:
        """Overrides of every grid point, as Hydra's basic sweeper expands them: of a repeated key the last counts."""
        try:
            batches: list[list[list[str]]] = BasicSweeper.split_arguments([*params, *self._task()], None)
        except HydraException as error:
            raise ConfigError(hydra_errors.first_line(error)) from error
        return batches[0]

    def _points(self, grid: Sequence[list[str]], folder: Path) -> list[Point]:
        """Every grid point composed and checked. folder: the sweep's. Raises ConfigError that names all bad ones."""
        points: list[Point] = []
        wrong: list[tuple[list[str], str]] = []
        for lines in grid:
            try:
                points.append(self._point(lines, folder))
            except UserError as error:
                wrong.append((lines, str(error)))
        if wrong:
            raise ConfigError(hydra_errors.bad_points(wrong, len(grid)))
        validation.own_models([point.config for point in points])
        return points

    def _point(self, lines: list[str], folder: Path) -> Point:
        hydra_lines = [str(o.input_line) for o in self.overrides if _is_hydra(o)]
        try:
            config = self._compose([*hydra_lines, *lines])
            plain = resolved(config)
            choices = group_choices(config.hydra, plain)
        except COMPOSITION_ERRORS as error:
            raise ConfigError(hydra_errors.composition(error, lines, self._compose)) from error
        validation.check(_own(config), plain)
        return Point(lines, plain, choices, *name_and_identity(folder, plain, choices, lines, Redaction.of(config)))


def _parse(lines: Sequence[str]) -> list[Override]:
    try:
        return OverridesParser.create().parse_overrides(list(lines))
    except HydraException as error:
        raise ConfigError(hydra_errors.composition(error, lines, None)) from error


def _lines(overrides: Sequence[Override]) -> list[str]:
    return [str(o.input_line) for o in overrides]


def _is_hydra(override: Override) -> bool:
    return override.key_or_group.startswith(("hydra.", "hydra/"))


def _is_group(override: Override) -> bool:
    """Whether the key names a folder of choices, not a value."""
    return bool(GlobalHydra.instance().config_loader().get_group_options(override.key_or_group))
