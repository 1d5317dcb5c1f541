"""Every YAML file in conf/ composes, is commented, and has Keras' own default values."""

from __future__ import annotations

import dataclasses
import inspect
import re
from pathlib import Path

import keras
import pytest
from fixture_types import Compose
from optional import present

from fashion_sweep import app
from fashion_sweep.config import schema, targets
from fashion_sweep.planning import run_spec, validation

FILES = sorted(path.relative_to(app.CONF) for path in app.CONF.glob("**/*.yaml"))
CHOICES = [(path.parts[0], path.stem) for path in FILES if len(path.parts) == 2]
NOTES = [
    *("notes_checkpoint", "notes_dropout", "notes_early_stopping", "notes_logistic", "notes_loss_curves"),
    *("notes_optimizers", "notes_overfitting", "notes_relu", "notes_saving", "notes_sigmoid", "notes_softmax"),
]
"""The experiments of the lecture notes."""


def test_the_groups_have_the_documented_choices() -> None:
    groups = {group: sorted(name for g, name in CHOICES if g == group) for group, _ in CHOICES}
    assert groups == {
        "callbacks": ["checkpoint", "checkpoint_early_stopping", "early_stopping", "none"],
        "data": ["fashion_mnist", "npz", "synthetic"],
        "experiment": [*NOTES, "smoke"],
        "model": ["cnn", "logistic", "mlp", "sigmoid", "softmax"],
        "optimizer": ["adagrad", "adam", "adamw", "momentum", "nadam", "nesterov", "rmsprop", "sgd", "sgd_high_rate"],
        "schedule": ["constant", "cosine", "exponential"],
        "trainer": ["compiled", "cross_validation", "fit"],
    }


@pytest.mark.parametrize(("group", "name"), CHOICES)
def test_every_choice_composes_and_passes_the_checks(composed: Compose, group: str, name: str, tmp_path: Path) -> None:
    extra = ["data=synthetic"] if group not in ("data", "experiment") else []
    extra += ["model=logistic"] if name == "cross_validation" else []
    if name == "npz":
        import numpy as np

        np.savez(tmp_path / "a.npz", images=np.zeros((10, 4, 4), "uint8"), labels=np.arange(10))
        extra = [f"data.path={tmp_path / 'a.npz'}"]
    config = composed(f"{group}={name}", *extra)
    validation.check(config, run_spec.resolved(config))
    assert run_spec.group_choices(config.hydra)[group] == name


@pytest.mark.parametrize(("group", "name"), CHOICES)
def test_every_choice_is_named_in_the_help(group: str, name: str, composed: Compose) -> None:
    template = composed().hydra.help.template
    found = present(
        re.search(rf"^  {group} .*(?:\n    .*)*", template, re.MULTILINE)
    )  # continuation lines are indented further
    assert name in re.findall(r"\w+", found[0])


@pytest.mark.parametrize("path", FILES, ids=str)
def test_every_file_says_what_it_is_and_every_field_has_a_comment(path: Path) -> None:
    text = (app.CONF / path).read_text()
    assert text.lstrip().startswith("# ")
    body = text.partition("\nhydra:")[0]
    fields = [line for line in body.splitlines() if re.match(r"\s*[a-z]\w*: .", line)]
    assert [line for line in fields if " # " not in line and "defaults" not in line] == []


@pytest.mark.parametrize("path", schema.SCHEMAS)
def test_every_schema_field_has_a_comment_here_or_in_yaml(path: str) -> None:
    """A comment beside the field in the dataclass, or in the YAML file that uses it."""
    text = (app.CONF / f"{path}.yaml").read_text()
    text += "".join(inspect.getsource(cls) for cls in schema.SCHEMAS[path].__mro__[:-1])
    names = [field.name for field in dataclasses.fields(schema.SCHEMAS[path])]
    assert [name for name in names if not re.search(rf"^ *{name}: .* # \S", text, re.MULTILINE)] == []


@pytest.mark.parametrize("name", [name for group, name in CHOICES if group == "optimizer"])
def test_optimizers_have_the_default_values_of_keras(composed: Compose, name: str) -> None:
    node = run_spec.resolved(composed(f"optimizer={name}", "data=synthetic"))["optimizer"]
    cls = getattr(keras.optimizers, node["_target_"].rpartition(".")[2])
    defaults = {key: p.default for key, p in inspect.signature(cls).parameters.items()}
    own = {"momentum": ("momentum",), "nesterov": ("momentum", "nesterov"), "sgd_high_rate": ("learning_rate",)}
    for key in own.get(name, ()):
        defaults[key] = {"momentum": 0.9, "nesterov": True, "learning_rate": 0.1}[key]
    assert {key: value for key, value in node.items() if key != "_target_"} == {
        key: value for key, value in defaults.items() if key not in ("name", "kwargs")
    }


@pytest.mark.parametrize("name", ["early_stopping", "checkpoint"])
def test_callbacks_can_be_made(composed: Compose, name: str) -> None:
    node = run_spec.resolved(composed(f"callbacks={name}", "data=synthetic"))["callbacks"][name]
    assert isinstance(targets.call(node), keras.callbacks.Callback)


def test_the_default_run_is_the_documented_one(composed: Compose) -> None:
    config = run_spec.resolved(composed())
    assert (config["epochs"], config["batch_size"], config["seed"], config["save"]) == (20, 32, 0, "model")
    assert config["model"]["hidden_units"] == [100]
    assert config["model"]["dropout"] == 0.0
    assert config["data"] | {"_target_": ""} == {
        "_target_": "",
        "dir": None,
        "validation_fraction": 0.2,
        "split_seed": 42,
        "limit": None,
    }
    assert run_spec.group_choices(composed().hydra) == {
        "model": "mlp",
        "optimizer": "adam",
        "schedule": "constant",
        "callbacks": "checkpoint",
        "data": "fashion_mnist",
        "trainer": "compiled",
    }
