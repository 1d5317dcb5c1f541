"""Hyperparameters of Keras' optimizers as inputs of a program, one number a run.

Keras keeps scalar arguments as Python numbers, computes ``1 - beta`` in double precision, rounds to float32 where it
meets a variable, and asks whether a momentum is zero. ``TracedHyperparameter`` does the same with numbers that are
known only when the program runs, so that each step is the one that Keras takes with the numbers themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from fashion_sweep.training.engines import keras_internals
from fashion_sweep.training.engines.tensorflow.packing import INPUTS, inputs_among


def names(optimizer: Any) -> list[str]:
    """The arguments of an optimizer that are inputs: those of packing.INPUTS that are greater than zero."""
    return inputs_among(type(optimizer).__name__, optimizer.get_config()) if is_known(optimizer) else []


def is_known(optimizer: Any) -> bool:
    """Whether the optimizer is one of those in packing.INPUTS, not a subclass of one or another of that name."""
    name = type(optimizer).__name__
    return name in INPUTS and type(optimizer) is getattr(keras.optimizers, name)


def values(optimizers: Sequence[Any], inputs: Sequence[str]) -> np.ndarray:
    """Of R optimizers: float64 [inputs, R]."""
    return np.array([[getattr(each, name) for each in optimizers] for name in inputs], "float64")


def has_schedule(optimizer: Any) -> bool:
    """Whether the learning rate follows a schedule of Keras' own, a function of the step alone."""
    rate = keras_internals.learning_rate(optimizer)
    is_schedule = isinstance(rate, keras.optimizers.schedules.LearningRateSchedule)
    return is_schedule and type(rate).__module__.startswith("keras.")


def learning_rates(optimizer: Any, first_step: int, steps: int) -> np.ndarray:
    """Of an optimizer at each of the steps of an epoch: float32 [steps]. Callbacks change it between epochs."""
    rate = keras_internals.learning_rate(optimizer)
    if has_schedule(optimizer):
        numbers = tf.range(first_step, first_step + steps)
        return np.asarray(tf.map_fn(rate, numbers, fn_output_signature=tf.float32))
    return np.full(steps, float(rate), "float32")


class Inputs:
    """What of one optimizer's numbers are inputs of its run's program: its schedule's rates, and ``names``.

    A learning rate without a schedule is a variable of the optimizer anyway.
    """

    def __init__(self, optimizer: Any) -> None:
        self._optimizer, self._names = optimizer, names(optimizer)
        self._has_rates = is_known(optimizer) and has_schedule(optimizer)
        self._rate: Any = None  # of the step that is traced
        self._values = values([optimizer], self._names).reshape(-1)  # model.fit, too, takes them only once

    def values(self, steps: int) -> list[Any]:
        """Learning rates of the next steps, float32 [steps], if they are inputs, and of ``names``, float64 [inputs]."""
        first = keras_internals.iterations(self._optimizer)
        rates = learning_rates(self._optimizer, first, steps) if self._has_rates else np.empty(0, "float32")
        return [tf.constant(rates), tf.constant(self._values, tf.float64)]

    @property
    def attributes(self) -> dict[int, list[str]]:
        """The optimizer's, by its id, whose values are inputs."""
        return {id(self._optimizer): [*self._names, *(["_learning_rate"] if self._has_rates else [])]}

    def specs(self) -> list[Any]:
        """Of ``values``."""
        return [tf.TensorSpec([None], tf.float32), tf.TensorSpec([len(self._names)], tf.float64)]

    def begin(self, inputs: Sequence[Any], step: Any) -> None:
        """Use what the inputs say of a step (from 0 in an epoch); within ``replaced`` alone."""
        rates, numbers = inputs
        self._rate = rates[step] if self._has_rates else None
        for index, name in enumerate(self._names):
            vars(self._optimizer)[name] = TracedHyperparameter(numbers[index])

    def replaced(self) -> AbstractContextManager[None]:
        """A block in which the optimizer asks for what ``begin`` has set."""
        return keras_internals.replaced(self._optimizer, (lambda: self._rate) if self._has_rates else None)


class TracedHyperparameter:
    """A positive number for each run, used in place of an optimizer's Python float.

    values: float64, [] or, for the stacked variables of a pack, [R, 1, 1].
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
