"""From a config to its trainer, and what trainers answer before any run starts."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import Any

import faulty_trainer
import pytest
from fixture_types import MakeSpec
from optional import present

from fashion_sweep.data import loading
from fashion_sweep.errors import ConfigError, DataError
from fashion_sweep.storage.record import Status
from fashion_sweep.storage.run_dir import RunDir
from fashion_sweep.training.compiled import Compiled
from fashion_sweep.training.cross_validation import CrossValidation
from fashion_sweep.training.fit import Fit
from fashion_sweep.training.train import train
from fashion_sweep.training.trainer import trainer_of
from fashion_sweep.training.trainer_base import Trainer

COMPILED = {"_target_": "fashion_sweep.training.compiled.compiled"}
FIT = {"_target_": "fashion_sweep.training.fit.fit", "steps_per_execution": 5, "jit_compile": "auto"}
CROSS_VALIDATION = {"_target_": "fashion_sweep.baseline.cross_validation", "folds": 3}


def check(config: Any) -> None:
    trainer_of(config).check(config, loading.load(config["data"]))


@pytest.mark.parametrize(
    ("node", "kind", "unused"),
    [
        (COMPILED, Compiled, ()),
        (FIT, Fit, ()),
        (
            CROSS_VALIDATION,
            CrossValidation,
            ("optimizer", "schedule", "callbacks", "epochs", "batch_size", "seed", "save"),
        ),
        ({"_target_": "faulty_trainer.nothing", "anything": 1}, Trainer, ()),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else "",
)
def test_equal_nodes_share_a_trainer_of_the_class_that_they_name(
    node: dict[str, Any], kind: type[Trainer], unused: tuple[str, ...]
) -> None:
    trainer = trainer_of({"trainer": node, "epochs": 1})
    assert isinstance(trainer, kind)
    assert trainer.unused_keys == unused
    assert trainer_of({"trainer": {**node}, "epochs": 2}) is trainer


@pytest.mark.parametrize(
    ("node", "problem"),
    [
        ("???", r"trainer is \?\?\?, expected a group with a _target_, such as trainer=compiled"),
        ({"folds": 3}, r"trainer is {'folds': 3}, expected a group with a _target_"),
        (CROSS_VALIDATION | {"folds": 1}, "^trainer.folds is 1, expected at least 2$"),
        (CROSS_VALIDATION | {"fold": 5}, "trainer fashion_sweep.baseline.cross_validation cannot be made: .*'fold'"),
        (FIT | {"steps_per_execution": 0}, "^trainer.steps_per_execution is 0, expected at least 1$"),
        (FIT | {"jit_compile": "yes"}, "^trainer.jit_compile is yes, expected true, false or auto$"),
        (COMPILED | {"rate": 1}, "trainer fashion_sweep.training.compiled.compiled cannot be made: .*argument 'rate'"),
        (COMPILED | {"engine": "torch"}, "^trainer.engine is torch, expected auto, tensorflow or jax$"),
        ({"_target_": "no_such_package.f"}, "^trainer no_such_package.f cannot be imported: .*no_such_package"),
    ],
)
def test_a_wrong_node_is_a_config_error(node: Any, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        trainer_of({"trainer": node})


@pytest.mark.parametrize("trainer", ["compiled", "fit"])
def test_trainers_of_networks_refuse_classifiers_and_too_few_images(make_spec: MakeSpec, trainer: str) -> None:
    check(make_spec(f"trainer={trainer}").config)
    with pytest.raises(DataError, match="1 images are too few for a training and a validation set"):
        check({**(config := make_spec(f"trainer={trainer}").config), "data": {**config["data"], "limit": 1}})
    with pytest.raises(ConfigError) as caught:
        check(make_spec("model=logistic", f"trainer={trainer}").config)
    assert str(caught.value) == (
        "sklearn.linear_model.SGDClassifier is a scikit-learn classifier, no network: it needs trainer=cross_validation"
    )


@pytest.mark.parametrize("words", [("trainer=fit",), ("trainer=compiled",), ("model=logistic",)], ids=" ".join)
def test_the_summary_is_the_text_of_model_txt(make_spec: MakeSpec, words: tuple[str, ...]) -> None:
    words = ("trainer=cross_validation", "model.max_iter=1", *words) if words == ("model=logistic",) else words
    spec = make_spec(*words, "epochs=1")
    expected = trainer_of(spec.config).summary(spec.config, loading.load(spec.config["data"]))
    assert train([spec])[0].status is Status.COMPLETED
    assert RunDir(spec.folder).model_summary.read_text() == expected + "\n"
    assert not expected.endswith("\n")


def test_a_function_may_be_a_trainer(make_spec: MakeSpec) -> None:
    spec = make_spec("trainer._target_=faulty_trainer.nothing", "seed=3", "save=none")
    trainer = trainer_of(spec.config)
    trainer.warm_up()
    check(spec.config)
    assert trainer.pack_key(spec.config) is None
    assert trainer.cost(spec.config) > 0
    [record] = train([spec])
    assert (record.status, present(record.last)["val_loss"]) == (Status.COMPLETED, 0.25)


def test_a_class_of_ones_own_may_be_a_trainer(make_spec: MakeSpec) -> None:
    spec = make_spec("~trainer", "+trainer={_target_: faulty_trainer.Nothing, loss: 0.125}", "save=none")
    assert isinstance(trainer_of(spec.config), faulty_trainer.Nothing)
    [record] = train([spec])
    assert (record.status, present(record.last)["loss"]) == (Status.COMPLETED, 0.125)


def test_a_trainer_that_cannot_be_made_costs_its_own_runs_alone(make_spec: MakeSpec) -> None:
    node = {"_target_": "faulty_trainer.Nothing", "los": 1}
    bad = make_spec("save=none", folder="bad")
    bad = replace(bad, config={**bad.config, "trainer": node})
    good = make_spec("trainer._target_=faulty_trainer.nothing", "save=none", folder="good")
    assert [record.status for record in train([bad, good])] == [Status.FAILED, Status.COMPLETED]
    assert present(present(RunDir(bad.folder).read_record()).reason).startswith(
        "trainer faulty_trainer.Nothing cannot be made: "
    )


LIGHT = """
import sys
from fashion_sweep.training.trainer import trainer_of
network = {"model": {"_target_": "fashion_sweep.models.mlp", "hidden_units": [3]}, "epochs": 2, "batch_size": 8,
           "optimizer": {"_target_": "keras.optimizers.Adam"}, "schedule": None,
           "data": {"_target_": "fashion_sweep.data.synthetic_images.load", "validation_fraction": 0.5, "limit": None}}
classifier = {"model": {"max_iter": 5}}
class Dataset:
    images = [0] * 10
for trainer, config in [(COMPILED, network), (FIT, network), (CROSS_VALIDATION, classifier)]:
    config["trainer"] = trainer
    found = trainer_of(config)
    found.pack_key(config)
    found.cost(config)
    if config is network:
        found.check(config, Dataset)
print(sorted({"tensorflow", "keras", "sklearn", "jax", "pandas"} & set(sys.modules)))
"""


def test_what_is_asked_before_any_run_imports_nothing_heavy() -> None:
    code = f"COMPILED, FIT, CROSS_VALIDATION = {COMPILED}, {FIT}, {CROSS_VALIDATION}\n{LIGHT}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
