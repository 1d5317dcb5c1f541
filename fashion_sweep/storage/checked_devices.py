"""The devices on which an engine has been compared with plain Keras, kept for the user across sweeps."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fashion_sweep.errors import UserError
from fashion_sweep.storage.atomic import as_json, write_text
from fashion_sweep.storage.reading import read_text

COUNTED = ("keras", "tensorflow", "jax", "jaxlib")
"""Packages that decide what is computed."""


def stamp(versions: Mapping[str, str], device: Mapping[str, Any]) -> str | None:
    """What a comparison is valid for, for people. None for a CPU: there our own tests compare these versions."""
    if device.get("kind", "CPU") == "CPU":
        return None
    packages = [f"{name} {versions[name]}" for name in COUNTED if name in versions]
    return f"{', '.join(packages)} on {device.get('name')}"


def is_checked(stamp: str) -> bool:
    """Whether the comparison has been made and passed."""
    return stamp in _read()


def add(stamp: str) -> None:
    """Keep that the comparison has passed. Raises OSError where it cannot be kept."""
    path = _path()
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, as_json(sorted({*_read(), stamp})))


def _read() -> list[str]:
    """Empty where there is no such file, or none that can be read: then a comparison is asked for once more."""
    try:
        found = json.loads(read_text(_path()))
    except (OSError, UserError, ValueError):
        return []
    return [each for each in found if isinstance(each, str)] if isinstance(found, list) else []


def _path() -> Path:
    from platformdirs import user_state_path

    return Path(user_state_path("fashion-sweep")) / "checked_devices.json"
