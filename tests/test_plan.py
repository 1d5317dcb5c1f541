"""What a command line asks for: grids, folder names, and the text of every error."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from planning import make

from fashion_sweep.errors import UserError
from fashion_sweep.planning import plan
from packed_jobs.local import devices


def error(*overrides: str, **options: Any) -> str:
    with pytest.raises(UserError) as caught:
        make(*overrides, **options)
    return str(caught.value)


def names(planned: plan.Plan) -> list[str]:
    return [spec.name.rpartition("_")[0] for spec in planned.specs]


def test_a_grid_is_in_the_order_of_its_overrides() -> None:
    planned = make("optimizer=sgd,adam", "model.dropout=0,0.3")
    assert names(planned) == [
        "optimizer-sgd_dropout-0.0",
        "optimizer-sgd_dropout-0.3",
        "optimizer-adam_dropout-0.0",
        "optimizer-adam_dropout-0.3",
    ]
    assert [spec.config["optimizer"]["_target_"] for spec in planned.specs[1:3]] == [
        "keras.optimizers.SGD",
        "keras.optimizers.Adam",
    ]
    assert len({spec.identity for spec in planned.specs}) == 4


def test_of_a_repeated_key_the_last_counts() -> None:
    planned = make(
        "optimizer=sgd,adam,rmsprop", "model.dropout=0,0.3", "optimizer=adam", "optimizer.learning_rate=0.01,0.001"
    )
    assert names(planned) == [
        f"dropout-{dropout}_learning_rate-{rate}" for dropout in ("0.0", "0.3") for rate in ("0.01", "0.001")
    ]


def test_a_fixed_value_may_belong_to_the_swept_choices_alone() -> None:
    planned = make("optimizer=momentum,nesterov", "optimizer.momentum=0.8")
    assert [spec.config["optimizer"]["momentum"] for spec in planned.specs] == [0.8, 0.8]
    assert planned.config.hydra.overrides.task == [
        "data=synthetic", "optimizer=momentum,nesterov", "optimizer.momentum=0.8"
    ]  # fmt: skip


def test_an_experiment_brings_its_grid_and_the_command_line_overrides_it() -> None:
    assert names(make("experiment=smoke")) == [
        f"optimizer-{optimizer}_dropout-{dropout}" for optimizer in ("sgd", "adam") for dropout in ("0.0", "0.3")
    ]
    assert names(make("experiment=smoke", "optimizer=nadam", "epochs=1")) == [
        f"dropout-{dropout}" for dropout in ("0.0", "0.3")
    ]


def test_the_same_value_written_in_two_ways_is_one_run() -> None:
    first, second = make("model.dropout=0,0.0").specs
    assert first.folder == second.folder


def test_identity_knows_the_data_and_not_its_place(tmp_path: Path) -> None:
    for name, value in (("a", 1), ("b", 1), ("c", 2)):
        np.savez(tmp_path / f"{name}.npz", images=np.full((10, 4, 4), value, "uint8"), labels=np.arange(10) % 2)
    a, b, c = make("data=npz", f"data.path={tmp_path}/a.npz,{tmp_path}/b.npz,{tmp_path}/c.npz").specs
    assert a.identity == b.identity != c.identity


def test_folders_are_given_or_new_each_time() -> None:
    given_folder = make("hydra.sweep.dir='/tmp/a b'").folder
    assert str(given_folder) == "/tmp/a b"
    first, second = make(), make()
    assert first.folder != second.folder
    assert str(make("seed=1", multirun=False).folder).startswith("outputs/runs/")
    assert str(first.folder).startswith("outputs/sweeps/")


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1))
def test_any_folder_name_reaches_hydra_as_it_is(text: str) -> None:
    from hydra.core.override_parser.overrides_parser import OverridesParser

    from fashion_sweep.planning import hydra_errors

    [override] = OverridesParser.create().parse_overrides([f"hydra.run.dir={hydra_errors.quoted(text)}"])
    assert override.value() == text


@pytest.mark.parametrize(
    ("override", "text"),
    [
        (
            "optimizer=sdg",
            "optimizer=sdg: no such choice; choose one of adagrad, adam, adamw, momentum, nadam, nesterov, "
            "rmsprop, sgd, sgd_high_rate",
        ),
        ("model.droput=0.3", "model.droput=0.3: there is no key model.droput; did you mean model.dropout?"),
        ("learning_rate=1", "learning_rate=1: there is no key learning_rate; did you mean optimizer.learning_rate?"),
        (
            "callbacks.early_stopping.patience=5",
            "callbacks.early_stopping.patience=5: there is no key callbacks.early_stopping; --cfg job shows the keys "
            "that there are, +KEY=VALUE adds one",
        ),
        ("+optimizer.foo=1", "there is no key optimizer.foo"),
        (
            "optimizer.learning_rate=abc",
            "optimizer.learning_rate=abc: Value 'abc' of type 'str' could not be converted to Float",
        ),
        ("epochs=2.5", "epochs=2.5: Value '2.5' of type 'float' could not be converted to Integer"),
        ("save=all", "save=all: Invalid value 'all', expected one of [none, model, weights, both, h5]"),
        (
            "model.hidden_units=5",
            "model.hidden_units=5: Invalid value assigned: int is not a ListConfig, list or tuple.",
        ),
        ("optimizer.learning_rate=0", "optimizer.learning_rate is 0.0, expected a number greater than 0"),
        ("optimizer.learning_rate=-0.1", "optimizer.learning_rate is -0.1, expected a number greater than 0"),
        ("optimizer.learning_rate=nan", "optimizer.learning_rate is nan, expected a number greater than 0"),
        ("model.dropout=1", "model.dropout is 1.0, expected in [0, 1)"),
        ("model.dropout=-0.1", "model.dropout is -0.1, expected in [0, 1)"),
        ("epochs=0", "epochs is 0, expected at least 1"),
        ("batch_size=0", "batch_size is 0, expected at least 1"),
        (
            "model.hidden_units=[]",
            "model.hidden_units is [], expected one or more whole numbers, each at least 1, like [300,100]",
        ),
        (
            "model.hidden_units=[100,0]",
            "model.hidden_units is [100, 0], expected one or more whole numbers, each at least 1, like [300,100]",
        ),
        ("data.validation_fraction=0", "data.validation_fraction is 0.0, expected in (0, 1)"),
        ("data.validation_fraction=1", "data.validation_fraction is 1.0, expected in (0, 1)"),
        ("batch_size=abc", "batch_size=abc: Value 'abc' of type 'str' could not be converted to Integer"),
        (
            "model._target_=fashion_sweep.models.mpl",
            "model._target_=fashion_sweep.models.mpl: there is no 'mpl' in fashion_sweep.models; did you mean "
            "fashion_sweep.models.mlp?",
        ),
        (
            "model.activation=rleu",
            "model.activation=rleu: there is no 'rleu' in keras.activations; did you mean keras.activations.relu?",
        ),
        ("epochs=${nothing}", "epochs=${nothing}: Interpolation key 'nothing' not found"),
        (
            "optimizer=sgd,adam",
            "optimizer=sgd,adam: several values. Add -m to sweep over them, or write KEY=[a,b] for a list.",
        ),
        ("data=npz", "data.path: a value is required; give data.path=VALUE"),
        ("hydra.launcher.lanes=0", f"hydra.launcher.lanes is 0, expected at least 1 and at most {devices.most()}"),
        ("data.limit=1", "data.limit is 1, expected at least 2"),
    ],
)
def test_what_is_wrong_with_one_run_is_one_line(override: str, text: str) -> None:
    assert error(override, multirun=False) == text


def test_an_override_that_cannot_be_read_is_shown() -> None:
    text = error("epochs=[1", multirun=False)
    assert text.startswith("epochs=[1: cannot be read as KEY=VALUE (")
    assert "\n" not in text


def test_everything_wrong_with_a_run_is_told_at_once() -> None:
    assert error("epochs=0", "batch_size=-1", multirun=False) == (
        "epochs is 0, expected at least 1; batch_size is -1, expected at least 1"
    )


def test_a_rule_holds_for_the_trainer_that_has_the_key() -> None:
    text = error("trainer=fit", "trainer.jit_compile=maybe", multirun=False)
    assert text == "trainer.jit_compile is maybe, expected true, false or auto"


def test_too_few_images_for_a_split_are_told() -> None:
    assert error("data.limit=3", "data.validation_fraction=0.9", multirun=False).startswith("3 images are too few")


def test_every_bad_grid_point_is_named() -> None:
    text = error("optimizer=sgd,sdg", "model.dropout=0,1.5")
    assert text.splitlines() == [
        "3 of 4 grid points are wrong, nothing was trained:",
        "  model.dropout is 1.5, expected in [0, 1) (at data=synthetic optimizer=sgd model.dropout=1.5)",
        "  optimizer=sdg: no such choice; choose one of adagrad, adam, adamw, momentum, nadam, nesterov, rmsprop, sgd, "
        "sgd_high_rate (at data=synthetic optimizer=sdg model.dropout=0 and 1 more)",
    ]


def test_what_is_wrong_with_the_whole_grid_is_told_once() -> None:
    assert error("optimizer=sgd,adam", "epochs=0") == "epochs is 0, expected at least 1"
    assert error("optimizer=sgd,adam", "epoch=1") == "epoch=1: there is no key epoch; did you mean epochs?"


def test_a_choice_without_the_swept_key_is_named() -> None:
    text = error("model=softmax,mlp", "model.dropout=0,0.3")
    first, *lines = text.splitlines()
    assert first == "2 of 4 grid points are wrong, nothing was trained:"
    assert all("there is no key model.dropout" in line and "(at data=synthetic model=softmax" in line for line in lines)


def test_a_config_folder_and_name_that_are_not_there() -> None:
    assert error(extra_conf="no/such") == "--config-dir no/such: there is no such folder"
    assert error(name="confg", multirun=False).startswith("there is no config 'confg'")


@pytest.mark.parametrize(
    ("arrays", "text"),
    [
        ({"images": np.zeros((4, 2, 2)), "labels": np.array([0, 1, 0])}, "has shape (3,); expected (4,)"),
        ({"images": np.zeros((4, 2, 2)), "labels": np.array([0, -1, 0, 1])}, "has labels -1..1"),
        ({"pixels": np.zeros((4, 2, 2)), "labels": np.arange(4)}, "has the arrays pixels, labels; expected"),
    ],
)
def test_a_malformed_npz_is_refused_before_anything_is_trained(
    tmp_path: Path, arrays: dict[str, Any], text: str
) -> None:
    path = tmp_path / "mine.npz"
    np.savez(path, **arrays)
    message = error("data=npz", f"data.path={path}", multirun=False)
    assert text in message
    assert str(path) in message
    assert "\n" not in message


def test_choices_of_your_own(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "mine.yaml").write_text(
        "_target_: fashion_sweep.models.mlp\nhidden_units: [7]\nactivation: relu\ndropout: 0\n"
    )
    [point] = make("model=mine", extra_conf=str(tmp_path), multirun=False).specs
    assert point.choices["model"] == "mine"
    assert point.config["model"]["hidden_units"] == [7]


NETS = """
import keras

