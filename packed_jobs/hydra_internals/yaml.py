"""Writes configs as OmegaConf.to_yaml does, in a fraction of its time: what many jobs share is dumped once.

YAML folds lines by their indentation, so a part is always dumped below the keys that lead to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from functools import lru_cache
from typing import Any

import yaml
from omegaconf import Node, OmegaConf

from packed_jobs.hydra_internals import versions

DEPTH = 2
"""Keys above a part: hydra and one below it, since those (job, runtime) mix shared values with others."""


def as_yaml(config: Any) -> str:
    """What OmegaConf.to_yaml makes of a config. One with the hydra node alone has parts that are shared."""
    if not versions.KNOWN:
        return OmegaConf.to_yaml(config)
    plain = plain_values(config)
    is_hydra = isinstance(plain, dict) and list(plain) == ["hydra"]
    return "".join(_parts((), plain)) if is_hydra else _dump(plain)


def plain_values(node: Any) -> Any:
    """OmegaConf.to_container(node, resolve=False, enum_to_str=True)."""
    state = node.__dict__
    content = state["_content"] if "_content" in state else state["_val"]
    if isinstance(content, dict):
        return {key.name if isinstance(key, Enum) else key: plain_values(each) for key, each in content.items()}
    if isinstance(content, list):
        return [plain_values(each) for each in content]
    if isinstance(content, Node):  # of a union
        return plain_values(content)
    return content.name if isinstance(content, Enum) else content


def _parts(path: tuple[Any, ...], value: Mapping[Any, Any]) -> list[str]:
    """The text of each entry of a mapping that is below the keys of a path."""
    texts = []
    for key, below in value.items():
        head = _text(_Shown((*path, key), {})) if len(path) < DEPTH and isinstance(below, dict) and below else ""
        if head.endswith(": {}\n") and head.count("\n") == 1:  # a very long key is written in another way
            texts += [head.removesuffix(" {}\n") + "\n", *_parts((*path, key), below)]
        else:
            texts.append(_text(_Shown((*path, key), below)))
    return texts


class _Shown:
    """A plain value and the keys above it, equal to others where they look the same: 1, 1.0 and True do not."""

    def __init__(self, path: tuple[Any, ...], value: Any) -> None:
        self.path, self.value, self.text = path, value, repr((path, value))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Shown) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)


@lru_cache(maxsize=1024)
def _text(shown: _Shown) -> str:
    """The lines of the value with its last key, without those of the keys above."""
    value = shown.value
    for key in reversed(shown.path):
        value = {key: value}
    return _dump(value).split("\n", len(shown.path) - 1)[-1]


def _dump(plain: Any) -> str:
    from omegaconf._utils import get_omega_conf_dumper

    text: str = yaml.dump(
        plain, default_flow_style=False, allow_unicode=True, sort_keys=False, Dumper=get_omega_conf_dumper()
    )
    return text
