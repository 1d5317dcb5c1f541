"""The compiled trainer against a plain Keras loop over the same batches, from the same weights, with the same masks."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import keras
import numpy as np
import pytest
from fixture_types import MakeSpec
from optional import present
from plain_keras import assert_close, plain_keras
from tested_engine import ENGINE

from fashion_sweep.config.run_spec import RunSpec
from fashion_sweep.data import loading
from fashion_sweep.data import split as data_split
from fashion_sweep.storage.record import METRICS, Status
from fashion_sweep.storage.run_dir import RunDir
from fashion_sweep.training import keras_fit, model_setup
from fashion_sweep.training.engines import JAX, engine_named
from fashion_sweep.training.job import Job
from fashion_sweep.training.train import train

Nets = Callable[[str], tuple[str, str]]

EPOCHS = 3
BATCH = ("trainer=compiled", f"epochs={EPOCHS}", "batch_size=48")  # of 256 images: five whole batches and one of 16

TOLERANCE = {"rmsprop": 2e-4, "default": 2e-5}
"""Largest relative difference of an epoch's losses. RMSprop divides by the root of what is nearly zero at first."""


VARIED: dict[str, dict[str, tuple[float, ...]]] = {
    "sgd": {"weight_decay": (0.3, 0.1, 0.2, 0.01, 0.5)},
    "momentum": {"momentum": (0.5, 0.1, 0.9, 0.3, 0.7), "weight_decay": (0.3, 0.1, 0.2, 0.01, 0.5)},
    "nesterov": {"momentum": (0.5, 0.1, 0.9, 0.3, 0.7)},
    "rmsprop": {"rho": (0.5, 0.99, 0.9, 0.8, 0.95), "epsilon": (1e-7, 1e-3, 1e-5, 1e-6, 1e-4)},
    "adagrad": {"epsilon": (1e-7, 1e-3, 1e-2, 1e-6, 1e-4)},
    "adam": {"beta_1": (0.5, 0.8, 0.9, 0.95, 0.1), "beta_2": (0.9, 0.99, 0.999, 0.95, 0.5),
             "epsilon": (1e-7, 1e-3, 1e-8, 1e-6, 0.1)},
    "adamw": {"weight_decay": (0.3, 0.1, 0.004, 0.01, 0.5), "beta_2": (0.9, 0.99, 0.999, 0.95, 0.5)},
    "nadam": {"beta_2": (0.9, 0.99, 0.999, 0.95, 0.5), "epsilon": (1e-7, 1e-3, 1e-8, 1e-6, 0.1)},
}  # fmt: skip
"""What the five runs of a pack have: the inputs of its program besides learning rate, dropout rate and seed."""

CASES = [
    *[(f"optimizer={name}", "model.hidden_units=[20]", "model.dropout=0.3") for name in (
        "sgd", "momentum", "nesterov", "rmsprop", "adagrad", "adam", "adamw", "nadam")],
    ("model=softmax",), ("model=sigmoid", "model.hidden_units=[20]"),
    ("model=cnn", "model.filters=[4,5]", "model.dense_units=10"),
    ("optimizer=adamw", "optimizer.use_ema=true", "optimizer.ema_overwrite_frequency=4", "schedule=cosine"),
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=" ".join)
def test_alone_and_in_a_pack_a_run_is_what_plain_keras_makes_of_it(make_spec: MakeSpec, case: tuple[str, ...]) -> None:
    tolerance = TOLERANCE["rmsprop" if "rmsprop" in case[0] else "default"]
    has_dropout = any(word.startswith(("model.dropout", "model=cnn")) for word in case)
    varied = VARIED[case[0].partition("=")[2]] if case[0].startswith("optimizer=") else {}

    def spec(folder: str, seed: int, rate: float, dropout: float, place: int = 2) -> RunSpec:
        words = [*BATCH, *case, f"seed={seed}", f"optimizer.learning_rate={rate}"]
        words += [f"optimizer.{name}={values[place]}" for name, values in varied.items()]
        return make_spec(*words, *([f"model.dropout={dropout}"] if has_dropout else []), folder=folder)

    alone = spec("alone", 3, 0.004, 0.3)
    pack = [
        spec("a", 1, 0.01, 0.5, 0), spec("b", 2, 0.001, 0.1, 1), spec("c", 3, 0.004, 0.3, 2),
        spec("d", 3, 0.02, 0.3, 3), spec("e", 4, 0.004, 0.9, 4),
    ]  # fmt: skip
    assert [record.status for record in [*train([alone]), *train(pack)]] == [Status.COMPLETED] * 6
    assert [present(RunDir(s.folder).read_record()).pack for s in (alone, *pack)] == [1, 5, 5, 5, 5, 5]
    expected = plain_keras(spec("reference", 3, 0.004, 0.3))
    assert_close(alone, expected, tolerance)
    assert_close(pack[2], expected, tolerance)
    assert_close(pack[4], plain_keras(spec("reference4", 4, 0.004, 0.9, 4)), tolerance)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_without_dropout_model_fit_gives_the_same_numbers(make_spec: MakeSpec, optimizer: str) -> None:
    words = ("trainer=compiled", "epochs=4", "batch_size=48", f"optimizer={optimizer}", "seed=7")
    ours, keras_own = (make_spec(*words, folder=name) for name in ("ours", "fit"))
    train([ours])
    keras_fit.train([Job(keras_own)], steps_per_execution=1, jit_compile="auto")
    model = keras.models.load_model(RunDir(keras_own.folder).last_model)
    history = [{key: row[key] for key in METRICS} for row in RunDir(keras_own.folder).read_history()]
    assert_close(ours, (history, model.get_weights()), TOLERANCE["default"])
    batches = [model_setup.order(Job(ours), epoch).tolist() for epoch in range(3)]
    assert batches[0] != batches[1] != batches[2]
    assert [sorted(batch) for batch in batches] == [list(range(256))] * 3


