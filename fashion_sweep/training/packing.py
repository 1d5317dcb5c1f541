"""Which runs can be trained together, told from their configs alone: nothing here imports TensorFlow."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

MIXING = ("clipnorm", "global_clipnorm")
"""Optimizer arguments that would look at the gradients of all runs of a pack at once."""


def pack_key(config: Mapping[str, Any]) -> str | None:
    """Runs with equal keys are of one architecture, optimizer and data, and differ in what is an input of a program.

    Those inputs are the seed, the learning rate and its schedule, the dropout rate, callbacks and what is saved. None
    where a run must be trained alone.
    """
    if any(config["optimizer"].get(key) for key in MIXING):
        return None
    model = {**config["model"], "dropout": bool(config["model"].get("dropout"))}
    optimizer = {key: value for key, value in config["optimizer"].items() if key != "learning_rate"}
    rest = {key: config[key] for key in ("data", "trainer", "epochs", "batch_size")}
    return json.dumps([model, optimizer, rest], sort_keys=True)


def cost(config: Mapping[str, Any]) -> float:
    """How long a run may take, relative to others on the same data: its steps times a guess at the work of one."""
    model = config["model"]
    units = [size for value in model.values() if isinstance(value, list) for size in value if isinstance(size, int)]
    windows = float(model.get("kernel_size") or 1) ** 2 * (10 if "filters" in model else 1)
    steps: float = config["epochs"] * (1 / config["batch_size"] + 1 / 100)
    return steps * (100 + sum(units) * windows)
