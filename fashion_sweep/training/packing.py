"""Which networks can be trained together, and how long they take, judged by configs alone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from fashion_sweep.training.engines import default_engine


def pack_key(config: Mapping[str, Any]) -> str | None:
    """Runs with equal keys have one architecture, optimizer and data, and differ only in inputs of a program.

    Those inputs are the seed, the learning rate and its schedule, the engine's ``optimizer_inputs``, and the dropout
    rate of our own models: in a user's model a key named dropout may mean anything. Callbacks may differ too, and what
    is saved. None if a run has to be trained alone.
    """
    inputs = default_engine().optimizer_inputs(config["optimizer"])
    if inputs is None:
        return None
    model = dict(config["model"])
    if str(model.get("_target_")).startswith("fashion_sweep.models."):
        model["dropout"] = bool(model.get("dropout"))
    optimizer = config["optimizer"] | dict.fromkeys(["learning_rate", *inputs], "input")
    rest = {key: config[key] for key in ("data", "trainer", "epochs", "batch_size")}
    return json.dumps([model, optimizer, bool(config.get("schedule")), rest], sort_keys=True)


def cost(config: Mapping[str, Any]) -> float:
    """How long a run may take, relative to others on the same data: its steps times a guess at the work of one."""
    model = config["model"]
    units = [size for value in model.values() if isinstance(value, list) for size in value if isinstance(size, int)]
    kernel = model.get("kernel_size")  # which may be anything in a user's own model
    windows = (kernel**2 if isinstance(kernel, int) else 1) * (10 if "filters" in model else 1)
    steps: float = config["epochs"] * (1 / config["batch_size"] + 1 / 100)
    return steps * (100 + sum(units) * windows)
