"""A run of TensorFlow on its own: whose state its program uses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from fixture_types import MakeSpec
from keras import layers
from keras.optimizers import schedules

from fashion_sweep.storage.run_dir import RunDir
from fashion_sweep.training.engines import keras_internals
from fashion_sweep.training.engines.base import Arrays, Run
from fashion_sweep.training.engines.program_cache import ProgramCache
from fashion_sweep.training.engines.tensorflow.lone import LoneRun
from fashion_sweep.training.train import train

chance = np.random.default_rng(0)
IMAGES, LABELS = chance.normal(size=(20, 6, 4)).astype("float32"), chance.integers(3, size=20).astype("int32")
ARRAYS = Arrays(*map(tf.constant, (IMAGES, LABELS, IMAGES[:8], LABELS[:8], 1.0)))
ORDER = np.arange(20)[None]


def lone(
    *middle: Any, kept: ProgramCache[Any] | None = None, known: ProgramCache[Any] | None = None, **options: Any
) -> LoneRun:
    keras.utils.clear_session()
    keras_internals.set_random_seed(3)
    model = keras.Sequential([keras.Input((6, 4)), *middle, layers.Flatten(), layers.Dense(3, "softmax", name="last")])
    optimizer = options.pop("optimizer", "sgd")
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"], **options)
    keras_internals.build(model, IMAGES[:8], LABELS[:8])
    return LoneRun(
        Run(model, 5, 8), ARRAYS, ProgramCache() if kept is None else kept, ProgramCache() if known is None else known
    )


class Cell(layers.Layer):  # type: ignore[misc]
    """A cell of an RNN with a Dropout layer in it."""

    state_size = output_size = 4

    def __init__(self) -> None:
        super().__init__()
        self.drop = layers.Dropout(0.5, seed=1)

    def call(self, inputs: Any, states: Any, training: bool = False) -> Any:
        found = self.drop(inputs, training=training) + states[0]
        return found, [found]


def test_dropout_in_a_loop_over_time_is_left_to_keras() -> None:
    """Each of its rounds is a call, and Keras draws for each from the layer's own generator."""
    cell, outer = Cell(), layers.Dropout(0.25, seed=2)
    run = lone(layers.RNN(cell), outer)
    before = [np.asarray(layer.seed_generator.state).tolist() for layer in (cell.drop, outer)]
    [logs] = run.train(ARRAYS, ORDER, 0, [0])
    after = [np.asarray(layer.seed_generator.state).tolist() for layer in (cell.drop, outer)]
    assert np.isfinite(logs["loss"])
    assert after[0] != before[0]
    assert after[1] == before[1]
    assert run._dropouts.layers[-1] is outer
    assert run.can_continue


def test_another_run_is_trained_with_its_own_state_by_the_graph_of_the_first() -> None:
    def trained(run: LoneRun) -> list[Any]:
        found = [run.train(ARRAYS, ORDER, step, [0])[0] for step in (0, 3)] + run.validate(ARRAYS, [0])
        return [*found, *(weight.tolist() for weight in run.run.model.get_weights())]

    def make(rate: float, kept: ProgramCache[Any]) -> LoneRun:
        middle = layers.Dropout(rate), layers.Dense(4, "relu"), layers.BatchNormalization()
        return lone(*middle, kept=kept, optimizer=keras.optimizers.Adam(rate / 10, beta_1=rate))

    kept: ProgramCache[Any] = ProgramCache()
    first, second = (trained(make(rate, kept)) for rate in (0.3, 0.6))
    assert len(kept) == 2
    assert second == trained(make(0.6, ProgramCache())) != first


def test_a_run_like_one_before_is_not_traced() -> None:
    """It trains as if it were: with its own weights, seeds, rates and learning rate."""

    def make(rate: float, known: ProgramCache[Any]) -> LoneRun:
        middle = layers.Dropout(rate), layers.GaussianNoise(0.1), layers.Dense(4, "relu"), layers.BatchNormalization()
        return lone(*middle, known=known, optimizer=keras.optimizers.Adam(rate / 10))

    def trained(run: LoneRun) -> list[Any]:
        found = [run.train(ARRAYS, ORDER, step, [0])[0] for step in (0, 3)] + run.validate(ARRAYS, [0])
        return [*found, *(np.asarray(each).tolist() for each in run.run.model.variables)]

    known: ProgramCache[Any] = ProgramCache()
    first, second = make(0.3, known), make(0.6, known)
    assert second._traces is first._traces
    assert [len(run._dropouts.layers) for run in (first, second)] == [1, 1]
    assert second._dropouts.layers[0] is second.run.model.layers[0]
    one, two = trained(first), trained(second)
    assert two == trained(make(0.6, ProgramCache())) != one
    assert trained(make(0.3, known)) == one


@pytest.mark.parametrize(
    "optimizer",
    [
        lambda number: keras.optimizers.SGD(0.1, momentum=number, weight_decay=number / 10),
        lambda number: keras.optimizers.RMSprop(rho=number, momentum=number, epsilon=number / 100),
        lambda number: keras.optimizers.Adam(beta_1=number, beta_2=number, epsilon=number / 100),
        lambda number: keras.optimizers.Adam(schedules.ExponentialDecay(number, 2, number)),
        lambda number: keras.optimizers.SGD(schedules.CosineDecay(number, 10), momentum=0.5),
    ],
)
def test_numbers_of_optimizers_that_are_inputs_need_no_trace(optimizer: Callable[[float], Any]) -> None:
    def trained(run: LoneRun) -> list[Any]:
        found = [run.train(ARRAYS, ORDER, step, [0])[0] for step in (0, 3)]
        return [*found, *(weight.tolist() for weight in run.run.model.get_weights())]

    known: ProgramCache[Any] = ProgramCache()
    first, second = (lone(layers.Dense(4), known=known, optimizer=optimizer(number)) for number in (0.3, 0.6))
    assert second._traces is first._traces
    one, two = trained(first), trained(second)
    assert two == trained(lone(layers.Dense(4), optimizer=optimizer(0.6))) != one