def linear(input_shape, num_classes, width=3):
    layers = [keras.Input(input_shape), keras.layers.Flatten(), keras.layers.Dense(width)]
    return keras.Sequential([*layers, keras.layers.Dense(num_classes, "softmax")])

def logits(input_shape, num_classes):
    return keras.Sequential([keras.Input(input_shape), keras.layers.Flatten(), keras.layers.Dense(num_classes)])

def ten():
    return keras.Sequential([keras.Input((28, 28)), keras.layers.Flatten(), keras.layers.Dense(5, "softmax")])

def nothing():
    return 3

def broken(input_shape):
    raise RuntimeError("no such layer")
"""


@pytest.mark.slow
def test_a_model_of_your_own_is_built_before_anything_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my_nets.py").write_text(NETS)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), *sys.path]))
    (tmp_path / "model").mkdir()
    for name in ("linear", "logits", "ten", "nothing", "broken"):
        (tmp_path / "model" / f"{name}.yaml").write_text(f"_target_: my_nets.{name}\n")
    [point] = make("model=linear", "+model.width=4", extra_conf=str(tmp_path), multirun=False).specs
    assert point.config["model"] == {"_target_": "my_nets.linear", "width": 4}
    text = error("model=logits,ten,nothing,broken", "seed=0,1", extra_conf=str(tmp_path))
    assert text.splitlines() == [
        "model my_nets.logits returned rows that do not sum to 1, expected [images, 10] class probabilities, as a last "
        "Dense layer with softmax gives",
        "model my_nets.ten returned an array of shape (2, 5) for 2 images, expected [images, 10] class probabilities, "
        "as a last Dense layer with softmax gives",
        "model my_nets.nothing returned int, expected a keras.Model",
        "model my_nets.broken cannot be built: RuntimeError: no such layer",
    ]
    assert error("model=linear", "+model.depth=4", extra_conf=str(tmp_path), multirun=False).startswith(
        "model my_nets.linear cannot be built: TypeError: linear() got an unexpected keyword argument 'depth'"
    )
