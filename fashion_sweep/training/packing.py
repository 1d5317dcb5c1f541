"""Which runs can be trained together, told from their configs alone: nothing here imports TensorFlow."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from fashion_sweep.training.engines.tensorflow.packing import MIXING, inputs_among


def pack_key(config: Mapping[str, Any]) -> str | None:
    """Runs with equal keys are of one architecture, optimizer and data, and differ in what is an input of a program.

    Those inputs are the seed, the learning rate and its schedule, the optimizer's INPUTS, and the dropout rate of our
    own models: what a key named dropout does to others is not known. Callbacks and what is saved may differ too. None
    where a run must be trained alone.
    """
    if any(config["optimizer"].get(key) for key in MIXING):
        return None
    model = dict(config["model"])
    if str(model.get("_target_")).startswith("fashion_sweep.models."):
        model["dropout"] = bool(model.get("dropout"))
    inputs = inputs_among(str(config["optimizer"]["_target_"]).removeprefix("keras.optimizers."), config["optimizer"])
    optimizer = config["optimizer"] | dict.fromkeys(["learning_rate", *inputs], "input")
    rest = {key: config[key] for key in ("data", "trainer", "epochs", "batch_size")}
    return json.dumps([model, optimizer, bool(config.get("schedule")), rest], sort_keys=True)


def cost(config: Mapping[str, Any]) -> float:
    """How long a run may take, relative to others on the same data: its steps times a guess at the work of one."""
    model = config["model"]
    if "epochs" not in config:
        return 500.0 * (model.get("max_iter") or 100)
    units = [size for value in model.values() if isinstance(value, list) for size in value if isinstance(size, int)]
    windows = float(model.get("kernel_size") or 1) ** 2 * (10 if "filters" in model else 1)
    steps: float = config["epochs"] * (1 / config["batch_size"] + 1 / 100)
    return steps * (100 + sum(units) * windows)
