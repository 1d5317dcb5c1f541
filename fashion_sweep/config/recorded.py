"""Reads the config from a run's folder, to train the run again or to measure its model.

Hydra's own copy is used. Its interpolations are unresolved, so ``${oc.env:TOKEN}`` reads the current environment.
run.json, where such values are redacted, gives their types, and is the fallback if Hydra's copy cannot be read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml
from hydra.core.utils import setup_globals
from omegaconf import DictConfig, OmegaConf

from fashion_sweep.config.redaction import Redaction, resolve, restored
from fashion_sweep.errors import FolderError
from fashion_sweep.storage import reading
from fashion_sweep.storage.record import RunRecord, fits
from fashion_sweep.storage.run_dir import RunDir

MOST_BYTES = reading.MIB
"""Size above which a config counts as damaged; ours have a few KiB."""

SECTIONS = ("data", "model", "trainer")
"""Keys that the config of every run has."""

NUMBERS: Mapping[str, Any] = {
    "data.validation_fraction": float, "data.split_seed": int, "data.limit": int | None,
    "epochs": int, "batch_size": int, "seed": int | None,
}  # fmt: skip
"""Keys that are used before anything checks them, and their types."""

_SURROGATE = re.compile(r"\\[uU](0000)?[dD][89a-fA-F]")


@dataclass(frozen=True)
class RecordedConfig:
    """The config that a run was trained with."""

    values: dict[str, Any]  # resolved
    hidden: Redaction = field(default_factory=Redaction)  # values that must not be written
    warning: str = ""  # for the user, in one line; empty if there is none


def read(run: RunDir, record: RunRecord) -> RecordedConfig:
    """The config of the run with this record.

    Raises FolderError if it needs an environment variable that is no longer set.
    """
    try:
        config = _loaded(run, record)
        plain, hidden = resolve(config)
        return RecordedConfig(_as_recorded(record.config, plain), hidden)
    except Exception as error:  # PyYAML and OmegaConf raise many kinds for what is no config
        why = (str(error).strip().splitlines() or [type(error).__name__])[0]
        if "<redacted" in str(record.config):
            raise FolderError(f"{run.composed}: {why}; run.json keeps no values of environment variables") from error
        return RecordedConfig(
            record.config, warning=f"{run.composed} cannot be used ({why}); using the config in run.json"
        )


def check(run: RunDir, values: Mapping[str, Any]) -> None:
    """Raise FolderError unless a resolved config has what runs are built from, in its types."""
    for key in SECTIONS:
        node = values.get(key)
        if not (isinstance(node, Mapping) and isinstance(node.get("_target_"), str)):
            raise FolderError(f"{run.record}: config.{key} is {node!r:.60}, expected a group with a _target_")
    for key, kind in NUMBERS.items():
        section, _, name = key.rpartition(".")
        node = values[section] if section else values
        if name in node and not fits(node[name], kind):
            expected = "a number" if kind is float else "a whole number"
            raise FolderError(f"{run.record}: config.{key} is {node[name]!r:.60}, expected {expected}")


def _loaded(run: RunDir, record: RunRecord) -> DictConfig:
    """Hydra's copy, unresolved. Raises OSError, ValueError or yaml.YAMLError if it cannot be read."""
    config = OmegaConf.create(_without_aliases(reading.read_text(run.composed, MOST_BYTES)))  # by a safe loader
    if not isinstance(config, DictConfig) or not record.config.keys() <= config.keys():
        raise ValueError("it lacks keys that run.json has")
    setup_globals()  # the resolvers that every Hydra config may use
    return config


def _without_aliases(text: str) -> str:
    """The text of a YAML file. Raises ValueError where it has what Hydra never writes."""
    if "*" in text and any(isinstance(token, yaml.AliasToken) for token in yaml.scan(text, yaml.SafeLoader)):
        raise ValueError("it has YAML aliases, which Hydra never writes")
    if _SURROGATE.search(text):
        raise ValueError("it has characters that are none")
    return text


def _as_recorded(shown: Mapping[str, Any], plain: Any) -> dict[str, Any]:
    """The values of the recorded keys, in their recorded types. Where Hydra's copy leaves the engine open, the one that
    is recorded has trained the run.
    """
    values = {key: _typed(value, plain[key]) for key, value in shown.items()}
    if isinstance(values.get("trainer"), dict) and values["trainer"].get("engine") == "auto":
        values["trainer"]["engine"] = shown["trainer"]["engine"]
    return values


def _typed(shown: Any, value: Any) -> Any:
    if isinstance(shown, Mapping) and isinstance(value, Mapping):
        return {key: _typed(shown.get(key), item) for key, item in value.items()}
    if isinstance(shown, list) and isinstance(value, list) and len(shown) == len(value):
        return [_typed(*pair) for pair in zip(shown, value, strict=True)]
    return restored(shown, value)
