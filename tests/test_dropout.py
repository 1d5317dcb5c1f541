"""Which units of which layers are dropped: in every call of a Dropout layer, wherever in a model it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers, ops

from fashion_sweep.training.engines.dropout import DropoutCalls, StepNoise


def noise(rates: Sequence[float], seed: int = 1, step: int = 0) -> StepNoise:
    return StepNoise(*map(ops.convert_to_tensor, StepNoise.of(seed, step, rates)))


class Steps:
    """Training steps of anything that calls Dropout layers."""

    def __init__(self, function: Callable[[], Any]) -> None:
        self.calls, self._function = DropoutCalls(), function
        self.taken(noise([]))

    def taken(self, given: StepNoise) -> Any:
        self.calls.begin(given)
        with self.calls.masked():
            return np.asarray(self._function())

    def __call__(self, **given: int) -> Any:
        return self.taken(noise(self.calls.rates, **given))


ONES = np.ones((4, 8, 16), "float32")


def test_a_layer_that_is_called_twice_drops_different_units() -> None:
    layer = layers.Dropout(0.5)
    step = Steps(lambda: ops.stack([layer(ONES, training=True), layer(ONES, training=True)]))
    one, other = step()
    assert step.calls.layers == [layer, layer]
    assert 0.3 < (one != other).mean() < 0.7
    assert set(np.unique(one)) == set(np.unique(other)) == {0.0, 2.0}


def test_masks_are_a_function_of_seed_call_and_step() -> None:
    layer = layers.Dropout(0.5)
    step, again = (Steps(lambda: layer(ONES, training=True)) for _ in range(2))
    np.testing.assert_array_equal(step(seed=3, step=5), again(seed=3, step=5))
    for other in (step(seed=4, step=5), step(seed=3, step=6)):
        assert (other != again(seed=3, step=5)).any()


def test_nothing_is_dropped_in_inference_outside_of_a_step_and_where_a_call_has_no_rate_yet() -> None:
    layer = layers.Dropout(0.5, seed=1)
    assert (Steps(lambda: layer(ONES, training=False))() == ONES).all()
    calls = DropoutCalls()
    calls.begin(noise([]))
    with calls.masked():
        assert (np.asarray(layer(ONES, training=True)) == ONES).all()
    keras_own = np.asarray(layer(ONES, training=True))
    assert set(np.unique(keras_own)) == {0.0, 2.0}
    assert (Steps(lambda: layer(ONES, training=True))() != keras_own).any()


class Block(layers.Layer):  # type: ignore[misc]
    """A layer of a user's own that calls its Dropout twice."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.drop = layers.Dropout(rate)

    def call(self, x: Any, training: bool = False) -> Any:
        return self.drop(self.drop(x, training=training), training=training)


class Twice(layers.Dropout):  # type: ignore[misc]
    """A Dropout whose own ``call`` is what it does."""

    def call(self, inputs: Any, training: bool = False) -> Any:  # noqa: ARG002 - Keras' signature
        return inputs * 2


def nested() -> keras.Model:
    inner = keras.Sequential([keras.Input((8, 16)), layers.Dropout(0.1)])
    return keras.Sequential([keras.Input((8, 16)), layers.Dropout(0.2), inner, layers.Dropout(0.3)])


def attention() -> keras.Model:
    inputs = keras.Input((8, 16))
    return keras.Model(inputs, layers.MultiHeadAttention(2, 4, dropout=0.25)(inputs, inputs))


@pytest.mark.parametrize(
    ("make", "rates"),
    [
        (lambda: layers.Dropout(0.4), [0.4]),
        (lambda: Block(0.5), [0.5, 0.5]),
        (nested, [0.2, 0.1, 0.3]),
        (attention, [0.25]),
        (lambda: layers.TimeDistributed(layers.Dropout(0.3)), None),
        (lambda: Twice(0.5), []),
        (lambda: layers.GaussianDropout(0.5), []),
    ],
    ids=["plain", "block", "nested", "attention", "distributed", "subclass", "other"],
)
def test_layers_within_layers_are_called_in_their_order(make: Callable[[], Any], rates: list[float] | None) -> None:
    layer = make()
    step = Steps(lambda: layer(ONES, training=True))
    if rates is None:  # once for each part of the batch or not: all of them are this layer's
        assert set(step.calls.rates) == {0.3}
    else:
        assert step.calls.rates == pytest.approx(rates)
    if step.calls.rates:
        np.testing.assert_array_equal(step(step=7), step(step=7))
        assert (step(step=7) != step(step=8)).any()


def test_the_shape_of_the_noise_is_heeded() -> None:
    layer = layers.Dropout(0.5, noise_shape=(None, 1, 16))
    found = Steps(lambda: layer(ONES, training=True))()
    assert (found == found[:, :1]).all()
    assert set(np.unique(found)) == {0.0, 2.0}
    assert len(np.unique(found[:, 0], axis=0)) == 4


@pytest.mark.parametrize(("rate", "expected"), [(0.0, 1.0), (1.0, 0.0)])
@pytest.mark.skipif(keras.config.backend() != "tensorflow", reason="gradients are taken with TensorFlow")
def test_without_a_unit_dropped_or_kept_numbers_and_gradients_are_finite(rate: float, expected: float) -> None:
    import tensorflow as tf

    layer, inputs = layers.Dropout(rate), tf.Variable(ONES)

    def gradient() -> Any:
        with tf.GradientTape() as tape:
            outputs = layer(inputs, training=True)
        return tf.stack([outputs, tape.gradient(outputs, inputs)])

    assert np.unique(Steps(gradient)()).tolist() == [expected]


def test_the_rate_of_now_counts() -> None:
    layer = layers.Dropout(0.5)
    step = Steps(lambda: layer(ONES, training=True))
    layer.rate = 0.25
    assert step.calls.rates == [0.25]
    found = step()
    assert found.max() == pytest.approx(4 / 3)
    assert 0.15 < (found == 0).mean() < 0.35


def test_half_precision_stays() -> None:
    layer = layers.Dropout(0.5, dtype="float16")
    step = Steps(lambda: layer(ONES.astype("float16"), training=True))
    assert step().dtype == np.float16
    assert set(np.unique(step())) == {0.0, 2.0}


def test_calls_that_are_not_counted_are_keras_own() -> None:
    layer = layers.Dropout(0.5, seed=1)
    calls = DropoutCalls(lambda: False)
    calls.begin(noise([]))
    with calls.masked():
        found = np.asarray(layer(ONES, training=True))
    assert calls.layers == []
    assert set(np.unique(found)) == {0.0, 2.0}
