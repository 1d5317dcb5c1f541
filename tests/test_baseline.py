"""Classifiers of scikit-learn, cross-validated for real, on their own and beside networks."""

from __future__ import annotations

import csv
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import planning
import pytest
from fixture_types import Command
from optional import present
from sklearn.linear_model import SGDClassifier
from sklearn.metrics import log_loss
from sklearn.model_selection import StratifiedKFold

from fashion_sweep import app
from fashion_sweep.analysis import summary
from fashion_sweep.analysis.load import collect
from fashion_sweep.analysis.replicates import replicates
from fashion_sweep.data import loading
from fashion_sweep.errors import UserError
from fashion_sweep.planning import plan
from fashion_sweep.planning.request import Request
from fashion_sweep.reporting import table, verdict
from fashion_sweep.storage.record import METRICS, Status
from fashion_sweep.storage.run_dir import RunDir
from fashion_sweep.storage.sweep_dir import SweepDir
from fashion_sweep.training import cross_validation
from fashion_sweep.training.train import RunSpec, train

TINY = ("data=synthetic", "data.samples=320", "data.image_size=8")


def specs(folder: Path, *overrides: str) -> list[RunSpec]:
    """The runs of a grid of tiny cross-validations: 320 images, 64 in each fold."""
    folder.mkdir(exist_ok=True)
    return [
        RunSpec(folder / str(number), point.config, point.choices, point.overrides, point.identity)
        for number, point in enumerate(planned("model=logistic", *overrides).runs)
    ]


def planned(*overrides: str, images: tuple[str, ...] = TINY, multirun: bool = True) -> plan.Plan:
    return planning.planned(Request([*images, *overrides], app.CONF, "config", None, multirun))


def problem(*overrides: str) -> str:
    with pytest.raises(UserError) as caught:
        planned(*overrides, multirun=False)
    return str(caught.value)


def folds_of(run: RunDir) -> list[dict[str, float]]:
    with run.folds.open() as file:
        return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]


def by_hand(config: Mapping[str, Any], fold: int) -> dict[str, float]:
    """A fold's scores, without cross_validate."""
    dataset = loading.load(config["data"])
    x, y = dataset.images.reshape(320, 64) / 255.0, dataset.labels
    train_rows, held_out = list(StratifiedKFold(5).split(x, y))[fold]
    fitted = SGDClassifier(loss="log_loss", max_iter=9, random_state=42).fit(x[train_rows], y[train_rows])
    sides = {"": train_rows, "val_": held_out}
    losses = {f"{side}loss": log_loss(y[rows], fitted.predict_proba(x[rows])) for side, rows in sides.items()}
    return losses | {f"{side}accuracy": fitted.score(x[rows], y[rows]) for side, rows in sides.items()}


@pytest.mark.filterwarnings("ignore:Maximum number of iteration")
def test_a_run_leaves_the_scores_of_its_folds_and_their_means(tmp_path: Path) -> None:
    [spec] = specs(tmp_path, "model.max_iter=9")
    [record] = train([spec])
    run = RunDir(spec.folder)
    assert record == run.read_record()
    assert (record.status, record.epochs_run, record.parameters, record.seed) == (Status.COMPLETED, 0, 650, None)
    assert (record.data["train_samples"], record.data["validation_samples"]) == (256, 64)
    rows = folds_of(run)
    assert list(rows[0]) == ["fold", "loss", "accuracy", "val_loss", "val_accuracy", "seconds"]
    assert [row["fold"] for row in rows] == [1, 2, 3, 4, 5]
    for fold in (0, 3):
        assert {key: rows[fold][key] for key in METRICS} == pytest.approx(by_hand(spec.config, fold), rel=1e-9)
    means = {key: np.mean([row[key] for row in rows]) for key in METRICS}
    assert record.last == record.best == {"epoch": None} | {key: pytest.approx(means[key]) for key in METRICS}
    assert run.model_summary.read_text() == (
        "SGDClassifier(loss='log_loss', max_iter=9, random_state=42)\n650 parameters, 5-fold cross-validation\n"
    )
    assert not run.history.exists()


