"""The experiments of the lecture notes, and what else they showed: summaries, saving and restoring."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import pytest
from fixture_types import Command
from optional import present
from planning import make

from fashion_sweep.data import loading
from fashion_sweep.data import split as data_split
from fashion_sweep.storage.record import Status
from fashion_sweep.storage.run_dir import RunDir
from fashion_sweep.storage.sweep_dir import SweepDir
from fashion_sweep.training.train import RunSpec, train

QUICK = ("data=synthetic", "data.samples=320", "data.image_size=8", "epochs=1")

NOTES = {
    "logistic": 3, "softmax": 1, "sigmoid": 1, "relu": 1, "optimizers": 7, "loss_curves": 2, "overfitting": 2,
    "dropout": 1, "saving": 1, "checkpoint": 1, "early_stopping": 1,
}  # fmt: skip
"""Experiment -> runs."""


def planned(name: str, *overrides: str) -> list[RunSpec]:
    lines = [f"experiment=notes_{name}", *overrides]
    return make(*lines).runs


def settings(name: str) -> list[tuple[Any, ...]]:
    """Model, optimizer, rate, dropout and epochs of every run."""
    return [
        (
            point.choices["model"],
            point.choices["optimizer"],
            point.config["optimizer"]["learning_rate"],
            point.config["model"].get("dropout"),
            point.config["epochs"],
        )
        for point in planned(name)
    ]


@pytest.mark.parametrize(("name", "runs"), NOTES.items())
def test_every_experiment_passes_the_checks_as_it_is_and_on_other_data(name: str, runs: int) -> None:
    assert len(planned(name)) == runs
    quick = planned(name, *QUICK)
    assert len(quick) == {"loss_curves": 1}.get(name, runs)  # epochs=1 takes the place of its grid
    assert {point.choices["data"] for point in quick} == {"synthetic"}
    assert all(point.config.get("epochs", 1) == 1 for point in quick)


def test_the_seven_optimizers_have_the_rates_of_the_notes() -> None:
    assert settings("optimizers") == [
        ("mlp", "sgd", 0.01, 0.0, 5),
        ("mlp", "sgd_high_rate", 0.1, 0.0, 5),
        ("mlp", "momentum", 0.01, 0.0, 5),
        ("mlp", "nesterov", 0.01, 0.0, 5),
        ("mlp", "rmsprop", 0.001, 0.0, 5),
        ("mlp", "adagrad", 0.001, 0.0, 5),
        ("mlp", "adam", 0.001, 0.0, 5),
    ]
    nodes = [point.config["optimizer"] for point in planned("optimizers")[:4]]
    assert [(node["momentum"], node["nesterov"]) for node in nodes] == [
        (0.0, False),
        (0.0, False),
        (0.9, False),
        (0.9, True),
    ]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("softmax", [("softmax", "rmsprop", 0.001, None, 5)]),
        ("sigmoid", [("sigmoid", "rmsprop", 0.001, 0.0, 5)]),
        ("relu", [("mlp", "rmsprop", 0.001, 0.0, 5)]),
        ("loss_curves", [("mlp", "rmsprop", 0.001, 0.0, epochs) for epochs in (5, 20)]),
        ("overfitting", [("mlp", name, 0.001, 0.0, 20) for name in ("rmsprop", "adam")]),
        ("dropout", [("mlp", "adam", 0.001, 0.3, 20)]),
        ("saving", [("mlp", "adam", 0.001, 0.3, 10)]),
        ("checkpoint", [("mlp", "adam", 0.001, 0.3, 20)]),
        ("early_stopping", [("mlp", "adam", 0.001, 0.3, 20)]),
    ],
)
def test_the_other_networks_are_those_of_the_notes(name: str, expected: list[tuple[Any, ...]]) -> None:
    assert settings(name) == expected


def test_the_classifiers_are_those_of_the_notes() -> None:
    nodes = [point.config["model"] for point in planned("logistic")]
    assert [node["max_iter"] for node in nodes] == [5, 9, 20]
    assert {(node["_target_"], node["loss"], node["random_state"]) for node in nodes} == {
        ("sklearn.linear_model.SGDClassifier", "log_loss", 42)
    }
    assert [point.config["trainer"]["folds"] for point in planned("logistic")] == [5, 5, 5]


def trained(folder: Path, name: str, *overrides: str) -> tuple[RunDir, Any]:
    """The folder and record of an experiment's only run, trained in this process on few images."""
    [point] = planned(name, *QUICK[:3], "trainer=fit", *overrides)
    [record] = train([RunSpec(folder, point.config, point.choices, point.overrides, point.identity)])
    assert record.status is Status.COMPLETED, record.reason
    return RunDir(folder), record


