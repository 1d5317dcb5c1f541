from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from fashion_sweep.training.engines.base import Arrays
from fashion_sweep.training.engines.tensorflow import rows, stacking
from fashion_sweep.training.engines.tensorflow.stacking import PackNoise
from fashion_sweep.training.engines.tensorflow.validation import CHUNK, Validation, chunk_size


@given(st.integers(1, 200_000))
def test_a_chunk_is_small_enough_and_no_smaller_than_it_must_be(count: int) -> None:
    size = chunk_size(count)
    fewest = -(-count // CHUNK)
    assert count / (2 * fewest) <= size <= min(count, CHUNK)
    assert count % size == 0 or size == CHUNK


@pytest.mark.parametrize(("count", "size"), [(64, 64), (12_000, 2000), (2048, 2048), (2053, 2048)])
def test_chunks_leave_no_rest_where_that_can_be(count: int, size: int) -> None:
    assert chunk_size(count) == size


@pytest.mark.parametrize("count", [5, 4096, 4099])
def test_a_pack_measures_as_keras_does(count: int) -> None:
    def model() -> keras.Model:
        return keras.Sequential([keras.Input((3,)), keras.layers.Dense(4, "relu"), keras.layers.Dense(3, "softmax")])

    generator = np.random.default_rng(0)
    x, y = generator.normal(size=(count, 3)).astype("float32"), generator.integers(3, size=count).astype("int32")
    models = [model() for _ in range(3)]
    pack = stacking.stack(models, PackNoise())
    rows.load(pack.weights, [each.weights for each in models])
    arrays = Arrays(None, None, tf.constant(x), tf.constant(y), tf.constant(1.0))
    losses, correct = (
        np.asarray(sums) / count for sums in Validation(pack, len(models), compiled=True).measure(arrays)
    )
    for row, each in enumerate(models):
        each.compile(loss="sparse_categorical_crossentropy", metrics=["accuracy"])
        loss, accuracy = each.evaluate(x, y, verbose=0)
        assert losses[row] == pytest.approx(loss, rel=1e-5)
        assert correct[row] == pytest.approx(accuracy, abs=1e-6)