def test_fits_that_have_not_converged_are_one_line_of_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    train(specs(tmp_path, "model.max_iter=1"))
    lines = [entry.getMessage() for entry in caplog.records if entry.levelname == "WARNING"]
    assert len(lines) == 1
    assert lines[0].startswith("ConvergenceWarning, 5 times: Maximum number of iteration reached before convergence.")
    assert "\n" not in lines[0]


def test_the_same_random_state_gives_the_same_scores_and_another_one_others(tmp_path: Path) -> None:
    both = specs(tmp_path / "a", "model.random_state=42,43", "model.max_iter=2")
    again = specs(tmp_path / "b", "model.max_iter=2")
    first, other, repeated = (present(record.last) for record in train([*both, *again]))
    assert first == repeated
    assert first["val_loss"] != other["val_loss"]


def test_limit_and_folds_say_what_is_trained_on(tmp_path: Path) -> None:
    [spec] = specs(tmp_path, "data.limit=200", "trainer.folds=4", "model.max_iter=2")
    [record] = train([spec])
    assert (record.data["train_samples"], record.data["validation_samples"]) == (150, 50)
    assert len(folds_of(RunDir(spec.folder))) == 4


def test_float_images_are_taken_as_they_are_and_integers_divided_by_255() -> None:
    images = np.array([[[0, 255], [51, 102]]], "uint8")
    assert cross_validation._pixels(images).tolist() == [[0.0, 1.0, 0.2, 0.4]]
    assert cross_validation._pixels(images.astype("float32")).tolist() == [[0.0, 255.0, 51.0, 102.0]]


def test_settings_of_networks_are_no_part_of_a_run() -> None:
    grid = planned("model=logistic", "optimizer=sgd,adam", "epochs=1,2", "seed=0,1", "save=none", "batch_size=8")
    assert len(grid.specs) == 8
    [run] = grid.runs
    assert sorted(run.config) == ["data", "model", "objective", "plan", "resume", "retry", "summary", "trainer"]
    assert run.choices == {"model": "logistic", "trainer": "cross_validation", "data": "synthetic"}
    assert run.name == f"data-synthetic_model-logistic_image_size-8_samples-320_{run.identity[:8]}"