NETS = """
import keras

def layers(input_shape, num_classes):
    inputs = x = keras.Input(input_shape)
    x = keras.layers.Reshape((*input_shape, 1))(x)
    x = keras.layers.Conv2D(4, 3, strides=2, use_bias=False)(x)
    x = keras.layers.BatchNormalization(momentum=0.8)(x)
    x = keras.layers.Activation("relu")(x)
    y = keras.layers.Flatten()(x)
    x = keras.layers.LayerNormalization()(y)
    x = keras.layers.BatchNormalization(center=False, scale=False)(x)
    x = keras.layers.Add()([x, keras.layers.Dense(36, "tanh")(y)])
    return keras.Model(inputs, keras.layers.Dense(num_classes, "softmax")(x))

def table(input_shape, num_classes):
    inputs = keras.Input(input_shape)
    x = keras.layers.Rescaling(255)(inputs)
    x = keras.layers.Embedding(256, 3)(keras.layers.Flatten()(x))
    x = keras.layers.Flatten()(x)
    return keras.Model(inputs, keras.layers.Dense(num_classes, "softmax")(x))

def masked(input_shape, num_classes):
    inputs = keras.Input(input_shape)
    x = keras.layers.Rescaling(255)(inputs)
    x = keras.layers.Embedding(256, 3, mask_zero=True)(keras.layers.Flatten()(x))
    x = keras.layers.GlobalAveragePooling1D()(x)
    return keras.Model(inputs, keras.layers.Dense(num_classes, "softmax")(x))

def recurrent(input_shape, num_classes):
    return keras.Sequential([keras.Input(input_shape), keras.layers.GRU(5), keras.layers.Dense(num_classes, "softmax")])

def noisy(input_shape, num_classes, rate):
    dropout, dense = keras.layers.SpatialDropout1D(rate), keras.layers.Dense(num_classes, "softmax")
    return keras.Sequential([keras.Input(input_shape), dropout, keras.layers.Flatten(), dense])

def regularized(input_shape, num_classes):
    dense = keras.layers.Dense(num_classes, "softmax", kernel_regularizer=keras.regularizers.L2(0.1))
    return keras.Sequential([keras.Input(input_shape), keras.layers.Flatten(), dense])

@keras.saving.register_keras_serializable()
class Own(keras.Model):
    def __init__(self, num_classes, **arguments):
        super().__init__(**arguments)
        self.num_classes = num_classes
        self.dense = keras.layers.Dense(num_classes, "softmax")
        self.flat = keras.layers.Flatten()

    def get_config(self):
        return {**super().get_config(), "num_classes": self.num_classes}

    def call(self, x, training=False):
        return self.dense(self.flat(x))

def own(num_classes):
    return Own(num_classes)
"""


@pytest.fixture
def nets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Nets]:
    (tmp_path / "own_nets.py").write_text(NETS)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield lambda name: ("~model", f"+model={{_target_: own_nets.{name}}}")
    sys.modules.pop("own_nets", None)


@pytest.mark.slow
def test_every_layer_with_a_stacking_rule_is_what_keras_makes_of_it(make_spec: MakeSpec, nets: Nets) -> None:
    specs = [make_spec(*BATCH, *nets("layers"), f"seed={seed}", folder=str(seed)) for seed in (5, 6)]
    assert [record.pack for record in train(specs)] == [2, 2]
    assert_close(specs[1], plain_keras(make_spec(*BATCH, *nets("layers"), "seed=6", folder="reference")), 1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "rmsprop", "adam", "adamw"])
