"""What the TensorFlow engine can train together, told from configs alone: nothing here imports TensorFlow."""

from __future__ import annotations

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
