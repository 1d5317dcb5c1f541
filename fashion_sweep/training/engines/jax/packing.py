"""What the JAX engine may train together, judged by configs alone: nothing here imports JAX."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def pack_key(config: Mapping[str, Any]) -> str:
    """See ``engines.base.Engine.pack_key``.

    Numbers that are not whole may differ, in model, optimizer and schedule, and all numbers of optimizer and schedule:
    they are inputs of a program where they do not change what it does. Zero is a value like no other: it often leaves
    out a layer or a term. Runs that turn out to be different programs are trained one after the other.
    """
    same = [
        _without_numbers(config["model"], float),
        _without_numbers([config["optimizer"], config.get("schedule")], (int, float)),
        [config[key] for key in ("data", "trainer", "epochs", "batch_size")],
    ]
    return json.dumps(same, sort_keys=True)


def _without_numbers(node: Any, kinds: type | tuple[type, ...]) -> Any:
    """The node with every number of these kinds replaced by whether it is zero; 0 counts as one of any kind."""
    if isinstance(node, Mapping):
        return {key: _without_numbers(value, kinds) for key, value in node.items()}
    if isinstance(node, (list, tuple)):
        return [_without_numbers(item, kinds) for item in node]
    if isinstance(node, bool) or not (isinstance(node, kinds) or (node == 0 and isinstance(node, int))):
        return node
    return {"zero": node == 0}