def validated(model: keras.Model, run: RunDir) -> tuple[float, float]:
    """Loss and accuracy on the run's validation images."""
    _, split = loading.load_split(present(run.read_record()).config["data"])
    model.compile(loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    loss, accuracy = model.evaluate(data_split.scale(split.x_val), split.y_val, verbose=0)
    return loss, accuracy


def recorded(given: Mapping[str, float | None] | None) -> Any:
    metrics = present(given)
    return pytest.approx((metrics["val_loss"], metrics["val_accuracy"]), rel=1e-5)


@pytest.mark.filterwarnings("ignore:Skipping variable loading for optimizer")  # they are compiled anew, to be measured
@pytest.mark.parametrize("optimizer", ["adam", "momentum"])
def test_weights_the_whole_model_and_h5_give_the_recorded_numbers_again(tmp_path: Path, optimizer: str) -> None:
    run, record = trained(tmp_path / "both", "saving", "epochs=2", f"optimizer={optimizer}")
    assert not (run.path / "best.keras").exists()
    whole = keras.models.load_model(run.last_model, safe_mode=True)
    assert validated(whole, run) == recorded(record.last)
    empty = keras.models.clone_model(whole)
    assert validated(empty, run) != recorded(record.last)
    empty.load_weights(run.last_weights)
    assert validated(empty, run) == recorded(record.last)

    other, record_of_h5 = trained(tmp_path / "h5", "saving", "epochs=2", f"optimizer={optimizer}", "save=h5")
    assert {path.name for path in other.path.glob("last.*")} == {"last.h5"}
    assert record_of_h5.last == record.last
    assert validated(keras.models.load_model(other.last_h5, safe_mode=True), other) == recorded(record.last)


def test_early_stopping_ends_with_the_best_weights_after_two_epochs_without_better_ones(tmp_path: Path) -> None:
    run, record = trained(tmp_path / "run", "early_stopping", "epochs=60", "optimizer.learning_rate=0.03")
    assert record.epochs_run == record.best["epoch"] + 2 < 60
    assert validated(keras.models.load_model(run.last_model), run) == recorded(record.best)
    assert validated(keras.models.load_model(run.path / "best.keras"), run) == recorded(record.best)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "rows"), [("optimizers", 7), ("logistic", 3)])
def test_a_grid_is_all_that_one_types(command: Command, tmp_path: Path, name: str, rows: int) -> None:
    done = command("-m", f"experiment=notes_{name}", *QUICK, "hydra.sweep.dir=s")
    assert (done.returncode, done.stderr) == (0, "")
    with (SweepDir(tmp_path / "s").report / "summary.csv").open() as file:
        assert [row["status"] for row in csv.DictReader(file)] == ["completed"] * rows


@pytest.mark.slow
@pytest.mark.usefixtures("real_images")
def test_a_summary_is_what_keras_prints_and_nothing_is_trained(command: Command, tmp_path: Path) -> None:
    done = command("model=mlp", "summary=true")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith('Model: "sequential"\n')
    assert "Total params: 79,510 (310.59 KB)" in done.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.usefixtures("real_images")
def test_with_m_there_is_a_summary_of_each_distinct_model(command: Command, tmp_path: Path) -> None:
    done = command("-m", "model=mlp,softmax,logistic", "optimizer=sgd,adam", "summary=true")
    assert (done.returncode, done.stderr) == (0, "")
    headings = [line for line in done.stdout.splitlines() if line.startswith("model=")]
    assert headings == ["model=mlp", "model=softmax", "model=logistic"]
    assert [word for word in ("79,510", "7,850 (30.66 KB)") if f"Total params: {word}" in done.stdout] == [
        "79,510",
        "7,850 (30.66 KB)",
    ]
    assert done.stdout.endswith(
        "SGDClassifier(loss='log_loss', max_iter=20, random_state=42)\n7,850 parameters, 5-fold cross-validation\n"
    )
    assert list(tmp_path.iterdir()) == []


def test_summary_is_no_part_of_a_run() -> None:
    [plain], [shown] = planned("relu"), planned("relu", "summary=true")
    assert plain.identity == shown.identity
