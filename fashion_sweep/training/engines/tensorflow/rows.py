"""One run's row in the variables of a pack."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import tensorflow as tf


def load(stacked: Sequence[Any], row: int, weights: Sequence[Any]) -> None:
    """Put one model's weights into row ``row`` of the stacked variables; both in the order of ``model.weights``."""
    for variable, value in zip(stacked, weights, strict=True):
        if tuple(variable.shape) == tuple(value.shape):
            variable.assign(value)
        else:
            every, one = tf.reshape(variable.value, (-1, value.shape.num_elements())), tf.cast(value, variable.dtype)
            every = tf.tensor_scatter_nd_update(every, [[row]], tf.reshape(one, (1, -1)))
            variable.assign(tf.reshape(every, variable.shape))


def row_of(variable: Any, row: int, shape: Sequence[int]) -> Any:
    """The value of one run in a stacked variable, in the shape of the run's own variable."""
    value = variable.value
    if tuple(value.shape) == tuple(shape):
        return value
    return tf.reshape(tf.reshape(value, (-1, math.prod(shape)))[row], tuple(shape))


def is_table(variable: Any) -> bool:
    """Whether a stacked variable holds the tables of R runs, concatenated along their rows."""
    return len(variable.shape) == 2  # noqa: PLR2004


def by_run(values: Any, variable: Any = None) -> Any:
    """One number a run, [R], in the shape that fits a stacked variable: [R, 1, 1], or [R * rows, 1] for a table.

    For a single run, whose variables are not stacked, it is [].
    """
    runs = values.shape[0]
    if runs == 1:
        return values[0]
    if variable is None or not is_table(variable):
        return values[:, None, None]
    return tf.reshape(tf.tile(values[:, None], (1, variable.shape[0] // runs)), (-1, 1))
