"""Which runs share a compiled program, and which have one of their own."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fixture_types import MakeSpec

from fashion_sweep.config.run_spec import RunSpec
from fashion_sweep.storage.record import Status
from fashion_sweep.storage.run_dir import RunDir
from fashion_sweep.training.engines import TENSORFLOW, engine_named
from fashion_sweep.training.engines.program_cache import PROGRAMS_KEPT
from fashion_sweep.training.train import train

OwnNets = Callable[[str, str, float], tuple[str, str]]

TINY = ("trainer=compiled", "model.hidden_units=[20]", "epochs=1", "save=none", "callbacks=none")


@pytest.fixture
def engine() -> Any:
    """The engine of this process, which has more than other engines have to, without programs of other tests."""
    found = engine_named(TENSORFLOW)
    found.forget()
    return found


def first_loss(spec: RunSpec) -> float:
    return RunDir(spec.folder).read_history()[0]["loss"]


def test_a_grid_over_inputs_compiles_once(make_spec: MakeSpec, engine: Any) -> None:
    grid = [(0.1, 0.1, 0.9, 1e-7), (0.01, 0.2, 0.9, 1e-3), (0.01, 0.9, 0.5, 1e-3)]
    names = ("optimizer.learning_rate", "model.dropout", "optimizer.beta_1", "optimizer.epsilon")
    specs = [
        make_spec(*TINY, *(f"{name}={value}" for name, value in zip(names, values, strict=True)), folder=str(number))
        for number, values in enumerate(grid)
    ]
    for spec in specs:
        train([spec])
    assert len(engine.graphs) == 2  # for training and for validation
    losses = [first_loss(spec) for spec in specs]
    assert len(set(losses)) == 3
    engine.forget()
    anew = make_spec(*specs[2].overrides[5:], folder="anew")
    train([anew])
    assert first_loss(anew) == losses[2]


def test_packs_of_a_grid_compile_once_too(make_spec: MakeSpec, engine: Any) -> None:
    def pack(name: str, number: int, *rates: float) -> list[RunSpec]:
        words = [*TINY, f"model.dropout=0.{number}", f"optimizer.beta_1=0.{number}"]
        return [make_spec(*words, f"optimizer.learning_rate={rate}", folder=f"{name}{rate}") for rate in rates]

    first, second = pack("first", 1, 0.1, 0.2), pack("second", 2, 0.3, 0.1)
    assert [record.pack for specs in (first, second) for record in train(specs)] == [2] * 4
    assert len(engine.packs) == 1
    assert len({first_loss(spec) for spec in (*first, *second)}) == 4
    engine.forget()
    anew = pack("anew", 2, 0.3, 0.1)
    train(anew)
    assert [first_loss(spec) for spec in anew] == [first_loss(spec) for spec in second]


def test_with_and_without_dropout_or_momentum_are_two_programs(make_spec: MakeSpec, engine: Any) -> None:
    for number, rate in enumerate((0.3, 0)):
        train([make_spec(*TINY, f"model.dropout={rate}", folder=f"dropout{number}")])
    assert len(engine.graphs) == 2 + 1  # in validation nothing is dropped
    for number, momentum in enumerate((0, 0.5, 0.9)):
        train([make_spec(*TINY, "optimizer=sgd", f"optimizer.momentum={momentum}", folder=f"sgd{number}")])
    assert len(engine.graphs) == 4 + 1


@pytest.mark.slow
def test_tensorflow_does_not_take_many_programs_for_one_that_is_traced_again_and_again(
    make_spec: MakeSpec, engine: Any, caplog: pytest.LogCaptureFixture
) -> None:
    for depth in range(1, 8):
        train([make_spec(*TINY, f"model.hidden_units={[5] * depth}", folder=str(depth))])
    assert len(engine.graphs) == PROGRAMS_KEPT
    assert "retracing" not in caplog.text


def test_one_validation_serves_all_optimizers_of_a_model(make_spec: MakeSpec, engine: Any) -> None:
    for name in ("sgd", "adam"):
        train([make_spec(*TINY, f"optimizer={name}", folder=name)])
    assert len(engine.graphs) == 2 + 1


def test_a_schedule_and_a_constant_rate_never_share_a_program(make_spec: MakeSpec, engine: Any) -> None:
    """Keras keeps the learning rate in a variable in one case and not in the other."""
    names = ("constant", "cosine")
    one_by_one = [make_spec(*TINY, f"schedule={name}", folder=name) for name in names]
    together = [make_spec(*TINY, f"schedule={name}", folder=f"pack_{name}") for name in names]
    assert {record.status for spec in one_by_one for record in train([spec])} == {Status.COMPLETED}
    assert [(record.status, record.pack) for record in train(together)] == [(Status.COMPLETED, 1)] * 2
    assert [first_loss(spec) for spec in one_by_one] == [first_loss(spec) for spec in together]
    assert len(engine.graphs) == 2 + 1


OWN = """
import keras
from keras import layers