def test_settings_of_its_own_are() -> None:
    grid = planned("model=logistic", "model.max_iter=5,9", "model.random_state=42,43", "trainer.folds=3,5")
    assert len(grid.runs) == 8


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        (
            ["model=logistic", "trainer=fit"],
            "sklearn.linear_model.SGDClassifier is a scikit-learn classifier, no network: "
            "it needs trainer=cross_validation",
        ),
        (
            ["model=mlp", "trainer=cross_validation"],
            "trainer=cross_validation trains scikit-learn classifiers, such as model=logistic; "
            "fashion_sweep.models.mlp is none: choose another trainer",
        ),
        (
            ["model=logistic", "model.loss=hinge"],
            "model sklearn.linear_model.SGDClassifier gives no class probabilities with these values "
            "(it has no predict_proba)",
        ),
        (["model=logistic", "model.max_iter=0"], "model.max_iter is 0, expected at least 1"),
        (["model=logistic", "trainer.folds=1"], "trainer.folds is 1, expected at least 2"),
        (
            ["model=logistic", "data.limit=45"],
            "a class has 4 images, too few for trainer.folds=5, with data.limit=45",
        ),
        (["model=logistic", "~trainer"], "trainer: a value is required; give trainer=VALUE"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_trained_is_one_line(overrides: list[str], expected: str) -> None:
    assert problem(*overrides) == expected


def test_arguments_that_scikit_learn_refuses_are_told_before_a_run() -> None:
    text = problem("model=logistic", "model.alpha=-1")
    assert text.startswith("model SGDClassifier cannot be trained: The 'alpha' parameter of SGDClassifier must be")
    assert "\n" not in text


def test_any_other_classifier_of_scikit_learn_can_be_named(tmp_path: Path) -> None:
    (tmp_path / "conf" / "model").mkdir(parents=True)
    (tmp_path / "conf" / "model" / "tree.yaml").write_text(
        "defaults:\n  - override /trainer@_global_.trainer: cross_validation\n"
        "_target_: sklearn.tree.DecisionTreeClassifier\nmax_depth: 3\n"
    )
    grid = planning.planned(Request([*TINY, "model=tree"], app.CONF, "config", tmp_path / "conf", False))
    [point] = grid.specs
    [record] = train([RunSpec(tmp_path / "run", point.config, point.choices, point.overrides, point.identity)])
    assert (record.status, record.parameters) == (Status.COMPLETED, None)
    assert 0.2 < present(present(record.last)["val_accuracy"]) < 1
    assert RunDir(tmp_path / "run").model_summary.read_text() == (
        "DecisionTreeClassifier(max_depth=3)\n5-fold cross-validation\n"
    )


def test_no_tensorflow_is_imported(tmp_path: Path) -> None:
    words = ["-m", "model=logistic", "model.max_iter=1", *TINY, "hydra/launcher=basic", "hydra.sweep.dir=s"]
    code = (
        "import sys\nfrom fashion_sweep import app\n"
        f"sys.argv = ['fashion_sweep', *{words!r}]\n"
        "try:\n    app.main()\nexcept SystemExit as ended:\n"
        "    print(ended.code, sorted({'tensorflow', 'keras', 'sklearn'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "0 ['sklearn']"
    assert done.stderr == ""


@pytest.mark.slow
def test_tables_hold_it_beside_networks(command: Command, tmp_path: Path) -> None:
    grid = ["-m", "model=mlp,logistic", "optimizer=sgd,adam", *TINY, "epochs=2", "hydra.sweep.dir=s"]
    done = command(*grid)
    assert (done.returncode, done.stderr) == (0, "")
    sweep = SweepDir(tmp_path / "s")
    with (sweep.report / "summary.csv").open() as file:
        rows = {row["model"]: row for row in csv.DictReader(file)}
        file.seek(0)
        assert len(list(csv.DictReader(file))) == 3  # two networks, one classifier
    empty = ("optimizer", "learning_rate", "dropout", "seed", "epochs_run", "best_epoch")
    assert [rows["logistic"][name] for name in empty] == [""] * 6
    assert rows["logistic"]["parameters"] == "650"
    assert float(rows["logistic"]["best_val_accuracy"]) == float(rows["logistic"]["last_val_accuracy"]) > 0.2
    assert [rows["mlp"][name] for name in empty] == ["adam", "0.001", "0.0", "0", "2", "2"]
    text = (sweep.report / "summary.md").read_text()
    assert "nan" not in text.lower()
    assert verdict.MIXED in text


@pytest.mark.slow
def test_a_sweep_of_nothing_else_has_a_report(command: Command, tmp_path: Path) -> None:
    done = command("-m", "model=logistic", "model.max_iter=5,9", *TINY, "hydra.sweep.dir=s")
    assert (done.returncode, done.stderr) == (0, "")
    collected = collect([tmp_path / "s"])
    assert collected.warnings == []
    runs = summary.summarize(collected.runs, collected.histories, collected.measure)
    assert [(row["status"], row["model.max_iter"]) for row in runs.to_dict("records")] == [
        ("completed", 5),
        ("completed", 9),
    ]
    said = verdict.verdict(
        runs, replicates(runs, collected.swept, collected.measure), collected.swept, collected.measure
    )
    assert said.startswith("Lowest validation loss: max iter ")
    assert said.endswith("One run each does not say which setting is best.")  # and nothing of networks
    assert "epoch" not in said
    assert table.constants_sentence(runs) == "The same in all runs: model logistic."
    page = (tmp_path / "s" / "report" / "index.html").read_text()
    assert "Not drawn: No run has an epoch to draw." in page
    assert done.stdout.count(" completed: best val_loss ") == 2
    assert " at epoch " not in done.stdout


def test_on_fashion_mnist_it_is_far_from_chance_and_has_7850_parameters(tmp_path: Path) -> None:
    [point] = planned("model=logistic", "data.limit=3000", "model.max_iter=5", images=()).specs
    [record] = train([RunSpec(tmp_path / "run", point.config, point.choices, point.overrides, point.identity)])
    assert record.parameters == 7_850
    assert 0.7 < present(present(record.last)["val_accuracy"]) < 0.85
