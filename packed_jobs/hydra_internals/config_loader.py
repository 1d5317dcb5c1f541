"""Composes many configs that differ in values alone, as a sweep does, in a fraction of Hydra's time.

Hydra reads and merges every YAML file anew for each job. What it merges depends only on the overrides that choose
groups and on those of the hydra node; all others are applied to the merged config at the end. So the merged config is
kept, and each job gets a copy, to which Hydra's own code applies the rest. Of the hydra node, the name of the job's
folder is applied to the copy as well, since every job may have its own. When anything fails on this path, Hydra
composes the config from the start, so that an error is Hydra's own.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from functools import cache
from itertools import compress
from pathlib import Path
from typing import Any

from hydra import version
from hydra._internal.config_loader_impl import ConfigLoaderImpl, get_overrides_dirname
from hydra.core.config_loader import ConfigLoader
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType
from hydra.types import RunMode
from omegaconf import DictConfig, open_dict

from packed_jobs.hydra_internals import versions
from packed_jobs.hydra_internals.clone import clone

log = logging.getLogger(__name__)
SUBDIR = "hydra.sweep.subdir"
"""The name of a job's folder in that of its sweep: a literal where a sweeper gives each job its own."""


def fast_loader(loader: ConfigLoader) -> ConfigLoader:
    """A loader that composes what the given one composes; the given one itself if it is not Hydra's own, or of a
    version that this module was not written for.
    """
    if type(loader) is not ConfigLoaderImpl:
        return loader
    if not versions.KNOWN:
        log.warning("%s: jobs are composed and started by slower public functions", versions.why_unknown())
        return loader
    return FastConfigLoader(loader.get_search_path())


def plain_loader(loader: ConfigLoader) -> ConfigLoader:
    """Hydra's own loader in the place of a fast one, whose memory would go to other processes with it."""
    return ConfigLoaderImpl(loader.get_search_path()) if isinstance(loader, FastConfigLoader) else loader


class FastConfigLoader(ConfigLoaderImpl):
    """Hydra's loader with a memory. Only configs of single runs and of a sweep's jobs are made the fast way."""

    def __init__(self, config_search_path: ConfigSearchPath) -> None:
        super().__init__(config_search_path)
        self._parsed: dict[str, Override] = {}  # by line
        self._groups: dict[tuple[Any, ...], Callable[[str], bool]] = {}  # by what the search path depends on
        self._bases: dict[tuple[Any, ...], DictConfig] = {}

    def load_configuration(
        self,
        config_name: str | None,
        overrides: list[str],
        run_mode: RunMode,
        from_shell: bool = True,
        validate_sweep_overrides: bool = True,
    ) -> DictConfig:
        """Compose a config. Raises what Hydra raises."""
        if run_mode == RunMode.RUN:
            try:
                config = self._compose(config_name, overrides)
            except Exception:
                config = None  # Hydra raises its own error below
            if config is not None:
                return config
        return super().load_configuration(config_name, overrides, run_mode, from_shell, validate_sweep_overrides)

    def _compose(self, config_name: str | None, lines: Sequence[str]) -> DictConfig | None:
        """The config, or None where only Hydra can compose it. Any exception means the same."""
        overrides = [self._parse(line) for line in lines]
        if any(override.is_sweep_override() or _is_strange(override) for override in overrides):
            return None
        is_group = self.group_test(config_name, overrides)
        late = [_is_late(o, overrides) and _is_value(o, is_group) for o in overrides]
        config = self._base(config_name, [o for o, is_late in zip(overrides, late, strict=True) if not is_late])
        self._apply_overrides_to_config(list(compress(overrides, late)), config)
        _list_late(config, overrides, late)
        _describe(config, [o for o in overrides if not o.is_hydra_override()])
        return config

    def _parse(self, line: str) -> Override:
        if line not in self._parsed:
            [self._parsed[line]] = OverridesParser.create().parse_overrides([line])
        return self._parsed[line]

    def group_test(self, config_name: str | None, overrides: Sequence[Override]) -> Callable[[str], bool]:
        """Whether a key names a config group, asked as Hydra asks."""
        search = [str(o.input_line) for o in overrides if o.get_key_element() == "hydra.searchpath"]
        key = (config_name, *search)
        if key not in self._groups:
            _, repository = self._parse_overrides_and_create_caching_repo(config_name, search)
            self._groups[key] = cache(repository.group_exists)
        return self._groups[key]

    def _base(self, config_name: str | None, overrides: Sequence[Override]) -> DictConfig:
        """A copy of the config without the overrides that only change values."""
        lines = [str(o.input_line) for o in overrides]
        key = (config_name, version.getbase(), *lines)
        if key not in self._bases:
            config = super().load_configuration(config_name, lines, RunMode.RUN)
            for _ in (o for o in overrides if not o.is_hydra_override()):
                config.hydra.overrides.task.pop()
            self._bases[key] = config
        return clone(self._bases[key])


def _is_strange(override: Override) -> bool:
    """Whether an override reaches into the hydra node in an unusual way, so that the order of all overrides counts."""
    return override.key_or_group.startswith("hydra") and not override.is_hydra_override()


def _is_late(override: Override, overrides: Sequence[Override]) -> bool:
    """Whether an override may be applied after those of the hydra node: one of the task, or the folder's name where
    nothing else touches its node.
    """
    if override.key_or_group != SUBDIR:
        return not override.is_hydra_override()
    return all(_sets_subdir(o) for o in overrides if o.key_or_group in ("hydra.sweep", SUBDIR))


def _sets_subdir(override: Override) -> bool:
    is_plain = override.type is OverrideType.CHANGE and not isinstance(override.value(), (dict, list))
    return is_plain and override.key_or_group == SUBDIR and override.package is None


def _is_value(override: Override, is_group: Callable[[str], bool]) -> bool:
    """Whether Hydra applies the override after merging: Overrides in hydra._internal.defaults_list decides so."""
    return isinstance(override.value(), dict) or not is_group(override.key_or_group)


def _list_late(config: DictConfig, overrides: Sequence[Override], late: Sequence[bool]) -> None:
    """Add the overrides of the hydra node that were applied late to its list of them, each at its position."""
    given = [(o, is_late) for o, is_late in zip(overrides, late, strict=True) if o.is_hydra_override()]
    if not any(is_late for _, is_late in given):
        return
    lines = config.hydra.overrides.hydra
    before = len(lines) - sum(not is_late for _, is_late in given)  # set by an override of the list itself
    for position, (override, is_late) in enumerate(given, before):
        if is_late:
            lines.insert(position, override.input_line)


def _describe(config: DictConfig, task: Sequence[Override]) -> None:
    """Write into the hydra node what Hydra derives from the task's overrides, environment and current folder."""
    hydra = config.hydra
    for override in task:
        hydra.overrides.task.append(override.input_line)
    if hydra.job.env_copy:
        with open_dict(hydra):
            for name in hydra.job.env_copy:
                hydra.job.env_set[name] = os.environ[name]
    cwd = str(Path.cwd())
    if hydra.runtime.cwd != cwd:
        hydra.runtime.cwd = cwd
    dirname = hydra.job.config.override_dirname
    hydra.job.override_dirname = get_overrides_dirname(
        list(task), list(dirname.exclude_keys), dirname.item_sep, dirname.kv_sep
    )