def test_tables_are_what_keras_makes_of_them(make_spec: MakeSpec, nets: Nets, optimizer: str) -> None:
    """Their gradients are sparse, which optimizers treat in another way: so all that can be an input is one."""
    words = (*BATCH, *nets("table"), f"optimizer={optimizer}")
    varied = VARIED[optimizer]

    def spec(folder: str, place: int) -> RunSpec:
        given = [f"optimizer.{name}={values[place]}" for name, values in varied.items()]
        return make_spec(*words, *given, f"seed={place}", f"optimizer.learning_rate=0.0{place + 1}", folder=folder)

    pack = [spec(str(place), place) for place in range(3)]
    assert [record.pack for record in train(pack)] == ([3, 3, 3] if ENGINE == JAX else [1, 1, 1])
    tolerance = TOLERANCE["rmsprop" if optimizer == "rmsprop" else "default"]
    for place in (0, 2):
        assert_close(pack[place], plain_keras(spec(f"reference{place}", place)), tolerance)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("masked", "layer Embedding embedding is not known to treat each image by itself"),
        ("recurrent", "layer GRU gru is not known to treat each image by itself"),
        ("regularized", "layer Dense dense has kernel_regularizer="),
        ("own", "the model is a subclass of its own"),
    ],
)
def test_what_cannot_be_stacked_is_trained_alone_on_tensorflow_and_the_log_says_why(
    make_spec: MakeSpec, nets: Nets, caplog: pytest.LogCaptureFixture, name: str, why: str
) -> None:
    caplog.set_level("INFO")
    specs = [make_spec(*BATCH, *nets(name), f"seed={seed}", folder=str(seed)) for seed in (5, 6)]
    records = train(specs)
    pack = 2 if ENGINE == JAX else 1
    assert [(record.status, record.pack) for record in records] == [(Status.COMPLETED, pack)] * 2
    told = [message for message in caplog.messages if "not packed" in message]
    assert len(told) == (0 if ENGINE == JAX else 2)
    for message, seed in zip(told, (5, 6), strict=False):
        assert message.startswith(f"{seed} is trained alone, not packed: {why}")
    assert_close(specs[1], plain_keras(make_spec(*BATCH, *nets(name), "seed=6", folder="reference")), 2e-5)


def rows(spec: RunSpec) -> list[str]:
    return [line.rpartition(",")[0] for line in RunDir(spec.folder).history.read_text().splitlines()]


def test_a_run_that_stops_early_leaves_the_others_as_they_were(make_spec: MakeSpec) -> None:
    words = ("trainer=compiled", "model.hidden_units=[20]", "model.dropout=0.2", "epochs=12", "optimizer=nesterov")
    stopping = ("callbacks=checkpoint_early_stopping", "callbacks.early_stopping.patience=1")

    def pack(prefix: str) -> list[RunSpec]:
        early = stopping if prefix == "early" else ()
        return [
            make_spec(*words, "seed=1", "optimizer.learning_rate=0.01", folder=f"{prefix}0"),
            make_spec(*words, *early, "seed=2", "optimizer.learning_rate=0.6", folder=f"{prefix}1"),
            make_spec(*words, "seed=3", "optimizer.learning_rate=1e20", folder=f"{prefix}2"),
        ]

    early, full = train(pack("early")), train(pack("full"))
    assert [record.pack for record in early + full] == [3] * 6
    assert [record.status for record in early] == [Status.COMPLETED, Status.COMPLETED, Status.DIVERGED]
    assert early[1].epochs_run < 12 == full[1].epochs_run
    assert present(early[1].best)["epoch"] == early[1].epochs_run - 1
    first, second = (make_spec(*words, folder=f"{prefix}0") for prefix in ("early", "full"))
    assert rows(first) == rows(second)  # to the last digit
    assert (
        rows(make_spec(*words, folder="early1")) == rows(make_spec(*words, folder="full1"))[: early[1].epochs_run + 1]
    )
    folder = make_spec(*words, folder="early1").folder
    best, last = (keras.models.load_model(folder / name) for name in ("best.keras", "last.keras"))
    for one, two in zip(best.get_weights(), last.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)
    _, split = loading.load_split(make_spec(*words).config["data"])
    loss, _ = best.evaluate(data_split.scale(split.x_val), split.y_val, verbose=0)
    assert loss == pytest.approx(present(early[1].best)["val_loss"], rel=1e-5)


def test_the_same_seed_gives_the_same_history_in_a_program_old_or_new(make_spec: MakeSpec) -> None:
    words = ("trainer=compiled", "model.hidden_units=[20]", "model.dropout=0.3")
    first, other, again = (
        make_spec(*words, f"seed={seed}", folder=name) for name, seed in zip("abc", (1, 2, 1), strict=True)
    )
    for spec in (first, other, again):
        train([spec])
    engine_named(ENGINE).forget()
    anew = make_spec(*words, "seed=1", folder="d")
    train([anew])
    assert rows(first) == rows(again) == rows(anew) != rows(other)


def test_a_model_with_random_numbers_of_its_own_does_not_inherit_them(make_spec: MakeSpec, nets: Nets) -> None:
    def spec(rate: float, folder: str) -> RunSpec:
        model = f"+model={{_target_: own_nets.noisy, rate: {rate}}}"
        return make_spec("trainer=compiled", "~model", model, folder=folder)

    nets("noisy")
    first, other, again = spec(0.2, "first"), spec(0.8, "other"), spec(0.2, "again")
    for one in (first, other, again):
        train([one])
    assert rows(first) == rows(again) != rows(other)
