"""Graphs that are compiled once for many runs, and what in them is known to be a function of a run's variables."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from fixture_types import MakeSpec
from keras import layers
from plain_keras import assert_close, plain_keras

from fashion_sweep.storage.record import Status
from fashion_sweep.training.engines import keras_internals
from fashion_sweep.training.engines.base import Arrays, Run
from fashion_sweep.training.engines.program_cache import ProgramCache
from fashion_sweep.training.engines.tensorflow.graph import Graph, is_compiled
from fashion_sweep.training.engines.tensorflow.lone import LoneRun
from fashion_sweep.training.train import train

SPECS = [tf.TensorSpec([2], tf.float32)]
ONES = tf.ones(2)


def test_the_graph_of_another_run_trains_a_runs_own_variables() -> None:
    kept: ProgramCache[Any] = ProgramCache()
    variables = [keras.Variable([float(number), 0.0]) for number in range(3)]

    def added(variable: keras.Variable) -> Graph:
        return Graph(lambda x: {"sum": variable.assign_add(x)}, SPECS, [variable], compiled=True)

    graphs = [added(variable) for variable in variables]
    assert len({graph.key for graph in graphs}) == 1
    for count, (graph, variable) in enumerate(zip(graphs, variables, strict=True)):
        for _ in range(count):
            graph.call(kept, [ONES], [variable])
    assert [np.asarray(variable).tolist() for variable in variables] == [[0, 0], [2, 1], [4, 2]]
    assert graphs[0].call(kept, [ONES], variables[:1])["sum"].numpy().tolist() == [1, 1]
    assert graphs[0].call(kept, [ONES], variables[2:])["sum"].numpy().tolist() == [5, 3]  # of a run that traced nothing
    assert len(kept) == 1


def test_graphs_that_name_their_results_differently_are_not_one() -> None:
    kept: ProgramCache[Any] = ProgramCache()
    one, other = (Graph(lambda x, n=name: {n: x}, SPECS, [], compiled=True) for name in ("loss", "error"))
    assert list(one.call(kept, [ONES], [])) == ["loss"]
    assert list(other.call(kept, [ONES], [])) == ["error"]


def test_a_graph_that_captures_something_else_has_no_places_for_others_variables() -> None:
    kept: ProgramCache[Any] = ProgramCache()
    variable, constant = keras.Variable([1.0, 2.0]), tf.constant([3.0, 4.0]) + 0
    graph = Graph(lambda x: variable.value + constant * x, SPECS, [variable], compiled=True)
    assert graph.places is None
    assert graph.is_pure
    assert graph.call(kept, [ONES], [keras.Variable([0.0, 0.0])]).numpy().tolist() == [4, 6]
    unknown = Graph(variable.assign_add, SPECS, [], compiled=True)
    assert (unknown.places, unknown.is_pure) == (None, False)


def test_an_error_of_the_function_itself_is_raised() -> None:
    graph = Graph(lambda x: tf.debugging.check_numerics(x / 0, "on purpose"), SPECS, [], compiled=False)
    with pytest.raises(tf.errors.InvalidArgumentError, match="on purpose"):
        graph.call(ProgramCache(), [ONES], [])


def test_convolutions_and_layers_that_say_so_are_not_compiled_on_a_cpu() -> None:
    def built(layer: Any, shape: tuple[int, ...]) -> keras.Model:
        return keras.Sequential([keras.Input(shape), keras.Sequential([keras.Input(shape), layer])])

    has_gpu = bool(tf.config.list_physical_devices("GPU"))
    assert is_compiled(built(layers.Dense(2), (4,)))
    assert is_compiled(built(layers.Conv2D(2, 2), (4, 4, 1))) is has_gpu
    assert is_compiled(built(layers.SeparableConv1D(2, 2), (4, 4))) is has_gpu
    assert not is_compiled(built(layers.RandomRotation(0.1), (4, 4, 1)))


class Own(layers.Layer):  # type: ignore[misc]
    """Adds what a function returns, which may use variables that Keras does not know."""

    def __init__(self, drawn: Callable[[Any], Any]) -> None:
        super().__init__()
        self._drawn = drawn

    def call(self, x: Any) -> Any:
        return x + self._drawn(x)

    def compute_output_shape(self, shape: Any) -> Any:
        return shape


STATE = tf.Variable(0.0)
GENERATOR = tf.random.Generator.from_seed(1)


def counted(_x: Any) -> Any:
    return STATE.assign_add(1.0)


def drawn_in_a_loop(x: Any) -> Any:
    def body(at: Any, total: Any) -> Any:
        return at + 1, total + tf.random.uniform(tf.shape(x))

    return tf.while_loop(lambda at, _: at < 2, body, [0, tf.zeros_like(x)])[1]


def seeded() -> layers.Layer:
    generator = keras.random.SeedGenerator(1)
    layer = Own(lambda x: keras.random.uniform(tf.shape(x), seed=generator))
    layer.generator = generator
    return layer


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: layers.Dense(4), True),
        (layers.BatchNormalization, True),
        (lambda: layers.Dropout(0.5), True),
        (lambda: layers.GaussianNoise(0.5), True),
        (lambda: layers.SpatialDropout1D(0.5), True),
        (lambda: layers.RandomFlip("horizontal"), True),
        (seeded, True),
        (lambda: Own(lambda x: tf.random.stateless_uniform(tf.shape(x), [1, 2])), True),
        (lambda: Own(lambda x: tf.random.uniform(tf.shape(x))), False),
        (lambda: Own(lambda x: tf.random.uniform(tf.shape(x), seed=3)), False),
        (lambda: Own(lambda x: keras.random.uniform(tf.shape(x))), False),
        (lambda: Own(lambda x: GENERATOR.uniform(tf.shape(x))), False),
        (lambda: Own(counted), False),
        (lambda: Own(lambda x: tf.reshape(tf.numpy_function(np.ones_like, [x], tf.float32), tf.shape(x))), False),
        (lambda: Own(drawn_in_a_loop), False),
    ],
    ids=["dense", "normalization", "dropout", "noise", "spatial", "flip", "seeded", "stateless", "tf", "tf seeded",
         "global", "generator", "variable", "python", "in a loop"],
)  # fmt: skip
def test_a_function_of_state_is_told_from_one_that_draws_from_elsewhere(
    make: Callable[[], Any], expected: bool
) -> None:
    images, labels = tf.zeros((4, 4, 4, 1)), tf.zeros(4, tf.int32)
    middle = [layers.Reshape((16, 1)), make(), layers.Flatten()]
    middle = [make(), layers.Flatten()] if isinstance(make(), layers.RandomFlip) else middle
    model = keras.Sequential([keras.Input((4, 4, 1)), *middle, layers.Dense(3, "softmax")])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    keras_internals.build(model, images.numpy(), labels.numpy())
    run = LoneRun(
        Run(model, 1, 2), Arrays(images, labels, images, labels, tf.constant(1.0)), ProgramCache(), ProgramCache()
    )
    assert run.can_continue is expected


NETS = """
import keras, tensorflow as tf
from keras import layers

