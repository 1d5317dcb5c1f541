"""From a composed config to the spec of a run: its values, its identity and its name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from fashion_sweep.config import constraints
from fashion_sweep.config.redaction import Redaction
from fashion_sweep.data import loading
from fashion_sweep.storage import sweep_dir
from fashion_sweep.storage.identity import NOT_IN_IDENTITY, identity
from fashion_sweep.training import cross_validation


@dataclass(frozen=True)
class Point:
    """One grid point, composed and checked."""

    overrides: list[str]  # of the task, as Hydra will be given them
    config: dict[str, Any]  # resolved
    choices: dict[str, str]  # config group -> choice
    name: str  # of the run's folder in its sweep
    identity: str

    def planned(self) -> sweep_dir.PlannedRun:
        """The run that trains this point."""
        return sweep_dir.PlannedRun(self.name, self.overrides, self.identity)


def identity_of(config: Mapping[str, Any]) -> str:
    """The identity of the run that a resolved config trains."""
    return identity(config, loading.load(config["data"]).fingerprint)


def name_and_identity(
    folder: Path, config: Mapping[str, Any], choices: Mapping[str, str], overrides: Sequence[str], hidden: Redaction
) -> tuple[str, str]:
    """The name of a run's folder in the folder of its sweep, and the run's identity. hidden: not to be in the name."""
    own = identity_of(config)
    given = {line.lstrip("+~").partition("=")[0].partition("@")[0] for line in overrides}
    # Choices, then values, each sorted: a grid given in another order has the same names.
    in_order = sorted(given - set(NOT_IN_IDENTITY), key=lambda key: ("." in key, key))
    used = [key for key in in_order if key in choices or key.partition(".")[0] in config]
    shown = hidden.in_config(config)
    values = {key: choices.get(key, constraints.lookup(shown, key)) for key in used}
    return sweep_dir.SweepDir(folder).name_of(values, own), own


def resolved(config: DictConfig) -> dict[str, Any]:
    """The config as plain Python values, without Hydra's own node and without what its trainer has no use for."""
    return cross_validation.used({str(key): _plain(config, key) for key in config if key != "hydra"})


def _plain(config: DictConfig, key: Any) -> Any:
    """A value as plain Python; a copy of the whole config would lose the types of values that are interpolations."""
    value = "???" if OmegaConf.is_missing(config, key) else config[key]
    if OmegaConf.is_config(value):
        return OmegaConf.to_container(value, resolve=True, enum_to_str=True)
    return value.name if isinstance(value, Enum) else value


def group_choices(hydra: DictConfig, config: Mapping[str, Any]) -> dict[str, str]:
    """Config group -> choice, without Hydra's own groups; choices that are null or not ``resolved`` are left out."""
    chosen = {str(key): value for key, value in hydra.runtime.choices.items() if not str(key).startswith("hydra/")}
    unused = {key for key in cross_validation.UNUSED if key not in config}
    return {key: str(value) for key, value in chosen.items() if value is not None and key not in unused}
