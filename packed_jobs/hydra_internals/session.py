"""Hydra as ``hydra.main`` sets it up for a command line, but in steps: compose, then run what was composed.

``hydra.main`` composes a config and runs it in one go. A program that wants to check all jobs of a sweep first, and
then run exactly those, needs the steps apart. Written for Hydra 1.3.8; pyproject.toml keeps other minor versions out.
"""

from __future__ import annotations

import argparse
import pickle
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from hydra import version
from hydra._internal.callbacks import Callbacks
from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra._internal.hydra import Hydra
from hydra._internal.utils import _run_hydra, create_config_search_path, get_args_parser
from hydra.core.config_search_path import ConfigSearchPath, SearchPathQuery
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus, configure_log, env_override, run_job
from hydra.main import main
from hydra.types import HydraContext, RunMode, TaskFunction
from hydra.utils import get_class
from omegaconf import DictConfig, OmegaConf, open_dict, read_write
from omegaconf.basecontainer import BaseContainer

from packed_jobs.hydra_internals.config_loader import FastConfigLoader
from packed_jobs.hydra_internals.hydra_config import as_hydra_config
from packed_jobs.hydra_internals.job_return import result_of

VERSION_BASE = "1.3"
HYDRAS_RESOLVERS = {"now", "hydra", "python_version"}


def parse_arguments() -> argparse.Namespace:
    """The command line of this process, as Hydra's own parser reads it. Exits with 2 where it cannot."""
    return get_args_parser().parse_args()


def show(arguments: argparse.Namespace, task: TaskFunction, config_path: Path, config_name: str) -> None:
    """What Hydra does for ``--help``, ``--cfg``, ``--info`` and the like. Raises what Hydra raises, and SystemExit."""
    version.setbase(VERSION_BASE)
    with env_override({"HYDRA_FULL_ERROR": "1"}):  # Hydra would print tracebacks, and exit
        if arguments.experimental_rerun is None:
            _run_hydra(arguments, get_args_parser(), task, str(config_path), config_name)
        else:
            main(str(config_path), config_name, VERSION_BASE)(task)()


class Session:
    """Composes and runs configs from one set of config sources, while Hydra is initialized: see ``opened``."""

    def __init__(self, loader: PlannedConfigLoader) -> None:
        self.loader = loader

    def compose_from(self, config_path: Path, config_dir: Path | None) -> None:
        """Have jobs that are not planned composed from other sources, such as copies of those so far."""
        planned = self.loader._planned
        self.loader = GlobalHydra.instance().hydra.config_loader = _loader(config_path, config_dir)  # type: ignore[union-attr]
        self.loader._planned = planned

    def parse(self, lines: Sequence[str]) -> list[Override]:
        """Overrides by Hydra's grammar, ``glob(...)`` over config groups included. Raises HydraException."""
        return OverridesParser.create(self.loader).parse_overrides(list(lines))

    def group_test(self, config_name: str, overrides: Sequence[Override]) -> Callable[[str], bool]:
        """A function that tells keys of config groups from keys of values, where these overrides are given."""
        return self.loader.group_test(config_name, overrides)

    def compose(self, config_name: str, lines: Sequence[str], mode: RunMode) -> DictConfig:
        """A config with its hydra node. With MULTIRUN values that are swept are left out. Raises what Hydra raises."""
        return self.loader.load_configuration(config_name, list(lines), mode)

    def compose_job(self, master: DictConfig, lines: Sequence[str], number: int) -> DictConfig:
        """The config of a job, as launchers compose it. master: the sweep's config; number: hydra.job.num."""
        config = self.loader.load_sweep_config(master, list(lines))
        with open_dict(config):
            config.hydra.job.id = config.hydra.job.num = number
        return config

    def run(self, config: DictConfig, config_name: str, task: TaskFunction) -> JobReturn:
        """Run a composed config, as Hydra does without ``--multirun``. Raises what the task raises."""
        callbacks = _callbacks(config)
        callbacks.on_run_start(config=config, config_name=config_name)
        context = HydraContext(self.loader, callbacks)
        returned = run_job(task, config, "hydra.run.dir", None, context)
        callbacks.on_run_end(config=config, config_name=config_name, job_return=returned)
        if returned.status is JobStatus.FAILED:
            raise result_of(returned)
        return returned

    def multirun(self, config: DictConfig, config_name: str, task: TaskFunction) -> Any:
        """Sweep with a composed config, as Hydra does with ``--multirun``. Raises what the first failed job raised."""
        callbacks = _callbacks(config)
        callbacks.on_multirun_start(config=config, config_name=config_name)
        context = HydraContext(self.loader, callbacks)
        sweeper = Plugins.instance().instantiate_sweeper(config=config, hydra_context=context, task_function=task)
        found = sweeper.sweep(task_overrides(config.hydra))
        callbacks.on_multirun_end(config=config, config_name=config_name)
        return found


def _callbacks(config: DictConfig) -> Callbacks:
    """Hydra's own logging as the config has it, and the config's callbacks."""
    configure_log(config.hydra.hydra_logging, config.hydra.verbose)
    return Callbacks(config)


