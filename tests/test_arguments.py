"""Arguments of optimizers as inputs: an optimizer of stacked weights takes the steps of R optimizers, bit for bit."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from fashion_sweep.training import packing
from fashion_sweep.training.engines.tensorflow import hyperparameters

WEIGHTS, STEPS = (4, 3), 5


def moved(optimizer: keras.optimizers.Optimizer, weights: np.ndarray, gradients: Iterable[Any]) -> np.ndarray:
    """The weights after a step for each of the gradients."""
    variable = keras.Variable(weights)
    for gradient in gradients:
        optimizer.apply([gradient], [variable])
    return np.asarray(variable)


CASES = [
    ("SGD", {}, {"momentum": (0.9, 0.3), "weight_decay": (0.1, 0.7)}),
    ("SGD", {"nesterov": True}, {"momentum": (0.9, 0.3)}),
    ("RMSprop", {}, {"rho": (0.9, 0.37), "epsilon": (1e-7, 1e-3), "weight_decay": (0.1, 0.7)}),
    ("RMSprop", {"centered": True}, {"rho": (0.9, 0.37), "epsilon": (1e-7, 1e-3), "momentum": (0.9, 0.3)}),
    ("Adagrad", {}, {"epsilon": (1e-7, 1e-3), "weight_decay": (0.1, 0.7)}),
    ("Adam", {}, {"beta_1": (0.9, 0.37), "beta_2": (0.999, 0.51), "epsilon": (1e-7, 1e-3)}),
    ("Adam", {"amsgrad": True}, {"beta_1": (0.9, 0.37), "beta_2": (0.999, 0.51), "weight_decay": (0.1, 0.7)}),
    ("AdamW", {}, {"beta_1": (0.9, 0.37), "beta_2": (0.999, 0.51), "weight_decay": (0.1, 0.7)}),
    ("Nadam", {}, {"beta_2": (0.999, 0.51), "epsilon": (1e-7, 1e-3), "weight_decay": (0.1, 0.7)}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "options", "values"), CASES)
def test_a_step_with_arguments_is_the_step_with_their_numbers(
    name: str, options: dict[str, Any], values: dict[str, tuple[float, float]]
) -> None:
    make = getattr(keras.optimizers, name)
    chance = np.random.default_rng(0)
    weights = chance.normal(size=(2, *WEIGHTS)).astype("float32")
    gradients = tf.constant(chance.normal(size=(STEPS, 2, *WEIGHTS)), tf.float32)
    own = [make(0.1, **options, **{key: pair[run] for key, pair in values.items()}) for run in (0, 1)]
    expected = [moved(optimizer, weights[run], gradients[:, run]) for run, optimizer in enumerate(own)]
    both = make(0.1, **options, **{key: pair[0] for key, pair in values.items()})
    names = hyperparameters.names(both)
    assert set(values) <= set(names)
    for key, given in zip(names, hyperparameters.values(own, names), strict=True):
        setattr(both, key, hyperparameters.TracedHyperparameter(tf.constant(given)[:, None, None]))
    np.testing.assert_array_equal(moved(both, weights, gradients), expected)


@pytest.mark.parametrize(("name", "options", "values"), CASES)
def test_a_sparse_gradient_is_as_good(
    name: str, options: dict[str, Any], values: dict[str, tuple[float, float]]
) -> None:
    make = getattr(keras.optimizers, name)
    one, other = (make(0.1, **options, **{key: pair[1] for key, pair in values.items()}) for _ in range(2))
    names = hyperparameters.names(one)
    for key, given in zip(names, hyperparameters.values([one], names), strict=True):
        setattr(one, key, hyperparameters.TracedHyperparameter(tf.constant(given[0])))
    weights = np.random.default_rng(0).normal(size=WEIGHTS).astype("float32")
    gradient = tf.IndexedSlices(tf.constant(weights[:2] + 1), tf.constant([3, 1]), tf.constant(WEIGHTS))
    np.testing.assert_array_equal(moved(one, weights, [gradient] * STEPS), moved(other, weights, [gradient] * STEPS))


def key(optimizer: str, **given: object) -> str | None:
    node = {"_target_": f"keras.optimizers.{optimizer}", "learning_rate": 0.1, **given}
    return packing.pack_key({"optimizer": node, "model": {}, "data": 1, "trainer": 2, "epochs": 3, "batch_size": 4})


def test_what_is_an_input_does_not_separate_packs_and_the_rest_does() -> None:
    assert key("SGD", momentum=0.5, weight_decay=0.1) == key("SGD", momentum=0.9, weight_decay=0.2)
    assert key("SGD", momentum=0.5) != key("SGD", momentum=0.0) != key("SGD")
    assert key("SGD", weight_decay=0.5) != key("SGD", weight_decay=None)
    assert key("Adam", beta_1=0.9, epsilon=1e-7) == key("Adam", beta_1=0.8, epsilon=1e-3)
    assert key("Adam", amsgrad=True) != key("Adam", amsgrad=False)
    assert key("Nadam", beta_1=0.9) != key("Nadam", beta_1=0.8)
    assert key("Adagrad", initial_accumulator_value=0.1) != key("Adagrad", initial_accumulator_value=0.2)
    assert key("Lion", beta_1=0.9) != key("Lion", beta_1=0.8)
    assert key("SGD", clipnorm=1.0) is None


def test_an_optimizer_that_is_not_keras_own_has_no_inputs() -> None:
    class SGD(keras.optimizers.SGD):  # type: ignore[misc]
        """Only its name is that of Keras' own."""

    assert hyperparameters.names(keras.optimizers.SGD(momentum=0.9)) == ["momentum"]
    assert hyperparameters.names(SGD(momentum=0.9)) == []