@pytest.mark.parametrize(
    "make",
    [
        lambda: lone(layers.Dense(5), known=KNOWN),
        lambda: lone(layers.Dense(4, "tanh"), known=KNOWN),
        lambda: lone(layers.Dense(4), known=KNOWN, optimizer=keras.optimizers.SGD(0.01, momentum=0.9)),
        lambda: lone(layers.Dense(4), known=KNOWN, optimizer="adam"),
        lambda: lone(layers.Dense(4), known=KNOWN, loss_weights=[2.0]),
        lambda: lone(layers.Dense(4), known=KNOWN, optimizer=keras.optimizers.SGD(clipnorm=1.0)),
        lambda: lone(layers.Dense(4), known=KNOWN, optimizer=keras.optimizers.SGD(weight_decay=0.01)),
        lambda: lone(layers.Dense(4), known=KNOWN, optimizer=keras.optimizers.SGD(schedules.CosineDecay(0.1, 9))),
    ],
)
def test_another_model_is_traced(make: Callable[[], LoneRun]) -> None:
    KNOWN.clear()
    first = lone(layers.Dense(4), known=KNOWN)
    assert lone(layers.Dense(4), known=KNOWN)._traces is first._traces
    assert make()._traces is not first._traces


KNOWN: ProgramCache[Any] = ProgramCache()


class Drawn(layers.Layer):  # type: ignore[misc]
    """Code of one's own, which may draw where it is traced."""

    def call(self, inputs: Any) -> Any:
        return inputs * float(np.random.default_rng().normal())


def test_code_of_ones_own_is_traced_for_each_run() -> None:
    known: ProgramCache[Any] = ProgramCache()
    first, second = (lone(Drawn(), known=known) for _ in range(2))
    assert first._traces is not second._traces
    assert len(known) == 0


def test_what_xla_cannot_compile_is_computed_without_it(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")

    class Doubled(layers.Layer):  # type: ignore[misc]
        def call(self, x: Any) -> Any:
            return tf.ensure_shape(tf.numpy_function(lambda y: y * np.float32(2), [x], tf.float32), x.shape)

    run = lone(Doubled())
    before = run._traces
    for step in (0, 3):
        assert np.isfinite(run.train(ARRAYS, ORDER, step, [0])[0]["loss"])
    [message] = [message for message in caplog.messages if "XLA" in message]
    assert message.startswith("Trained without XLA, which cannot compile the model: ")
    assert (before.train.compiled, run._traces.train.compiled) == (True, False)
    assert run._traces.test is before.test


def test_training_is_that_of_keras_own_steps() -> None:
    start = keras.initializers.GlorotUniform(seed=1)
    run, other = (lone(layers.Dense(4, "relu", kernel_initializer=start.clone())) for _ in range(2))
    plain = other.run.model
    for epoch in range(2):
        run.train(ARRAYS, ORDER, 3 * epoch, [0])
        for at in (0, 8, 16):
            plain.train_on_batch(IMAGES[at : at + 8], LABELS[at : at + 8])
    for one, two in zip(run.run.model.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-5, atol=1e-7)
    loss, accuracy = plain.evaluate(IMAGES[:8], LABELS[:8], verbose=0)
    assert run.validate(ARRAYS, [0]) == [pytest.approx({"loss": loss, "accuracy": accuracy}, rel=1e-5)]
    assert int(run.run.model.optimizer.iterations) == 6


def _set_learning_rate(model: keras.Model) -> None:
    model.optimizer.learning_rate = 0.5


def _set_momentum(model: keras.Model) -> None:
    model.optimizer.momentum = 0.1


def _set_dropout(model: keras.Model) -> None:
    model.layers[0].rate = 0.9


def _set_weights(model: keras.Model) -> None:
    model.set_weights([weight * 0 for weight in model.get_weights()])


@pytest.mark.parametrize("change", [_set_learning_rate, _set_dropout, _set_weights])
def test_what_a_callback_changes_between_epochs_has_effect(change: Callable[[keras.Model], None]) -> None:
    plain, changed = _two_losses(), _two_losses(change)
    assert changed[0] == plain[0]
    assert changed[1] != plain[1]


def test_numbers_of_an_optimizer_count_as_they_were_at_first_as_in_fit() -> None:
    assert _two_losses(_set_momentum) == _two_losses()


def _two_losses(*changes: Callable[[keras.Model], None]) -> list[float]:
    """Of two epochs, with changes between them."""
    run = lone(layers.Dropout(0.3), optimizer=keras.optimizers.SGD(0.05, momentum=0.9))
    found = [run.train(ARRAYS, ORDER, 0, [0])[0]["loss"]]
    for each in changes:
        each(run.run.model)
    return [*found, run.train(ARRAYS, ORDER, 3, [0])[0]["loss"]]


def test_a_dropout_rate_that_a_callback_sets_is_trained_with(make_spec: MakeSpec) -> None:
    """In the first epoch, so that the run equals one that has had the rate from the start."""
    words = ("trainer=compiled", "epochs=2")
    callback = "+callbacks.rate={_target_: rate_setting.SetRate, rate: 0.7}"
    set_, given = make_spec(*words, "model.dropout=0.3", callback, folder="set"), make_spec(*words, "model.dropout=0.7")
    train([set_])
    train([given])
    assert [row["loss"] for row in RunDir(set_.folder).read_history()] == [
        row["loss"] for row in RunDir(given.folder).read_history()
    ]