@contextmanager
def opened(config_path: Path, config_dir: Path | None, job_name: str, now: datetime) -> Iterator[Session]:
    """Within the block Hydra is initialized with these sources: ``--config-path`` and ``--config-dir``.

    now: see ``pin_now``. Raises HydraException for a search path plugin that fails.
    """
    version.setbase(VERSION_BASE)
    loader = _loader(config_path, config_dir)
    hydra = Hydra.create_main_hydra2(job_name, loader.get_search_path())
    hydra.config_loader = loader
    pin_now(now)
    try:
        yield Session(loader)
    finally:
        GlobalHydra.instance().clear()


def pin_now(now: datetime) -> None:
    """Have ``${now:...}`` give this time, so that a value made of it is the same in plan, runs and when resumed."""
    OmegaConf.register_new_resolver("now", now.strftime, use_cache=True, replace=True)


def _loader(config_path: Path, config_dir: Path | None) -> PlannedConfigLoader:
    search_path = create_config_search_path(str(config_path.absolute()))
    if config_dir is not None:
        schema = SearchPathQuery(provider="schema")
        search_path.prepend("command-line", f"file://{config_dir.absolute()}", schema)
    return PlannedConfigLoader(search_path)


class PlannedConfigLoader(FastConfigLoader):
    """A loader that hands out the jobs that were planned as they were composed, and composes others."""

    def __init__(self, config_search_path: ConfigSearchPath) -> None:
        super().__init__(config_search_path)
        self._planned: dict[tuple[str, ...], tuple[bytes, str, str]] = {}  # by overrides

    def __getstate__(self) -> dict[str, Any]:
        """What goes to other processes: neither jobs, which they get one by one, nor caches."""
        return {**vars(self), "_planned": {}, "_parsed": {}, "_groups": {}, "_bases": {}}

    def plan(self, pickled: bytes, lines: Sequence[str], name: str, place: str) -> None:
        """Keep the config of a job that will be asked for with these overrides, or with these and ``place``.

        pickled: by ``as_pickled``; name: of the job's folder; place: the override that gives it to the job.
        """
        self._planned[tuple(lines)] = self._planned[(*lines, place)] = (pickled, name, place)

    def load_sweep_config(self, master_config: DictConfig, sweep_overrides: list[str]) -> DictConfig:
        """The planned config of these overrides, else a new one. Raises what Hydra raises."""
        planned = self._planned.get(tuple(sweep_overrides))
        if planned is not None:
            return _placed(*planned)
        return super().load_sweep_config(master_config, sweep_overrides)


def as_pickled(config: DictConfig) -> bytes:
    """A config as ``PlannedConfigLoader.plan`` keeps it: in a tenth of the memory."""
    return pickle.dumps(config, pickle.HIGHEST_PROTOCOL)


def _placed(pickled: bytes, name: str, place: str) -> DictConfig:
    """The config as if it had been composed with the override ``place``, which names the job's folder."""
    config: DictConfig = pickle.loads(pickled)
    config.hydra.sweep.subdir = name
    config.hydra.overrides.hydra.append(place)
    return config


@contextmanager
def as_job(config: DictConfig, output_dir: str) -> Iterator[None]:
    """Within the block, values of the config resolve as in the job: ``${hydra:...}`` and ``hydra.job.env_set`` hold.

    output_dir: what ``hydra.runtime.output_dir`` is.
    """
    with read_write(config.hydra.runtime), open_dict(config.hydra.runtime):
        config.hydra.runtime.output_dir = output_dir
    with as_hydra_config(config), env_override(dict(config.hydra.job.env_set)):
        yield


def is_listed(config: DictConfig) -> bool:
    """Whether the sweeper of a config goes through a grid that ``grid`` expands, and does not search."""
    kind = get_class(str(config.hydra.sweeper._target_))
    # By name: Hydra executes a plugin's module anew when it scans it, and then there are two classes.
    is_basic = (kind.__module__, kind.__qualname__) == (BasicSweeper.__module__, BasicSweeper.__qualname__)
    return is_basic or getattr(kind, "is_grid", False) is True


def grid(overrides: Sequence[Override]) -> list[list[str]]:
    """The overrides of every job, as Hydra's basic sweeper expands them: of a key given twice the last counts.

    Raises HydraException for values that are no grid, such as ``interval(0,1)``.
    """
    batches: list[list[list[str]]] = BasicSweeper.split_arguments(list(overrides), None)
    return batches[0]


def task_overrides(hydra: DictConfig) -> list[str]:
    """The overrides of the task in a hydra node, as typed: interpolations in them stay."""
    found = OmegaConf.to_container(hydra.overrides.task, resolve=False)
    return [str(line) for line in found] if isinstance(found, list) else []


def own_resolvers() -> set[str]:
    """The names of OmegaConf's resolvers that neither OmegaConf nor Hydra has registered."""
    return {name for name in BaseContainer._resolvers if not name.startswith("oc.")} - HYDRAS_RESOLVERS
