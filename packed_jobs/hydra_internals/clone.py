"""Copies configs faster than copy.deepcopy, which takes longer than anything else that Hydra does to a job."""

from __future__ import annotations

import copy
from collections import defaultdict
from typing import Any

from omegaconf import DictConfig, Node, OmegaConf

from packed_jobs.hydra_internals import versions


def clone(config: DictConfig) -> DictConfig:
    """What copy.deepcopy makes of a config without parent: containers are copied, values are shared."""
    new: DictConfig = _clone(config, None) if versions.KNOWN else copy.deepcopy(config)
    return new


def only_hydra(config: DictConfig) -> DictConfig:
    """What OmegaConf.masked_copy(config, "hydra") makes."""
    if not versions.KNOWN:
        return OmegaConf.masked_copy(config, "hydra")
    hidden = DictConfig({})
    hidden.__dict__["_content"]["hydra"] = _clone(config.__dict__["_content"]["hydra"], hidden)
    return hidden


def _clone(node: Any, parent: Any) -> Any:
    new = object.__new__(type(node))
    state = new.__dict__
    state.update(node.__dict__)
    state["_parent"], state["_flags_cache"] = parent, None
    state["_metadata"] = _clone_metadata(state["_metadata"])
    content = state.get("_content")
    if isinstance(content, dict):
        state["_content"] = {key: _clone(child, new) for key, child in content.items()}
    elif isinstance(content, list):
        state["_content"] = [_clone(child, new) for child in content]
    elif isinstance(content, Node):  # of a union
        state["_content"] = _clone(content, new)
    return new


def _clone_metadata(metadata: Any) -> Any:
    new = object.__new__(type(metadata))
    state = new.__dict__
    state.update(metadata.__dict__)
    state["flags"] = None if metadata.flags is None else dict(metadata.flags)
    cache = metadata.resolver_cache
    state["resolver_cache"] = copy.deepcopy(cache) if cache else defaultdict(dict)
    return new
