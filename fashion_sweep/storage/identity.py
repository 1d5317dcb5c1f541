"""A run's identity, and the folder name derived from it."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

from fashion_sweep.storage.record import OBJECTIVE

DIGITS = (8, *range(12, 65, 4))
"""Numbers of hex digits of the identity at the end of a run's folder name: the first that gives no other run's name."""

NOT_IN_IDENTITY = (
    *("plan", "resume", "retry", "summary"),
    *("data.dir", "data.path", "trainer.steps_per_execution", "trainer.jit_compile"),
)
"""Keys (top-level, or group.key) that say where or how to train, not what: they are not part of a run's identity."""

DEFAULT_GROUPS: Mapping[str, Any] = {"objective": OBJECTIVE}
"""The same for keys of the whole config, see DEFAULTS."""

DEFAULTS: Mapping[str, Mapping[str, Any]] = {"fashion_sweep.training.compiled.compiled": {"engine": "tensorflow"}}
"""Keys that a ``_target_`` got after runs had been recorded, each with the value that stands for what these runs did:
it is no part of an identity, so that theirs stay as they are.
"""


def identity(config: Mapping[str, Any], data_fingerprint: str) -> str:
    """SHA-256 (64 hex digits) of what is trained: the resolved config as canonical JSON and the dataset's fingerprint.

    Keys in NOT_IN_IDENTITY are ignored, and those in DEFAULTS where they have that value.
    """
    said = [(key, node) for key, node in config.items() if (key, node) not in DEFAULT_GROUPS.items()]
    what = {group: _without(group, node) for group, node in said if group not in NOT_IN_IDENTITY}
    text = json.dumps({"config": what, "data": data_fingerprint}, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _without(group: str, node: Any) -> Any:
    """A group's node without its keys in NOT_IN_IDENTITY, and without those that are as in DEFAULTS."""
    if not isinstance(node, Mapping):
        return node
    defaults = DEFAULTS.get(str(node.get("_target_")), {}).items()
    what = {key: value for key, value in node.items() if f"{group}.{key}" not in NOT_IN_IDENTITY}
    return {key: value for key, value in what.items() if (key, value) not in defaults}


def run_name(values: Mapping[str, Any], identity: str, digits: int = DIGITS[0]) -> str:
    """A readable folder name: ``optimizer-sgd_dropout-0.3_1a2b3c4d``.

    values: the command line's choices, dotted key -> value. digits: one of DIGITS.
    Nothing in it can lead out of a folder.
    """
    parts = [f"{key.rpartition('.')[2]}-{_joined(value)}" for key, value in values.items()]
    slug = "_".join(re.sub(r"[^A-Za-z0-9_.+-]+", "-", part).strip("-.") for part in parts)
    return f"{slug[:80].strip('-_.') or 'defaults'}_{identity[:digits]}"


def _joined(value: Any) -> str:
    return "-".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
