"""A run's settings, looked up in its config, its group choices and, before it starts, its overrides."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fashion_sweep.storage.plain_text import clean

Value = str | int | float | bool | None
"""One cell of a table; None is an empty one."""

FACTORS = {
    "model": "model",
    "optimizer": "optimizer",
    "learning_rate": "optimizer.learning_rate",
    "dropout": "model.dropout",
    "seed": "seed",
}
"""Columns that every table has, swept or not, and the override that sets each."""

NONE = "none"
"""The label of an empty cell."""


@dataclass(frozen=True)
class Settings:
    """Where a run's settings are looked up. config and choices are empty for a run that has not started."""

    overrides: Sequence[str]
    choices: Mapping[str, str] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)

    def value(self, key: str) -> Value:
        """The value of a dotted config key or of a config group; None where the run has no such setting.

        An overridden key that the config lacks altogether is one that the run's trainer does not use.
        """
        if key in self.choices:
            return clean(self.choices[key])
        if (found := _at(self.config, key)) is not None and not _is_group(found):
            return plain(found)
        is_unused = bool(self.config) and key.partition(".")[0] not in self.config
        return None if is_unused else parse_overrides(self.overrides).get(key)


def swept_keys(runs: Iterable[Settings]) -> list[str]:
    """The overridden keys that take more than one value over the runs, in the order in which they appear.

    Keys shown as FACTORS and Hydra's own are left out.
    """
    runs = list(runs)
    overridden = dict.fromkeys(key for run in runs for key in _overridden(run.overrides))
    ours = (key for key in overridden if key not in FACTORS.values() and not key.startswith("hydra"))
    return [key for key in ours if len({label(run.value(key)) for run in runs}) > 1]


def parse_overrides(overrides: Iterable[str]) -> dict[str, Value]:
    """Key -> value of overrides as Hydra takes them: ``a.b=1``, ``+a=1``, ``++a=1``, ``group@package=option``.

    A deletion (``~a``) removes its key.
    """
    values: dict[str, Value] = {}
    for override in overrides:
        key, _, text = override.partition("=")
        if key.startswith("~"):
            values.pop(_bare(key), None)
        else:
            values[_bare(key)] = _parse_value(text)
    return values


def plain(value: Any, depth: int = 10) -> Value:
    """A config value as one cell: ``[300,100]`` for a list, ``ExponentialDecay(decay_rate=0.9)`` for a target.

    depth: how many levels are spelled out; anything deeper becomes ``...``.
    """
    if depth == 0:
        return "..."
    if isinstance(value, Mapping):
        name = str(value.get("_target_", "")).rpartition(".")[2]
        inside = ", ".join(f"{key}={label(plain(item, depth - 1))}" for key, item in value.items() if key != "_target_")
        return clean(f"{name}({inside})")
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(label(plain(item, depth - 1)) for item in value) + "]"
    return value if value is None or isinstance(value, (bool, int, float)) else clean(str(value))


def label(value: object) -> str:
    """A cell for people: ``none`` for an empty one, and no more digits than a float needs."""
    if is_missing(value):
        return NONE
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def levels(values: Iterable[Any]) -> list[str]:
    """Labels of the distinct values: numbers ascending, text as it first appears, ``none`` last."""
    labels = {label(value): value for value in values}
    if all(isinstance(value, (int, float)) for name, value in labels.items() if name != NONE):
        return sorted(labels, key=lambda name: (name == NONE, labels[name]))
    return sorted(labels, key=lambda name: name == NONE)


def is_missing(value: object) -> bool:
    """Whether a cell is empty, as None or as pandas' missing values."""
    return value is None or (not isinstance(value, str) and str(value) in ("nan", "<NA>"))


def _overridden(overrides: Iterable[str]) -> list[str]:
    return [_bare(override.partition("=")[0]) for override in overrides]


def _bare(key: str) -> str:
    return clean(key.strip().lstrip("+~"))


def _is_group(value: object) -> bool:
    """Whether a config node is a whole group, named in the choices, rather than a value such as a schedule."""
    return isinstance(value, Mapping) and "_target_" not in value


def _at(config: Mapping[str, Any], key: str) -> Any:
    node: Any = config
    for part in key.split("."):
        if not isinstance(node, Mapping):
            return None
        node = node.get(part)
    return node


def _parse_value(text: str) -> Value:
    """An override's value: a number, true, false, null, a list, or text with or without quotes."""
    try:
        return plain(json.loads(text))
    except (ValueError, RecursionError):
        pass
    try:
        return float(text)  # 1e-3 and .5 are not JSON
    except ValueError:
        return clean(text.strip("'\""))
