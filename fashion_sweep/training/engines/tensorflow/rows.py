"""One run's row in the variables of a pack: [R, a, b] for a run's [..., b], or one value that all runs share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf


def load(stacked: Sequence[Any], weights: Sequence[Sequence[Any]]) -> None:
    """Copy the variables of R runs, in the order of those of the pack, to the pack."""
    for variable, own in zip(stacked, zip(*weights, strict=True), strict=True):
        if tuple(variable.shape) == tuple(own[0].shape):
            variable.assign(own[0].value)
        else:
            variable.assign(tf.reshape(tf.stack([each.value for each in own]), variable.shape))


def store(stacked: Sequence[Any], row: int, weights: Sequence[Any]) -> None:
    """Copy one run's variables from the pack to its own."""
    for variable, own in zip(stacked, weights, strict=True):
        own.assign(row_of(variable, row, own.shape))


def row_of(variable: Any, row: int, shape: Sequence[int]) -> Any:
    """The value of one run in a pack's variable, or in a tensor like it, in the shape of the run's own variable."""
    value = variable.value if isinstance(variable, keras.Variable) else variable
    if tuple(value.shape) == tuple(shape):
        return value
    return tf.reshape(tf.reshape(value, (-1, math.prod(shape)))[row], tuple(shape))
