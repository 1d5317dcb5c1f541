"""Which graphs are taken for one: two builds of one model, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers

from fashion_sweep.training.engines import keras_internals
from fashion_sweep.training.engines.tensorflow.graph_key import graph_key

VECTOR = tf.TensorSpec([4], tf.float32)


def key(function: Callable[..., Any], *specs: Any) -> str:
    traced = tf.function(function, autograph=False).get_concrete_function(*(specs or [VECTOR]))
    return graph_key(traced.graph)


@settings(deadline=None)
@given(st.floats(width=32, allow_nan=False), st.floats(width=32, allow_nan=False))
def test_graphs_are_equal_where_their_constants_are(one: float, other: float) -> None:
    are_equal = np.float32(one).tobytes() == np.float32(other).tobytes()
    assert (key(lambda x: x * one) == key(lambda x: x * other)) is are_equal


@settings(deadline=None)
@given(
    st.lists(st.sampled_from("abc"), min_size=1, max_size=5), st.lists(st.sampled_from("abc"), min_size=1, max_size=5)
)
def test_graphs_are_equal_where_their_operations_are_in_their_order(one: list[str], other: list[str]) -> None:
    operations = {"a": tf.sin, "b": tf.exp, "c": tf.square}

    def chained(names: list[str]) -> str:
        def function(x: Any) -> Any:
            for name in names:
                x = operations[name](x)
            return x

        return key(function)

    assert (chained(one) == chained(other)) is (one == other)


def looped(rounds: int, bound: int, step: float) -> Callable[[Any], Any]:
    """A function whose difference is in functions that it calls."""

    def body(at: Any, x: Any) -> Any:
        return at + 1, x + step

    return lambda x: tf.while_loop(lambda at, _: at < bound, body, [tf.constant(rounds), x])[1]


def unstacked(index: int) -> Callable[[Any], Any]:
    return lambda x: tf.while_loop(lambda at, _: at < 3, lambda at, y: (at + 1, y + tf.unstack(y)[index]), [0, x])[1]


def ordered(before: int) -> Callable[[Any], Any]:
    def function(x: Any) -> Any:
        others = tf.sin(x), tf.exp(x)
        with tf.control_dependencies(others):  # which marks both
            found = tf.tan(x)
        with tf.control_dependencies([others[before]]):
            return found + tf.cos(x)

    return function


def assigned(order: str) -> Callable[[Any], Any]:
    """One that differs in what has to happen before what alone."""
    variable = tf.Variable(tf.zeros(4))

    def function(x: Any) -> Any:
        if order == "first":
            variable.assign(x)
        found = variable.read_value()
        if order == "last":
            variable.assign(x)
        return found

    return function


FUNCTIONS: dict[str, Callable[[], Callable[..., Any]]] = {
    "loop": lambda: looped(0, 3, 0.5),
    "another start": lambda: looped(1, 3, 0.5),
    "another bound, in the condition": lambda: looped(0, 4, 0.5),
    "another step, in the body": lambda: looped(0, 3, 0.25),
    "assigned before it is read": lambda: assigned("first"),
    "assigned after it is read": lambda: assigned("last"),
    "after one operation": lambda: ordered(0),
    "after another": lambda: ordered(1),
    "results": lambda: lambda x: (x, x + 1),
    "results the other way round": lambda: lambda x: (x + 1, x),
    "difference": lambda: lambda x: tf.sin(x) - tf.cos(x),
    "difference the other way round": lambda: lambda x: tf.cos(x) - tf.sin(x),
    "first output of an operation": lambda: lambda x: tf.unstack(x)[0],
    "second output": lambda: lambda x: tf.unstack(x)[1],
    "first output, in a loop": lambda: unstacked(0),
    "second output, in a loop": lambda: unstacked(1),
    "sorted": lambda: lambda x: tf.math.top_k(x, 2).indices,
    "attribute": lambda: lambda x: tf.math.top_k(x, 2, sorted=False).indices,
    "seed": lambda: lambda x: x + tf.random.uniform([4], seed=1),
    "another seed": lambda: lambda x: x + tf.random.uniform([4], seed=2),
}


def test_functions_that_differ_anywhere_have_keys_of_their_own() -> None:
    keys = {name: key(make()) for name, make in FUNCTIONS.items()}
    again = {name: key(make()) for name, make in FUNCTIONS.items()}
    assert keys == again
    assert len(set(keys.values())) == len(FUNCTIONS)


def test_the_kind_of_an_argument_counts() -> None:
    specs = [tf.TensorSpec([4], tf.float32), tf.TensorSpec([5], tf.float32), tf.TensorSpec([4], tf.float64)]
    assert len({key(lambda x: x + x, spec) for spec in specs}) == 3


def trained(*between: keras.layers.Layer, optimizer: Any = "sgd", clip: float | None = None) -> str:
    """The key of a training step of a model with some layers in the middle."""
    ends = layers.Dense(6, name="first"), layers.Dense(3, "softmax", name="last")
    return of_model(keras.Sequential([keras.Input((4,)), ends[0], *between, ends[1]]), optimizer)


def of_model(model: keras.Model, optimizer: Any = "sgd") -> str:
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    keras_internals.build(model, np.zeros((2, 4), "float32"), np.zeros(2, "int32"))
    specs = tf.TensorSpec([2, 4], tf.float32), tf.TensorSpec([2], tf.int32)
    return key(lambda x, y: model.train_step((x, y)), *specs)


def frozen(layer: keras.layers.Layer) -> keras.layers.Layer:
    layer.trainable = False
    return layer


def joined(join: Callable[[Any, Any], Any]) -> str:
    inputs = keras.Input((4,))
    one, two = layers.Dense(6, "relu")(inputs), layers.Dense(6, "tanh")(inputs)
    return of_model(keras.Model(inputs, layers.Dense(3, "softmax")(join(one, two))))


MODELS: dict[str, Callable[[], str]] = {
    "plain": trained,
    "relu": lambda: trained(layers.Dense(6, "relu")),
    "tanh": lambda: trained(layers.Dense(6, "tanh")),
    "no bias": lambda: trained(layers.Dense(6, "relu", use_bias=False)),
    "frozen": lambda: trained(frozen(layers.Dense(6, "relu"))),
    "slope": lambda: trained(layers.LeakyReLU(negative_slope=0.3)),
    "another slope": lambda: trained(layers.LeakyReLU(negative_slope=0.2)),
    "scaled twice": lambda: trained(layers.Rescaling(0.5), layers.Rescaling(0.25)),
    "scaled the other way round": lambda: trained(layers.Rescaling(0.25), layers.Rescaling(0.5)),
    "normalized": lambda: trained(layers.BatchNormalization()),
    "normalized slowly": lambda: trained(layers.BatchNormalization(momentum=0.9)),
    "normalized, frozen": lambda: trained(frozen(layers.BatchNormalization())),
    "regularized": lambda: trained(layers.Dense(6, kernel_regularizer=keras.regularizers.L2(0.1))),
    "regularized more": lambda: trained(layers.Dense(6, kernel_regularizer=keras.regularizers.L2(0.2))),
    "constrained": lambda: trained(layers.Dense(6, kernel_constraint="non_neg")),
    "momentum": lambda: trained(optimizer=keras.optimizers.SGD(momentum=0.9)),
    "less momentum": lambda: trained(optimizer=keras.optimizers.SGD(momentum=0.8)),
    "clipped": lambda: trained(optimizer=keras.optimizers.SGD(clipvalue=0.1)),
    "clipped less": lambda: trained(optimizer=keras.optimizers.SGD(clipvalue=0.2)),
    "averaged": lambda: trained(optimizer=keras.optimizers.SGD(use_ema=True)),
    "sum": lambda: joined(lambda one, two: one + two),
    "sum the other way round": lambda: joined(lambda one, two: two + one),
    "difference": lambda: joined(lambda one, two: one - two),
    "difference the other way round": lambda: joined(lambda one, two: two - one),
}  # fmt: skip


def test_training_steps_that_differ_anywhere_have_keys_of_their_own() -> None:
    keys = {name: make() for name, make in MODELS.items()}
    assert len(set(keys.values())) == len(MODELS), [
        (one, other) for one in keys for other in keys if one < other and keys[one] == keys[other]
    ]


@pytest.mark.parametrize("name", ["plain", "normalized", "averaged"])
def test_two_builds_of_one_model_have_equal_keys(name: str) -> None:
    """Names that are counted in a process, of layers and functions, do not count."""
    first = MODELS[name]()
    MODELS["relu"]()
    assert MODELS[name]() == first
