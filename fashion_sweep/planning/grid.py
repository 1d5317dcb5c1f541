"""One grid of a command: its sweep's config, and every point of it composed once, checked, and made a spec."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from fashion_sweep.config import constraints
from fashion_sweep.config.run_spec import RunSpec
from fashion_sweep.errors import ConfigError, UserError
from fashion_sweep.planning import forks, hydra_errors
from fashion_sweep.planning.request import Request
from fashion_sweep.planning.run_spec import (
    Settled,
    SweepFolders,
    free_place,
    is_placed,
    places,
    settle,
    spec_of,
    subdir_override,
)
from fashion_sweep.storage.run_dir import RunDir
from packed_jobs.hydra_internals.session import Session, as_pickled, grid

COMPOSITION_ERRORS = (HydraException, OmegaConfBaseException, ValueError, TypeError, OSError)
"""What Hydra raises for a config that cannot be composed; some of its own checks raise plain Python errors."""


class Grid:
    """The runs that one list of overrides asks for: one run, or a sweep."""

    def __init__(self, session: Session, request: Request, lines: Sequence[str]) -> None:
        self.session, self.request = session, request
        self.overrides = self._last_choices(self._parse(lines))
        for each in self.overrides:
            _check_params(each)
        self.lines = _lines(self.overrides)
        self.single: DictConfig | None = None
        self.is_sweep = request.multirun or self._asks_for_a_sweep()

    def _parse(self, lines: Sequence[str]) -> list[Override]:
        try:
            return self.session.parse(lines)
        except HydraException as error:
            raise ConfigError(hydra_errors.composition(error, lines, None)) from error

    def _last_choices(self, overrides: Sequence[Override]) -> list[Override]:
        """The overrides without choices of a group that a later one replaces: Hydra takes only one of them."""
        is_group = self.session.group_test(self.request.config_name, overrides)
        last = {each.get_key_element(): number for number, each in enumerate(overrides)}
        kept = []
        for number, each in enumerate(overrides):
            if is_group(each.key_or_group) and not isinstance(each.value(), dict):
                self._check_choice(each)
                if last[each.get_key_element()] != number:
                    continue
            kept.append(each)
        return kept

    def _check_choice(self, override: Override) -> None:
        value = override.value()
        if override.is_sweep_override() or override.is_delete() or isinstance(value, str):
            return
        if not isinstance(value, list):
            raise ConfigError(f"{override.input_line}: expected the name of a choice of {override.key_or_group}")
        if value:
            names = ",".join(map(str, value))
            raise ConfigError(
                f"{override.input_line}: a list is no choice of {override.key_or_group}; "
                f"to sweep over choices, add -m and write {override.key_or_group}={names}"
            )

    def _asks_for_a_sweep(self) -> bool:
        """Whether the config asks for a sweep though the command line does not. Raises ConfigError for a lone grid."""
        several = [each for each in self.overrides if each.is_sweep_override()]
        config = self._explained(lambda: self._compose(self._fixed(), RunMode.RUN), self._fixed())
        if config.hydra.mode == RunMode.MULTIRUN:
            return True
        if several:
            given = " ".join(_lines(several))
            raise ConfigError(f"{given}: several values. Add -m to sweep over them, or write KEY=[a,b] for a list.")
        self.single = config
        return False

    def single_run(self) -> tuple[RunSpec, DictConfig]:
        """The spec of the one run that a command without a sweep asks for, and its config."""
        config = self.single
        assert config is not None
        if config.hydra.mode is None:
            config.hydra.mode = RunMode.RUN
        _check_launcher(config)
        settled = self._settled(config, self.lines, is_placed, is_sweep=False)
        place = free_place([Path(each) for each in places(settled)], settled.identity)
        spec = spec_of(settled, place)
        _check_free(spec, place, "hydra.run.dir")
        config.hydra.run.dir = str(place)
        return spec, config

    def master(self) -> DictConfig:
        """The config of the sweep: without what is swept. Raises ConfigError."""
        lines = [*self.lines, "hydra.mode=MULTIRUN"]
        try:
            config = self._compose(lines, RunMode.MULTIRUN)
        except COMPOSITION_ERRORS as error:
            # A fixed value may belong to the swept choices alone: then it is composed with the first of them.
            first = self._first_choices()
            if not first:
                raise self._why(error, self._fixed()) from error
            config = self._explained(lambda: self._compose([*first, *lines], RunMode.MULTIRUN), self._fixed())
            del config.hydra.overrides.task[: len(first)]
        _check_launcher(config)
        return config

    def swept(self, config: DictConfig) -> list[str]:
        """The keys that have several values."""
        last = {each.key_or_group: each for each in self._dimensions(config)}
        return [key for key, each in last.items() if each.is_sweep_override()]

    def specs(self, config: DictConfig, folders: SweepFolders) -> list[RunSpec]:
        """The spec of every grid point, and its config where launchers find it. Raises ConfigError that names all bad
        points.
        """
        dimensions = self._dimensions(config)
        for each in dimensions:
            if each.is_sweep_override() and not each.is_discrete_sweep():
                raise ConfigError(
                    f"{each.input_line}: a grid takes single values (a,b or range(...)); "
                    f"values out of an interval need a sweeper that searches, hydra/sweeper=NAME"
                )
        points, only = grid(dimensions), _only_nodes(config)
        is_forkable = not any(key.partition(".")[0] == "data" for key in self.swept(config))  # datasets may be large
        made = forks.each(
            lambda number: self._point(config, only, points[number], number, folders.has),
            len(points),
            is_forkable=is_forkable,
        )
        specs, wrong = [], []
        for lines, point in zip(points, made, strict=True):
            try:
                specs.append(self._spec(lines, point, folders))
            except UserError as error:
                wrong.append((lines, str(error)))
        if wrong:
            raise ConfigError(hydra_errors.bad_points(wrong, len(points)))
        return specs

    def _point(
        self,
        master: DictConfig,
        only: dict[str, Any],
        lines: list[str],
        number: int,
        is_known: Callable[[Settled], bool],
    ) -> tuple[Settled, bytes]:
        """The values of a grid point, and its config pickled. Changes nothing, so that any process may do it."""
        compose = lambda: self.session.compose_job(master, lines, number)  # noqa: E731
        config = self._explained(compose, lines)
        if _only_nodes(config) != only:
            raise self._several(config, master, only, lines)
        settled = self._settled(config, lines, is_known, is_sweep=True)
        return settled, as_pickled(config)

    def _spec(self, lines: list[str], point: tuple[Settled, bytes] | UserError, folders: SweepFolders) -> RunSpec:
        """The spec of a grid point, whose config launchers find. Raises UserError."""
        if isinstance(point, UserError):
            raise point
        settled, pickled = point
        name = folders.name(settled)
        # Other sweepers ask for it by the overrides alone, ours with its folder.
        self.session.loader.plan(pickled, lines, name, subdir_override(name))
        return spec_of(settled, folders.folder / name)

    def _several(
        self, config: DictConfig, master: DictConfig, only: dict[str, Any], lines: Sequence[str]
    ) -> ConfigError:
        """Where a swept choice changes what a sweep has only one of."""
        changed = next(node for node, value in _only_nodes(config).items() if value != only[node])
        what = "a launcher of its own" if changed == "launcher" else "a grid of its own (hydra.sweeper)"
        swept = [line for line in lines if line.partition("=")[0] in self.swept(master)]
        return ConfigError(
            f"{' '.join(swept)} brings {what}, which a sweep over such choices would leave out; "
            f"sweep over one of them at a time"
        )

    def _settled(
        self, config: DictConfig, lines: Sequence[str], is_known: Callable[[Settled], bool], *, is_sweep: bool
    ) -> Settled:
        settled: Settled = self._explained(lambda: settle(config, is_sweep=is_sweep, is_known=is_known), lines)
        return settled

    def _dimensions(self, config: DictConfig) -> list[Override]:
        """The overrides whose product is the grid: those of the config's hydra.sweeper.params, then the command's."""
        params = OmegaConf.to_container(config.hydra.sweeper, resolve=True).get("params") or {}  # type: ignore[union-attr]
        if not isinstance(params, dict):
            raise ConfigError(f"hydra.sweeper.params is {params}, expected KEY: VALUE,VALUE of each swept key")
        lines = [f"{key}={value}" for key, value in params.items()]
        return [*self._parse(lines), *self._parse(self._task())]

    def _task(self) -> list[str]:
        return _lines([each for each in self.overrides if not each.is_hydra_override()])

    def _fixed(self) -> list[str]:
        return _lines([each for each in self.overrides if not each.is_sweep_override()])

    def _first_choices(self) -> list[str]:
        """The first choice of every swept group, so that fixed values of its keys find them."""
        is_group = self.session.group_test(self.request.config_name, self.overrides)
        fixed = [each for each in self.overrides if not each.is_sweep_override()]
        chosen = _lines([each for each in fixed if each.is_hydra_override() or is_group(each.key_or_group)])
        config = self._explained(lambda: self._compose(chosen, RunMode.MULTIRUN), chosen)
        last = {each.get_key_element(): each for each in self._dimensions(config)}
        groups = [each for each in last.values() if each.is_discrete_sweep() and is_group(each.key_or_group)]
        return [f"{each.get_key_element()}={next(iter(each.sweep_string_iterator()))}" for each in groups]

    def _compose(self, lines: Sequence[str], mode: RunMode = RunMode.RUN) -> DictConfig:
        return self.session.compose(self.request.config_name, lines, mode)

    def _explained(self, make: Any, lines: Sequence[str]) -> Any:
        """What ``make`` gives. Raises ConfigError in the place of what Hydra and OmegaConf raise."""
        try:
            return make()
        except UserError:
            raise
        except COMPOSITION_ERRORS as error:
            raise self._why(error, lines) from error

    def _why(self, error: Exception, lines: Sequence[str]) -> ConfigError:
        hydra = [str(each.input_line) for each in self.overrides if each.is_hydra_override()]
        return ConfigError(hydra_errors.composition(error, lines, lambda some: self._compose([*hydra, *some])))


def _only_nodes(config: DictConfig) -> dict[str, Any]:
    """What a sweep has only one of: its launcher, and its sweeper with the grid."""
    return {node: OmegaConf.to_container(config.hydra[node], resolve=False) for node in ("launcher", "sweeper")}


def _check_params(override: Override) -> None:
    """Raise ConfigError for a grid that is given as one value: Hydra takes it only from a config file."""
    value = override.value()
    if override.key_or_group == "hydra.sweeper.params" and isinstance(value, dict):
        keys = " ".join(f"{key}={each}" for key, each in value.items())
        raise ConfigError(f"{override.input_line}: on the command line, give the swept keys themselves: -m {keys}")


def _check_launcher(config: DictConfig) -> None:
    wrong = constraints.problems({"hydra": {"launcher": config.hydra.launcher}})
    if wrong:
        raise ConfigError("; ".join(wrong))


def _check_free(spec: RunSpec, folder: Path, key: str) -> None:
    """Raise ConfigError where the folder of a run is another run's. A damaged record belongs to nobody."""
    record = RunDir(spec.folder).record_before()
    if record is not None and record.identity != spec.identity:
        raise ConfigError(f"{folder} holds another run; give another {key}")


def _lines(overrides: Sequence[Override]) -> list[str]:
    return [str(each.input_line) for each in overrides]
