"""Checks of one composed config before anything is trained: missing and unknown keys, values, names, own code."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from omegaconf import DictConfig, OmegaConf

from fashion_sweep.config import constraints, targets
from fashion_sweep.config.redaction import Redaction, redacted_errors
from fashion_sweep.config.run_spec import RunSpec
from fashion_sweep.data.split import SPLIT_KEYS
from fashion_sweep.errors import ConfigError
from fashion_sweep.planning import trial

GROUPS = ("model", "data", "trainer")
"""Nodes without which no run can be trained."""


def check(config: DictConfig, values: Mapping[str, Any]) -> None:
    """Check the values of one grid point. Raises ConfigError with everything that is wrong.

    config: as composed, hydra node included; values: the same without it, resolved to plain Python values.
    """
    found = [*_missing(values), *_unknown(config), *_incomplete(values)]
    found += [*constraints.problems(values), *_wrong_names(values)]
    if found:
        raise ConfigError("; ".join(dict.fromkeys(found)))


def try_out(specs: Sequence[RunSpec]) -> None:
    """Build all that the runs name and conf/ does not ship, each once. Raises ConfigError for what is wrong with it."""
    with redacted_errors(Redaction.all(spec.hidden for spec in specs)):
        problems = trial.problems(specs)
        if problems:
            raise ConfigError("\n".join(problems))


def _incomplete(values: Mapping[str, Any]) -> Iterator[str]:
    """Groups that were taken out or replaced by something that names no function, and datasets without a split."""
    for group in GROUPS:
        node = values.get(group)
        if node != "???" and (not isinstance(node, Mapping) or "_target_" not in node):
            yield f"{group}: expected a choice of the group or a node with a _target_; give {group}=CHOICE"
    node = values.get("data")
    if isinstance(node, Mapping):
        yield from (f"data.{key}: a value is required; give +data.{key}=VALUE" for key in SPLIT_KEYS if key not in node)


def _missing(node: Any, prefix: str = "") -> Iterator[str]:
    """Values that are still ``???``."""
    items = node.items() if isinstance(node, Mapping) else enumerate(node) if isinstance(node, list) else ()
    for key, value in items:
        if value == "???":
            yield f"{prefix}{key}: a value is required; give {prefix}{key}=VALUE"
        yield from _missing(value, f"{prefix}{key}.")


def _unknown(config: DictConfig) -> Iterator[str]:
    """Keys that +KEY=VALUE put into a node whose keys are all known."""
    present = [key for key in config if key != "hydra" and not OmegaConf.is_missing(config, key)]
    for group, node in ((str(key), config[key]) for key in present):
        kind = OmegaConf.get_type(node) if isinstance(node, DictConfig) else None
        if dataclasses.is_dataclass(kind):
            known = {field.name for field in dataclasses.fields(kind)}
            yield from (f"there is no key {group}.{key}" for key in map(str, node) if key not in known)


def _wrong_names(values: Mapping[str, Any]) -> Iterator[str]:
    """Every ``_target_`` that does not exist, and activations that Keras does not have."""
    for key, target in _targets(values, ""):
        why = targets.missing(str(target))
        if why:
            yield f"{key}={target}: {why}"
    activation = constraints.lookup(values, "model.activation")
    is_ours = str(constraints.lookup(values, "model._target_")).startswith("fashion_sweep.models.")
    why = targets.missing(f"keras.activations.{activation}") if activation and is_ours else None
    if why:
        yield f"model.activation={activation}: {why}"


def _targets(node: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    if isinstance(node, Mapping):
        for key, value in node.items():
            if key == "_target_":
                yield f"{prefix}{key}", value
            yield from _targets(value, f"{prefix}{key}.")
    elif isinstance(node, (list, tuple)):
        for item in node:
            yield from _targets(item, prefix)