@keras.saving.register_keras_serializable("graph_nets")
class Doubled(layers.Layer):
    def call(self, x):
        return tf.ensure_shape(tf.py_function(lambda y: y * 2, [x], tf.float32), x.shape)
    def compute_output_shape(self, shape):
        return shape

def of_python(input_shape, num_classes):
    return keras.Sequential([keras.Input(input_shape), Doubled(), layers.Flatten(),
                             layers.Dense(num_classes, "softmax")])

def rotated(input_shape, num_classes):
    return keras.Sequential([keras.Input(input_shape), layers.Reshape((*input_shape, 1)), layers.RandomRotation(0.1),
                             layers.Flatten(), layers.Dense(num_classes, "softmax")])
"""


@pytest.fixture
def nets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    (tmp_path / "graph_nets.py").write_text(NETS)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    sys.modules.pop("graph_nets", None)


@pytest.mark.parametrize(("name", "is_told"), [("of_python", True), ("rotated", False)])
def test_a_model_that_xla_cannot_compile_is_trained_without_it(
    make_spec: MakeSpec, nets: None, caplog: pytest.LogCaptureFixture, name: str, is_told: bool
) -> None:
    """Keras says of its own layers which ones XLA cannot compile."""
    caplog.set_level("INFO")
    words = ("trainer=compiled", "batch_size=48", "~model", f"+model={{_target_: graph_nets.{name}}}")
    spec = make_spec(*words, folder="run")
    [record] = train([spec])
    assert (record.status, record.reason) == (Status.COMPLETED, None)
    assert any("Trained without XLA" in message for message in caplog.messages) is is_told
    assert_close(spec, plain_keras(make_spec(*words, folder="reference")), 2e-5)
