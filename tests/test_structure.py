"""Models that are said to be one are one: whatever an attribute changes, and no code but Keras' own is trusted."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers

from fashion_sweep.training import zoo
from fashion_sweep.training.engines import keras_internals, structure

IMAGES, LABELS = np.zeros((4, 8, 8), "float32"), np.zeros(4, "int32")


def made(
    make: Callable[..., keras.Model], seed: int = 0, optimizer: Callable[[], keras.Optimizer] = keras.optimizers.SGD
) -> keras.Model:
    keras.utils.clear_session()  # the names of optimizers are counted, too
    keras_internals.set_random_seed(seed)
    model = make((8, 8), 3)
    model.compile(optimizer(), "sparse_categorical_crossentropy", metrics=["accuracy"])
    keras_internals.build(model, IMAGES, LABELS)
    return model


def plain(shape: Any, classes: int, rate: float = 0.3, activation: Any = "relu") -> keras.Model:
    hidden = layers.Dense(5, activation, kernel_regularizer=keras.regularizers.L2(0.1))
    ends = [layers.Flatten(), hidden, layers.Dropout(rate), layers.BatchNormalization()]
    return keras.Sequential([keras.Input(shape), *ends, layers.Dense(classes, "softmax")])


@pytest.mark.parametrize("make", [case[0] for case in zoo.CASES], ids=lambda make: make.__name__)
def test_seeds_and_learning_rates_make_no_other_model(make: Callable[..., keras.Model]) -> None:
    adam, sgd = keras.optimizers.Adam, keras.optimizers.SGD
    keras.utils.clear_session()
    adam()  # as an earlier run may leave the count
    first = structure.digest(made(make, 0, partial(adam, 0.1)))
    assert first is not None
    assert structure.digest(made(make, 7, partial(adam, 0.003))) == first
    assert structure.digest(made(make, 0, partial(sgd, 0.1))) != first


def test_rates_of_dropout_layers_make_no_other_model() -> None:
    one, other = (made(partial(plain, rate=rate)) for rate in (0.3, 0.6))
    assert structure.digest(one) == structure.digest(other)
    without = made(partial(plain, rate=0.0))
    assert structure.digest(without) != structure.digest(one)  # it draws no random numbers


def frozen(model: keras.Model) -> None:
    model.layers[1].trainable = False


def regularized(model: keras.Model) -> None:
    model.layers[1].kernel_regularizer.l2 = np.float32(0.2)


def momentum(model: keras.Model) -> None:
    model.layers[3].momentum = 0.5


def other_activation(model: keras.Model) -> None:
    model.layers[1].activation = keras.activations.tanh


def clipped(model: keras.Model) -> None:
    model.optimizer.clipnorm = 1.0


def weighted(model: keras.Model) -> None:
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"], loss_weights=[2.0])
    keras_internals.build(model, IMAGES, LABELS)


@pytest.mark.parametrize("change", [frozen, regularized, momentum, other_activation, clipped, weighted])
def test_what_is_changed_in_a_model_makes_it_another(change: Callable[[keras.Model], object]) -> None:
    one, other = made(plain), made(plain)
    assert structure.digest(one) == structure.digest(other)
    change(other)
    assert structure.digest(one) != structure.digest(other)


def test_settings_of_keras_count(monkeypatch: pytest.MonkeyPatch) -> None:
    before = structure.digest(made(plain))
    monkeypatch.setattr(structure, "SETTINGS", [lambda: "other"])
    assert structure.digest(made(plain)) != before


class Own(layers.Layer):  # type: ignore[misc]
    def call(self, inputs: Any) -> Any:
        return inputs * float(np.random.default_rng().normal())


def relu(inputs: Any) -> Any:
    """Has the name of one of Keras' activations."""
    return inputs * float(np.random.default_rng().normal())


def test_nothing_is_said_of_models_with_code_of_ones_own() -> None:
    def with_layer(shape: Any, classes: int) -> keras.Model:
        return keras.Sequential([keras.Input(shape), layers.Flatten(), Own(), layers.Dense(classes, "softmax")])

    assert structure.digest(made(with_layer)) is None
    assert structure.digest(made(partial(plain, activation=relu))) is None
    assert structure.digest(made(partial(plain, activation=lambda x: x))) is None
    patched = made(plain)
    patched.layers[1].call = relu
    assert structure.digest(patched) is None
    holding = made(plain)
    holding.layers[1].kind = Own
    assert structure.digest(holding) is None
