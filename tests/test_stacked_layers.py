"""Layers that hold the weights of several runs."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from fashion_sweep.training.engines.tensorflow import rows
from fashion_sweep.training.engines.tensorflow.stacked_layers import StackedConv2D

RUNS, IMAGES, SHAPE = 3, 4, (7, 6, 2)

CONVOLUTIONS: dict[str, dict[str, Any]] = {
    "plain": {"kernel_size": 3},
    "same": {"kernel_size": (2, 3), "padding": "same", "strides": 2, "activation": "relu"},
    "dilated": {"kernel_size": 2, "dilation_rate": 2, "use_bias": False},
}


def output_and_gradients(layer: keras.layers.Layer, x: Any, *, compiled: bool) -> list[Any]:
    """Output [n, ...], and the gradients of the sum of its squares by input and weights."""

    @tf.function(jit_compile=compiled)  # type: ignore[untyped-decorator]
    def both(x: Any) -> Any:
        weights = [weight.value for weight in layer.trainable_weights]
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x)
            total = tf.reduce_sum(y * y)
        return [y, *tape.gradient(total, [x, *weights])]

    return [each.numpy() for each in both(tf.constant(x))]


@pytest.mark.parametrize("name", CONVOLUTIONS)
@pytest.mark.parametrize(("is_grouped", "compiled"), [(True, True), (False, True), (False, False)])
def test_stacked_convolutions_equal_those_of_each_run(name: str, is_grouped: bool, compiled: bool) -> None:
    # Without XLA, only some CPUs can compute gradients of groups.
    own = [keras.layers.Conv2D(4, **CONVOLUTIONS[name]) for _ in range(RUNS)]
    for layer in own:
        layer(keras.Input(SHAPE))
    stacked = StackedConv2D(own[0], RUNS)
    stacked.is_grouped = is_grouped
    rows.load(stacked.weights, [layer.weights for layer in own])
    x = np.random.default_rng(0).normal(size=(RUNS, IMAGES, *SHAPE)).astype("float32")

    y, of_x, *of_weights = output_and_gradients(stacked, x.reshape(-1, *SHAPE), compiled=compiled)
    for row, layer in enumerate(own):
        own_y, own_of_x, *own_of_weights = output_and_gradients(layer, x[row], compiled=False)
        here = slice(row * IMAGES, (row + 1) * IMAGES)
        np.testing.assert_allclose(y[here], own_y, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(of_x[here], own_of_x, rtol=1e-4, atol=1e-4)
        for found, expected in zip(of_weights, own_of_weights, strict=True):
            np.testing.assert_allclose(found[row].reshape(expected.shape), expected, rtol=1e-4, atol=1e-4)


def test_groups_are_for_gpus() -> None:
    layer = keras.layers.Conv2D(4, 3)
    layer(keras.Input(SHAPE))
    assert StackedConv2D(layer, RUNS).is_grouped == bool(tf.config.list_physical_devices("GPU"))
