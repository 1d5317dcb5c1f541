"""Which runs can be trained together, told from their configs alone: nothing here imports TensorFlow."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

MIXING = ("clipnorm", "global_clipnorm")
"""Optimizer arguments that would look at the gradients of all runs of a pack at once."""

INPUTS: dict[str, Sequence[str]] = {
    "SGD": ("momentum", "weight_decay"),
    "RMSprop": ("rho", "momentum", "epsilon", "weight_decay"),
    "Adagrad": ("epsilon", "weight_decay"),
    "Adam": ("beta_1", "beta_2", "epsilon", "weight_decay"),
    "AdamW": ("beta_1", "beta_2", "epsilon", "weight_decay"),
    "Nadam": ("beta_2", "epsilon", "weight_decay"),
}
"""Arguments that are inputs of a program where they are greater than zero, by the class in keras.optimizers.

At zero Keras leaves something out, a variable or a whole term: with and without are two programs. All other arguments
separate packs, and so does beta_1 in Nadam, whose running product of it is a single number for all variables.
"""


def inputs_among(optimizer: str, arguments: Mapping[str, Any]) -> list[str]:
    """The names of the arguments that are inputs. optimizer: name of a class in keras.optimizers."""
    return [name for name in INPUTS.get(optimizer, ()) if _is_positive(arguments.get(name))]


def _is_positive(value: Any) -> bool:
    return isinstance(value, (int, float)) and value > 0


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
    if "epochs" not in config:  # five folds of a pass of SGDClassifier take as long as 60 epochs of a small network
        return 500.0 * (model.get("max_iter") or 100)
    units = [size for value in model.values() if isinstance(value, list) for size in value if isinstance(size, int)]
    windows = float(model.get("kernel_size") or 1) ** 2 * (10 if "filters" in model else 1)
    steps: float = config["epochs"] * (1 / config["batch_size"] + 1 / 100)
    return steps * (100 + sum(units) * windows)
