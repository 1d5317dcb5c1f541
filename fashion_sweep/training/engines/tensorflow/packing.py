"""What the TensorFlow engine can train together, judged by configs alone: nothing here imports TensorFlow."""

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

At zero Keras leaves out a variable or a whole term, so that zero and non-zero are two programs. All other arguments
separate packs, and so does beta_1 of Nadam, which keeps one running product of it for all variables.
"""


def pack_key(config: Mapping[str, Any]) -> str:
    """See ``engines.base.Engine.pack_key``.

    Equal for configs that differ in inputs of a program alone: the seed, the learning rate, the optimizer's inputs, and
    the dropout rate of our own models; in a user's model a key named dropout may mean anything. Callbacks may differ
    too, and what is saved.
    """
    optimizer, model = config["optimizer"], dict(config["model"])
    inputs = inputs_among(str(optimizer["_target_"]).removeprefix("keras.optimizers."), optimizer)
    if str(model.get("_target_")).startswith("fashion_sweep.models."):
        model["dropout"] = bool(model.get("dropout"))
    rest = {key: config[key] for key in ("data", "trainer", "epochs", "batch_size")}
    same = [model, optimizer | dict.fromkeys(["learning_rate", *inputs], "input"), bool(config.get("schedule")), rest]
    return json.dumps(same, sort_keys=True)


def inputs_among(optimizer: str, arguments: Mapping[str, Any]) -> list[str]:
    """The names of the arguments that are inputs. optimizer: name of a class in keras.optimizers."""
    return [name for name in INPUTS.get(optimizer, ()) if _is_positive(arguments.get(name))]


def _is_positive(value: Any) -> bool:
    return isinstance(value, (int, float)) and value > 0
