"""Functions of tensors as graphs that are traced once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from fashion_sweep.training.engines.tensorflow import stacking


class Traced:
    """A function of tensors as one graph, for the shapes of its first arguments, which all later ones must have.

    The programs of a sweep share code, and a tf.function called directly would count them as one that is retraced over
    and over, and warn. On a CPU a model with convolutions is not compiled with XLA, whose convolutions are there
    several times slower than TensorFlow's own.
    """

    def __init__(self, function: Callable[..., Any], model: keras.Model) -> None:
        """model: the one that the function computes."""
        jit = bool(tf.config.list_physical_devices("GPU")) or not stacking.has_convolutions(model)
        self._function = tf.function(function, jit_compile=jit, autograph=False)
        self._graph: Any = None

    def __call__(self, *arguments: Any) -> Any:
        if self._graph is None:
            self._graph = self._function.get_concrete_function(*arguments)
        return self._graph(*arguments)
