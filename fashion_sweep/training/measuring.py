"""How well the runs of a pack do: loss and accuracy, in a training step and on the validation images.

Validation is a program of its own. It knows nothing of optimizers, so one serves every pack of an architecture.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from fashion_sweep.training import stacked
from fashion_sweep.training.noise import Noise

CHUNK = 2048
"""Most images of one run that are validated at once; bounds the memory, and changes sums by their rounding alone."""


@dataclass(frozen=True)
class Arrays:
    """The data of a program on its device."""

    x_train: Any  # [N, ...], uint8 or float32
    y_train: Any  # int32 [N]
    x_val: Any  # [M, ...]
    y_val: Any  # int32 [M]


@dataclass(frozen=True)
class EpochResult:
    """Means over the images of one epoch, one number a run: float64 [R]."""

    loss: np.ndarray
    accuracy: np.ndarray

    @classmethod
    def of_sums(cls, sums: Sequence[Any], count: int) -> EpochResult:
        """From losses and right answers, each summed over ``count`` images: [R]."""
        loss, right = (np.asarray(total, "float64") / count for total in sums)
        return cls(loss, right)


class Traced:
    """A function of tensors as one graph, for the shapes of its first arguments, which all later ones have too.

    Called itself, tf.function would take the programs of a sweep, which share code, for one that is traced over and
    over, and warn of it. On a CPU a model with convolutions stays a plain graph: TensorFlow's convolutions there are
    several times faster than XLA's.
    """

    def __init__(self, function: Callable[..., Any], model: keras.Model) -> None:
        """model: the one that the function computes."""
        jit = bool(tf.config.list_physical_devices("GPU")) or not stacked.has_convolutions(model)
        self._function = tf.function(function, jit_compile=jit, autograph=False)
        self._graph: Any = None

    def __call__(self, *arguments: Any) -> Any:
        if self._graph is None:
            self._graph = self._function.get_concrete_function(*arguments)
        return self._graph(*arguments)


class Validation:
    """Measures R runs of one architecture on the validation images.

    models: R built Keras models, used for their architecture.
    """

    def __init__(self, models: Sequence[keras.Model]) -> None:
        self._runs, self._model = len(models), stacked.stack(models, Noise())
        self._sums = Traced(self._summed, models[0])

    def measure(self, model: keras.Model, arrays: Arrays) -> EpochResult:
        """Loss and accuracy of every run. model: stacked, of the same architecture; its weights count."""
        if model is not self._model:
            for own, given in zip(self._model.weights, model.weights, strict=True):
                own.assign(given.value)
        return EpochResult.of_sums(self._sums(arrays.x_val, arrays.y_val), len(arrays.y_val))

    def _summed(self, x: Any, y: Any) -> Any:
        """Loss and right answers of each run, summed over all validation images: float32 [R] each."""
        count = x.shape[0]
        chunk = chunk_size(count)
        whole = count // chunk

        def some(sums: Any, part_x: Any, part_y: Any) -> Any:
            copies = (self._runs, *[1] * (len(part_x.shape) - 1))
            parts = tf.tile(part_x, copies), tf.tile(part_y, (self._runs,))
            found = measured(self._model, self._runs, *parts, training=False)
            return [total + part for total, part in zip(sums, found, strict=True)]

        def body(at: Any, *sums: Any) -> Any:
            return at + 1, *some(sums, _chunk(x, at, chunk), _chunk(y, at, chunk))

        start = (tf.constant(0), tf.zeros(self._runs), tf.zeros(self._runs))
        _, *sums = tf.while_loop(lambda at, *_: at < whole, body, start, maximum_iterations=whole)
        rest = whole * chunk
        sums = some(sums, x[rest:], y[rest:]) if rest < count else sums
        extra = tf.add_n([tf.zeros(()), *self._model.losses])
        return sums[0] + extra * count, sums[1]


def measured(model: keras.Model, runs: int, x: Any, y: Any, *, training: bool) -> Any:
    """Loss and right answers of each run, summed over its images: float32 [R] each.

    model: stacked, of R = runs; x: [R * B, ...], run after run; y: int32 [R * B].
    """
    predicted = model(_scaled(x), training=training)
    loss = keras.losses.sparse_categorical_crossentropy(y, predicted)
    right = tf.cast(tf.equal(tf.argmax(predicted, axis=-1, output_type=tf.int32), y), tf.float32)
    return [tf.reduce_sum(tf.reshape(each, (runs, -1)), axis=1) for each in (loss, right)]


def chunk_size(count: int) -> int:
    """Images of a chunk: at most CHUNK, and a divisor of ``count`` where that takes at most twice as many chunks.

    What is left over after whole chunks is compiled a second time, in its own shape.
    """
    fewest = -(-count // CHUNK)
    parts = next((parts for parts in range(fewest, 2 * fewest + 1) if count % parts == 0), None)
    return min(CHUNK, count) if parts is None else count // parts


def _chunk(array: Any, at: Any, size: int) -> Any:
    return tf.slice(array, [at * size, *[0] * (len(array.shape) - 1)], [size, *array.shape[1:]])


def _scaled(x: Any) -> Any:
    """Integers to float32 in 0..1, as data.scale does it; floats unchanged."""
    return tf.cast(x, tf.float32) / 255.0 if x.dtype.is_integer else tf.cast(x, tf.float32)
