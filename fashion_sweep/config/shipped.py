"""What conf/ ships, read from its files: a node that equals one of them needs no trial before the first run."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from fashion_sweep.config.constraints import generalized
from fashion_sweep.config.schema import SCHEMAS
from fashion_sweep.storage.record import OBJECTIVES

CONF = next(p for p in (Path(__file__).parents[1] / "conf", Path(__file__).parents[2] / "conf") if p.is_dir())
"""The config groups: inside the package in a wheel, at the top of a checkout."""

_SCHEMA = "/schema/"


def ships(group: str, node: Any) -> bool:
    """Whether conf/ has this node of a resolved config, apart from numbers that a constraint has checked."""
    choices = _choices(group)
    if group != "callbacks":
        return generalized(node or {}) in choices
    named = [each for choice in choices for each in choice.values()]
    return all(generalized(each) in named for each in node.values() if each is not None)


@lru_cache
def _choices(group: str) -> list[Any]:
    """Every choice of a group as plain values, generalized, with each objective that it may refer to."""
    every = [_composed(path) for path in sorted((CONF / group).glob("*.yaml"))]
    return [generalized(_plain(node, objective)) for node in every for objective in OBJECTIVES]


def _plain(node: DictConfig, objective: str) -> Any:
    whole = OmegaConf.create({"objective": objective, "node": node})
    return OmegaConf.to_container(whole, resolve=True, enum_to_str=True)["node"]  # type: ignore[index,call-overload]


def _composed(path: Path) -> DictConfig:
    """A file with its defaults: other choices of its group, and the fields of its schema."""
    own = OmegaConf.load(path)
    assert isinstance(own, DictConfig)
    bases = [_base(path.parent, entry) for entry in own.pop("defaults", []) if isinstance(entry, str)]
    merged = OmegaConf.merge(*bases, own)
    assert isinstance(merged, DictConfig)
    return merged


def _base(folder: Path, entry: str) -> Any:
    """What an entry of a defaults list stands for, as it is written in conf/: sgd, or /schema/optimizer/sgd@_here_."""
    name, _, place = entry.partition("@")
    if not name.startswith(_SCHEMA):
        return _composed(folder / f"{name}.yaml")
    fields: Mapping[Any, Any] = OmegaConf.structured(SCHEMAS[name.removeprefix(_SCHEMA)])
    return fields if place == "_here_" else OmegaConf.create({place: fields})
