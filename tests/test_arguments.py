"""Arguments of optimizers as inputs: an optimizer of stacked weights takes the steps of R optimizers, bit for bit."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from fashion_sweep.training.engines import keras_internals
from fashion_sweep.training.engines.tensorflow import hyperparameters, packing

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


def key(optimizer: str, **given: object) -> str:
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
    assert key("SGD", clipnorm=1.0) != key("SGD", clipnorm=2.0)


def test_an_optimizer_that_is_not_keras_own_has_no_inputs() -> None:
    class SGD(keras.optimizers.SGD):  # type: ignore[misc]
        """Only its name is that of Keras' own."""

    assert hyperparameters.names(keras.optimizers.SGD(momentum=0.9)) == ["momentum"]
    assert hyperparameters.names(SGD(momentum=0.9)) == []


def test_learning_rates_follow_the_schedule_and_what_callbacks_set() -> None:
    constant = keras.optimizers.SGD(0.5)
    assert hyperparameters.learning_rates(constant, 2, 3).tolist() == [0.5] * 3
    constant.learning_rate = 0.25
    assert hyperparameters.learning_rates(constant, 2, 3).tolist() == [0.25] * 3
    cosine = keras.optimizers.SGD(keras.optimizers.schedules.CosineDecay(1.0, 4))
    rates = hyperparameters.learning_rates(cosine, 0, 5)
    assert rates.dtype == np.float32
    assert rates.tolist() == pytest.approx([1.0, 0.8535534, 0.5, 0.1464466, 0.0], abs=1e-6)
    assert hyperparameters.learning_rates(cosine, 2, 2).tolist() == pytest.approx([0.5, 0.1464466], abs=1e-6)


class Halved(keras.optimizers.schedules.LearningRateSchedule):  # type: ignore[misc]
    """A schedule of a user's own may be anything, a function of more than the step too."""

    def __call__(self, step: Any) -> Any:
        return 0.5 / (tf.cast(step, tf.float32) + 1)


def test_only_keras_own_schedules_are_inputs() -> None:
    for rate in (0.1, lambda: 0.1, Halved()):
        assert not hyperparameters.has_schedule(keras.optimizers.SGD(rate))
    assert hyperparameters.has_schedule(keras.optimizers.SGD(keras.optimizers.schedules.CosineDecay(1.0, 4)))


def test_inputs_of_an_optimizer_are_its_rates_of_now_and_its_numbers_of_the_start() -> None:
    optimizer = keras.optimizers.SGD(keras.optimizers.schedules.CosineDecay(1.0, 4), momentum=0.75, weight_decay=0.5)
    optimizer.build([keras.Variable(np.ones(2, "float32"))])
    inputs = hyperparameters.Inputs(optimizer)
    rates, numbers = inputs.values(2)
    assert rates.numpy().tolist() == pytest.approx([1.0, 0.8535534])
    assert numbers.numpy().tolist() == [0.75, 0.5]
    optimizer.iterations.assign(2)
    optimizer.momentum = 0.25
    rates, numbers = inputs.values(2)
    assert rates.numpy().tolist() == pytest.approx([0.5, 0.1464466])
    assert numbers.numpy().tolist() == [0.75, 0.5]
    assert [spec.is_compatible_with(each) for spec, each in zip(inputs.specs(), (rates, numbers), strict=True)] == [
        True
    ] * 2
    with inputs.replaced():
        inputs.begin((tf.constant([7.0, 8.0]), numbers), 1)
        assert float(optimizer.learning_rate) == 8.0
        assert isinstance(vars(optimizer)["momentum"], hyperparameters.TracedHyperparameter)
    assert optimizer.momentum == 0.25
    assert hyperparameters.has_schedule(optimizer)


def test_a_rate_without_a_schedule_is_no_input_but_a_variable() -> None:
    optimizer = keras.optimizers.Lion(0.5)
    inputs = hyperparameters.Inputs(optimizer)
    assert [each.shape for each in inputs.values(3)] == [(0,), (0,)]
    with inputs.replaced():
        assert keras_internals.learning_rate(optimizer) is optimizer.learning_rate
