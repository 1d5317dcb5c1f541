"""Packs of JAX: each run is trained with its own numbers and state, and a grid over numbers compiles once."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import keras
import numpy as np
import pytest
from keras import layers
from tested_engine import ENGINE

from fashion_sweep.training.engines import JAX, engine_named, keras_internals
from fashion_sweep.training.engines.base import Arrays, Run

pytestmark = pytest.mark.skipif(ENGINE != JAX, reason="test_jax_engine runs these in a process that has JAX")

chance = np.random.default_rng(0)
IMAGES, LABELS = chance.normal(size=(20, 6)).astype("float32"), chance.integers(3, size=20).astype("int32")
ORDERS = np.stack([np.random.default_rng(seed).permutation(20) for seed in range(3)])

Layers = Callable[[], Sequence[Any]]


@pytest.fixture
def engine() -> Any:
    found = engine_named(JAX)
    found.forget()
    return found


def arrays() -> Arrays:
    return Arrays(*map(keras.ops.convert_to_tensor, (IMAGES, LABELS, IMAGES[:10], LABELS[:10], 1.0)))


def member(engine: Any, seed: int, middle: Layers, optimizer: Callable[[], Any], pack: int = 1) -> Any:
    keras.utils.clear_session()
    keras_internals.set_random_seed(seed)
    model = keras.Sequential([keras.Input((6,)), *middle(), layers.Dense(3, "softmax")])
    model.compile(optimizer(), "sparse_categorical_crossentropy", metrics=["accuracy"])
    keras_internals.build(model, IMAGES[:8], LABELS[:8])
    return engine.member(Run(model, seed, 8), arrays(), pack)


def trained(
    engine: Any, members: Sequence[Any], rows: Sequence[int], change: Callable[[keras.Model], object] = id
) -> list[list[Any]]:
    """Logs of two epochs, between which the first model is changed, and final weights of each run. rows: in ORDERS."""
    data, live = arrays(), list(range(len(members)))
    program = engine.program(members, data)
    found: list[list[Any]] = [[] for _ in members]
    for epoch in range(2):
        logs = program.train(data, ORDERS[list(rows)], 3 * epoch, live), program.validate(data, live)
        change(members[0].run.model)
        for row, each in enumerate(found):
            each += [logs[0][row], logs[1][row]]
    for each, one in zip(found, members, strict=True):
        each += [np.asarray(weight) for weight in one.run.model.get_weights()]
    return found


def assert_close(one: Sequence[Any], other: Sequence[Any]) -> None:
    for a, b in zip(one, other, strict=True):
        if isinstance(a, dict):
            assert a == pytest.approx(b, rel=1e-5)
        else:
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def dense(rate: float) -> Layers:
    return lambda: [layers.Dense(5, "relu"), layers.Dropout(rate), layers.BatchNormalization()]


def adam(rate: float, beta: float) -> Callable[[], Any]:
    return lambda: keras.optimizers.Adam(rate, beta_1=beta, epsilon=rate / 1e4, weight_decay=beta / 10)


def noisy() -> Sequence[Any]:
    return [layers.Dense(5, "relu"), layers.GaussianNoise(0.5), layers.Dense(5, kernel_regularizer="l2")]


GRID = [(0.1, 0.3), (0.2, 0.6), (0.05, 0.9)]


@pytest.mark.parametrize("has_noise", [False, True])
def test_a_run_of_a_pack_is_what_it_is_alone(engine: Any, has_noise: bool) -> None:
    def one(number: int, pack: int) -> Any:
        rate, beta = GRID[number]
        return member(engine, number, noisy if has_noise else dense(beta), adam(rate, beta), pack)

    pack = trained(engine, [one(number, 3) for number in range(3)], range(3))
    for number in range(3):
        [alone] = trained(engine, [one(number, 1)], [number])
        assert_close(pack[number], alone)
    assert pack[0][0] != pack[1][0] != pack[2][0]


def test_training_is_that_of_keras_own_steps(engine: Any) -> None:
    def one() -> Any:
        return member(engine, 0, lambda: [layers.Dense(5, "relu")], lambda: keras.optimizers.SGD(0.1, momentum=0.5))

    ours, plain = one(), one().run.model
    [found] = trained(engine, [ours], [0])
    logs = []
    for _ in range(2):
        for at in (0, 8, 16):
            batch = ORDERS[0][at : at + 8]
            plain.train_on_batch(IMAGES[batch], LABELS[batch])
        logs.append(plain.evaluate(IMAGES[:10], LABELS[:10], verbose=0, return_dict=True))
    assert_close([found[1], found[3], *found[4:]], [*logs, *plain.get_weights()])
    assert int(ours.run.model.optimizer.iterations) == 6


def test_numbers_of_runs_are_inputs_of_one_program(engine: Any) -> None:
    def loss(momentum: float) -> Any:
        optimizer = partial(keras.optimizers.SGD, 0.1, momentum=momentum)
        return trained(engine, [member(engine, 0, list, optimizer)], [0])[0][2]["loss"]

    losses = [loss(momentum) for momentum in (0.9, 0.9, 0.5, 0.3, 0.1)]
    assert len(engine.functions) == 1
    assert losses[0] == losses[1]
    assert len(set(losses)) == 4
    engine.forget()
    assert loss(0.1) == losses[-1]  # to the last digit: what was trained before does not count


def test_learning_rates_and_dropout_rates_are_inputs_from_the_start(engine: Any) -> None:
    for rate, dropout in ((0.1, 0.2), (0.2, 0.7)):
        trained(engine, [member(engine, 0, dense(dropout), partial(keras.optimizers.SGD, rate))], [0])
    assert len(engine.functions) == 1


@pytest.mark.parametrize(
    "other",
    [
        lambda: [layers.Dense(5, "tanh")],
        lambda: [layers.Dense(4, "relu")],
        lambda: [layers.Dense(5, "relu", use_bias=False)],
        lambda: [layers.Dense(5, "relu", kernel_constraint="non_neg")],
        lambda: [layers.Dense(5, "relu"), layers.Dropout(0.5)],
        lambda: [layers.Dense(5, "relu", trainable=False)],
    ],
)
def test_other_models_have_other_keys(engine: Any, other: Layers) -> None:
    plain = member(engine, 0, lambda: [layers.Dense(5, "relu")], lambda: "sgd")
    assert plain.key == member(engine, 1, lambda: [layers.Dense(5, "relu")], lambda: "sgd").key
    assert plain.key != member(engine, 0, other, lambda: "sgd").key


def _rate(model: keras.Model) -> None:
    model.optimizer.learning_rate = 0.5


def _dropout(model: keras.Model) -> None:
    model.layers[1].rate = 0.9


def _weights(model: keras.Model) -> None:
    model.set_weights([weight * 0 for weight in model.get_weights()])


@pytest.mark.parametrize("change", [_rate, _dropout, _weights])
def test_what_a_callback_changes_in_one_model_changes_that_run_alone(
    engine: Any, change: Callable[[keras.Model], object]
) -> None:
    def pack(*changes: Any) -> list[list[Any]]:
        members = [member(engine, seed, dense(0.3), adam(0.1, 0.5), 2) for seed in range(2)]
        return trained(engine, members, range(2), *changes)

    plain, changed = pack(), pack(change)
    assert changed[0][:2] == plain[0][:2]
    assert changed[0][2] != plain[0][2]
    for one, other in zip(plain[1], changed[1], strict=True):
        assert one == other if isinstance(one, dict) else (one == other).all()


def test_settings_that_a_run_changes_are_set_as_before(engine: Any) -> None:
    import jax

    before = [(read(), restore) for read, restore in engine.settings()]
    config: Any = jax.config
    old = config.jax_debug_nans
    config.update("jax_debug_nans", not old)
    for value, restore in before:
        restore(value)
    assert config.jax_debug_nans is old


def test_a_pack_takes_a_program_that_is_compiled_for_a_few_more_runs_and_leaves_it_for_a_smaller_one(
    engine: Any,
) -> None:
    def some(numbers: Sequence[int]) -> list[Any]:
        return [member(engine, number, dense(0.3), adam(*GRID[number % 3]), len(numbers)) for number in numbers]

    trained(engine, some([0, 1, 2, 0]), [0, 1, 2, 0])
    three = some([0, 1, 2])
    assert engine.program(three, arrays()).size == 4
    assert engine.smaller(three, 4) is None
    pack = trained(engine, three, range(3))
    [alone] = trained(engine, some([2]), [2])
    assert_close(pack[2], alone)
    assert engine.smaller(some([1]), 4).size == 1


def weights(one: Any) -> list[Any]:
    return [np.asarray(weight) for weight in one.run.model.get_weights()]


def test_a_model_whose_run_has_ended_keeps_its_weights_while_the_others_go_on(engine: Any) -> None:
    pack, data = [member(engine, seed, dense(0.3), adam(0.1, 0.5), 2) for seed in range(2)], arrays()
    program, before = engine.program(pack, data), weights(pack[0])
    program.train(data, ORDERS[:2], 0, [0, 1])
    after = [weights(one) for one in pack]
    program.train(data, ORDERS[:2], 3, [1])
    assert any((one != other).any() for one, other in zip(before, after[0], strict=True))
    assert all((one == other).all() for one, other in zip(weights(pack[0]), after[0], strict=True))
    assert any((one != other).any() for one, other in zip(weights(pack[1]), after[1], strict=True))


def test_a_copy_of_a_variable_has_a_value_of_its_own(engine: Any) -> None:
    pack, data = [member(engine, seed, dense(0.3), adam(0.1, 0.5), 2) for seed in range(2)], arrays()
    program, variable = engine.program(pack, data), pack[0].run.model.weights[0]
    kept = copy.deepcopy(variable)
    program.train(data, ORDERS[:2], 0, [0, 1])
    assert type(kept).__name__ == type(variable).__name__
    assert (np.asarray(kept) != np.asarray(variable)).any()
    kept.assign(kept + 1)
    assert (np.asarray(kept) != np.asarray(variable) + 1).any()


def test_a_pack_that_needs_more_memory_than_is_free_is_refused_before_it_trains(
    engine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fashion_sweep.training.engines.jax import pack as packs

    def some(count: int) -> list[Any]:
        return [member(engine, number, dense(0.3), adam(*GRID[number]), count) for number in range(count)]

    monkeypatch.setattr(packs, "free_bytes", lambda: 100)
    with pytest.raises(MemoryError, match=r"a pack of 3 needs .* bytes, and 100 are free"):
        engine.program(some(3), arrays())
    assert engine.program(some(1), arrays()).size == 1
    monkeypatch.setattr(packs, "free_bytes", lambda: 2**30)
    engine.forget()
    assert engine.program(some(3), arrays()).size == 3
