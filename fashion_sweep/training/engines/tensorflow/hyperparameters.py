"""Hyperparameters of Keras' optimizers as inputs of a program, one number a run.

Keras keeps scalar arguments as Python numbers, computes ``1 - beta`` in double precision, rounds to float32 where it
meets a variable, and asks whether a momentum is zero. ``TracedHyperparameter`` does the same with numbers that are
known only when the program runs, so that each step is the one that Keras takes with the numbers themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from fashion_sweep.training.engines import keras_internals
from fashion_sweep.training.engines.tensorflow.packing import inputs_among


def names(optimizer: Any) -> list[str]:
    """The arguments of an optimizer that are inputs: those of packing.INPUTS that are greater than zero."""
    if not type(optimizer).__module__.startswith("keras."):
        return []
    return inputs_among(type(optimizer).__name__, optimizer.get_config())


def values(optimizers: Sequence[Any], inputs: Sequence[str]) -> np.ndarray:
    """Of R optimizers: float64 [inputs, R]."""
    return np.array([[getattr(each, name) for each in optimizers] for name in inputs], "float64")


def learning_rates(optimizer: Any, first_step: int, steps: int) -> np.ndarray:
    """Of an optimizer at each of the steps of an epoch: float32 [steps]. Callbacks change it between epochs."""
    rate = keras_internals.learning_rate(optimizer)
    if isinstance(rate, keras.optimizers.schedules.LearningRateSchedule):
        numbers = tf.range(first_step, first_step + steps)
        return np.asarray(tf.map_fn(rate, numbers, fn_output_signature=tf.float32))
    return np.full(steps, float(rate), "float32")


class TracedHyperparameter:
    """A positive number for each run, used in place of an optimizer's Python float.

    values: float64, in the shape that ``rows.by_run`` returns.
    """

    dtype = "float32"  # in which Keras' operations compute

    def __init__(self, values: Any) -> None:
        self._values = values
        self.shape = values.shape  # with one that is not [], Keras takes the rows of a sparse gradient

    def __tf_tensor__(self, dtype: Any = None, name: str | None = None) -> Any:
        return tf.cast(self._values, dtype or tf.float32, name)

    def __rsub__(self, other: float) -> TracedHyperparameter:
        return TracedHyperparameter(other - self._values)

    def __ne__(self, other: object) -> bool:
        return True if other == 0 else NotImplemented

    def __gt__(self, other: object) -> bool:
        return True if other == 0 else NotImplemented

    __hash__ = object.__hash__
