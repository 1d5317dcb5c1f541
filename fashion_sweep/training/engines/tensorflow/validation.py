"""Loss and accuracy of the runs of a pack, in a training step and on the validation images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from fashion_sweep.training.engines.base import Arrays
from fashion_sweep.training.engines.tensorflow.graph import traced_once
from fashion_sweep.training.engines.tensorflow.lone import scaled

CHUNK = 2048
"""Most images of one run that are validated at once; bounds the memory, and changes sums by their rounding alone."""


class Validation:
    """Measures the R runs of a stacked model on the validation images."""

    def __init__(self, model: keras.Model, runs: int, *, compiled: bool) -> None:
        """compiled: whether XLA is to compile it."""
        self._model, self._runs = model, runs
        self._sums = traced_once(self._summed, compiled=compiled)

    def measure(self, arrays: Arrays) -> Sequence[Any]:
        """Summed losses and numbers of correct answers: float32 [R] each."""
        sums: Sequence[Any] = self._sums(*arrays.validation)
        return sums

    def _summed(self, x: Any, y: Any, divisor: Any) -> Any:
        """Loss and correct answers of each run, summed over all validation images: float32 [R] each."""
        count = x.shape[0]
        chunk = chunk_size(count)
        whole = count // chunk

        def some(sums: Any, part_x: Any, part_y: Any) -> Any:
            copies = (self._runs, *[1] * (len(part_x.shape) - 1))
            parts = scaled(tf.tile(part_x, copies), divisor), tf.tile(part_y, (self._runs,))
            found = loss_and_correct(self._model, self._runs, *parts, training=False)
            return [total + part for total, part in zip(sums, found, strict=True)]

        def body(at: Any, *sums: Any) -> Any:
            return at + 1, *some(sums, _chunk(x, at, chunk), _chunk(y, at, chunk))

        start = (tf.constant(0), tf.zeros(self._runs), tf.zeros(self._runs))
        _, *sums = tf.while_loop(lambda at, *_: at < whole, body, start, maximum_iterations=whole)
        rest = whole * chunk
        return some(sums, x[rest:], y[rest:]) if rest < count else sums


def loss_and_correct(model: keras.Model, runs: int, x: Any, y: Any, *, training: bool) -> Any:
    """Loss and correct answers of each run, summed over its images: float32 [R] each.

    model: stacked, of R = runs; x: scaled, [R * B, ...], run after run; y: [R * B].
    """
    predicted = model(x, training=training)
    loss = keras.losses.sparse_categorical_crossentropy(y, predicted)
    correct = tf.cast(tf.equal(tf.argmax(predicted, axis=-1, output_type=y.dtype), y), tf.float32)
    return [tf.reduce_sum(tf.reshape(each, (runs, -1)), axis=1) for each in (loss, correct)]


def chunk_size(count: int) -> int:
    """Images of a chunk: at most CHUNK, and a divisor of ``count`` where that takes at most twice as many chunks.

    Images left over after whole chunks are compiled a second time, in their own shape.
    """
    fewest = -(-count // CHUNK)
    parts = next((parts for parts in range(fewest, 2 * fewest + 1) if count % parts == 0), None)
    return min(CHUNK, count) if parts is None else count // parts


def _chunk(array: Any, at: Any, size: int) -> Any:
    return tf.slice(array, [at * size, *[0] * (len(array.shape) - 1)], [size, *array.shape[1:]])
