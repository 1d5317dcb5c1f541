"""What a run is known by: its identity, and the folder name made of it."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

DIGITS = 8
"""Digits of its identity that a run's folder is called by."""

NOT_IN_IDENTITY = (
    *("plan", "resume", "retry", "summary"),
    *("data.dir", "data.path", "trainer.steps_per_execution", "trainer.jit_compile"),
)
"""Keys (top-level, or group.key) that say where or how to run and not what: they are no part of a run's identity."""


def identity(config: Mapping[str, Any], data_fingerprint: str) -> str:
    """SHA-256 (64 hex digits) of what is trained: the resolved config as canonical JSON and the dataset's fingerprint.

    Keys in NOT_IN_IDENTITY do not count.
    """
    what = {group: _without(group, node) for group, node in config.items() if group not in NOT_IN_IDENTITY}
    text = json.dumps({"config": what, "data": data_fingerprint}, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _without(group: str, node: Any) -> Any:
    """A group's node without its NOT_IN_IDENTITY keys."""
    if not isinstance(node, Mapping):
        return node
    return {key: value for key, value in node.items() if f"{group}.{key}" not in NOT_IN_IDENTITY}


def run_name(values: Mapping[str, Any], identity: str) -> str:
    """A legible folder name: ``optimizer-sgd_dropout-0.3_1a2b3c4d``.

    values: what the command line chose, dotted key -> value. Nothing in it can lead out of a folder.
    """
    parts = [f"{key.rpartition('.')[2]}-{_joined(value)}" for key, value in values.items()]
    slug = "_".join(re.sub(r"[^A-Za-z0-9_.+-]+", "-", part).strip("-.") for part in parts)
    return f"{slug[:80].strip('-_.') or 'defaults'}_{identity[:DIGITS]}"


def _joined(value: Any) -> str:
    return "-".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