@keras.saving.register_keras_serializable("own_layers")
class Leak(layers.Layer):
    def __init__(self, rate, **arguments):
        super().__init__(**arguments)
        self.rate = rate
    def call(self, x):
        return keras.ops.where(x > 0, x, self.rate * x)
    def get_config(self):
        return {**super().get_config(), "rate": self.rate}

class Block(layers.Layer):
    def __init__(self, rate, **arguments):
        super().__init__(**arguments)
        self.rate, self.dense, self.drop = rate, layers.Dense(16, "relu"), layers.Dropout(rate)
    def get_config(self):
        return {**super().get_config(), "rate": self.rate}
    def build(self, shape):
        self.dense.build(shape)
    def call(self, x, training=False):
        return self.drop(self.dense(x), training=training)
    def compute_output_shape(self, shape):
        return (*shape[:-1], 16)

def net(input_shape, num_classes, *between):
    return keras.Sequential([keras.Input(input_shape), layers.Flatten(), layers.Dense(16), *between,
                             layers.Dense(num_classes, "softmax")])

def leak(input_shape, num_classes, p):
    return net(input_shape, num_classes, Leak(p))

def block(input_shape, num_classes, p):
    return net(input_shape, num_classes, Block(p))

def nested(input_shape, num_classes, p):
    inner = keras.Sequential([keras.Input((16,)), layers.Dropout(p), layers.Dense(16)], name="inner")
    return net(input_shape, num_classes, layers.Dropout(0.5), inner)

def rescaled(input_shape, num_classes, dropout):
    return net(input_shape, num_classes, layers.Rescaling(1 - dropout))
"""


@pytest.fixture
def own_nets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[OwnNets]:
    (tmp_path / "kept_nets.py").write_text(OWN)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield lambda name, key, value: ("~model", f"+model={{_target_: kept_nets.{name}, {key}: {value}}}")
    sys.modules.pop("kept_nets", None)


@pytest.mark.parametrize("name", ["leak", "block", "nested"])
def test_a_run_does_not_train_with_values_of_the_run_before_it(
    make_spec: MakeSpec, own_nets: OwnNets, engine: Any, name: str
) -> None:
    def spec(value: float, folder: str) -> RunSpec:
        return make_spec(*TINY[:1], *TINY[2:], *own_nets(name, "p", value), folder=folder)

    first, second = spec(0.1, "first"), spec(0.9, "second")
    for each in (first, second):
        train([each])
    engine.forget()
    alone = spec(0.9, "alone")
    train([alone])
    assert first_loss(second) == first_loss(alone) != first_loss(first)


def test_a_key_named_dropout_of_a_model_of_ones_own_is_no_dropout_rate(
    make_spec: MakeSpec, own_nets: OwnNets, engine: Any
) -> None:
    specs = [
        make_spec(*TINY[:1], *TINY[2:], *own_nets("rescaled", "dropout", value), folder=str(value))
        for value in (0.1, 0.9)
    ]
    assert len({engine.pack_key(spec.config) for spec in specs}) == 2
    losses = [(train([spec]), first_loss(spec))[1] for spec in specs]
    assert losses[0] != losses[1]


def test_every_member_of_a_pack_is_compared_not_the_first_alone(
    make_spec: MakeSpec,
    own_nets: OwnNets,
    engine: Any,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Whatever the plan takes for one architecture: what one program cannot train is not trained by one."""
    caplog.set_level("INFO")
    monkeypatch.setattr(type(engine), "pack_key", lambda _self, _config: "all")
    values = (0.1, 0.9, 0.1)

    def specs(prefix: str) -> list[RunSpec]:
        return [
            make_spec(*TINY[:1], *TINY[2:], *own_nets("rescaled", "dropout", value), folder=f"{prefix}{number}")
            for number, value in enumerate(values)
        ]

    pack, alone = specs("pack"), specs("alone")
    assert [record.pack for record in train(pack)] == [2, 1, 2]
    assert "3 runs are trained in 2 parts" in caplog.text
    for spec in alone:
        train([spec])
    assert first_loss(pack[1]) == first_loss(alone[1])
    losses = list(map(first_loss, alone))
    assert list(map(first_loss, pack)) == pytest.approx(losses, rel=1e-6)
    assert losses[0] == losses[2] != losses[1]
