"""A run's saved models: loading and measuring them, and errors for invalid files."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import own_parts
import pytest

from fashion_sweep.data import fashion_mnist
from fashion_sweep.data.dataset import Dataset
from fashion_sweep.errors import DataError, FolderError
from fashion_sweep.evaluation import measure, saved_model
from fashion_sweep.evaluation.saved_model import TrainedRun
from fashion_sweep.storage.record import RunRecord, Status
from fashion_sweep.storage.run_dir import RunDir
from fashion_sweep.storage.sweep_dir import SweepDir
from fashion_sweep.training.train import RunSpec, train

SCRIPT = Path(__file__).parents[1] / "scripts" / "evaluate.py"


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("kept") / "run"


@pytest.fixture
def run(kept: Path, make_spec: Callable[..., RunSpec], tmp_path: Path) -> TrainedRun:
    """A run of 3 epochs with every file that a run can have, trained once and copied for each test."""
    if not kept.exists():
        [record] = train([make_spec("trainer=compiled", "epochs=3", "save=both")])
        assert record.status is Status.COMPLETED
        (tmp_path / "run").rename(kept)
    shutil.copytree(kept, tmp_path / "run")
    return saved_model.open_run(tmp_path / "run")


def evaluated(run: TrainedRun, name: str) -> measure.Evaluation:
    return measure.evaluate(run, run.folder.path / name, measure.validation_images(run))


def script(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    env = {key: value for key, value in os.environ.items() if not key.startswith("TF_")}
    words = [sys.executable, str(SCRIPT), *arguments]
    return subprocess.run(words, cwd=folder, env=env, capture_output=True, text=True, timeout=120, check=False)


def refused(folder: Path, *arguments: str) -> str:
    """The command's one line on stderr; it must exit with 2."""
    done = script(folder, *arguments)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    return done.stderr.strip()


@pytest.mark.parametrize("name", ["last.keras", "last.weights.h5", "best.keras"])
def test_a_restored_model_reproduces_the_recorded_metrics(run: TrainedRun, name: str) -> None:
    found = evaluated(run, name)
    expected = run.record.best if name == "best.keras" else run.record.last
    assert expected is not None
    assert found.accuracy == expected["val_accuracy"]
    assert found.loss == pytest.approx(expected["val_loss"], rel=1e-5)
    assert len(found.truth) == 64
    assert measure.recorded_epoch(run, found) == expected["epoch"]


def test_loss_and_accuracy_are_those_of_keras(run: TrainedRun) -> None:
    import keras

    found = evaluated(run, "last.keras")
    images = measure.validation_images(run)
    model = keras.saving.load_model(run.folder.last_model)
    loss, accuracy = model.evaluate(images.x.astype("float32") / 255, images.y, verbose=0)
    assert np.float32(found.accuracy) == np.float32(accuracy)
    assert found.loss == pytest.approx(loss, rel=1e-5)
    predicted = model.predict(images.x.astype("float32") / 255, verbose=0).argmax(axis=1)
    assert found.accuracy == np.mean(predicted == images.y)


def test_fit_computes_the_same_accuracy(make_spec: Callable[..., RunSpec]) -> None:
    spec = make_spec()
    train([spec])
    run = saved_model.open_run(spec.folder)
    assert run.record.last is not None
    assert np.float32(evaluated(run, "last.keras").accuracy) == np.float32(run.record.last["val_accuracy"])


def test_a_model_with_a_metric_of_its_own(make_spec: Callable[..., RunSpec]) -> None:
    spec = make_spec("~model", "+model={_target_: own_parts.net, kind: WithTopTwo}")
    [record] = train([spec])
    assert record.status is Status.COMPLETED, record.reason
    run = saved_model.open_run(spec.folder)
    found = evaluated(run, "last.keras")
    assert record.last is not None
    assert found.loss == pytest.approx(record.last["val_loss"], rel=1e-5)
    assert np.float32(found.accuracy) == np.float32(record.last["val_accuracy"])


def test_a_model_whose_own_code_fails_is_refused(run: TrainedRun) -> None:
    own_parts.net((8, 8), 10, "WithoutLoss").save(run.folder.path / "own.keras")
    with pytest.raises(FolderError, match=r"own\.keras: its model cannot be measured: "):
        evaluated(run, "own.keras")


def test_a_legacy_file_of_the_whole_model(run: TrainedRun) -> None:
    import keras

    keras.saving.load_model(run.folder.last_model).save(run.folder.path / "last.h5")
    run.folder.last_model.unlink()
    file = saved_model.choose(run, last=True)
    assert file.name == "last.h5"
    assert run.record.last is not None
    assert evaluated(run, file.name).accuracy == run.record.last["val_accuracy"]


def test_which_file_is_used(run: TrainedRun) -> None:
    assert saved_model.choose(run).name == "best.keras"
    assert saved_model.choose(run, last=True).name == "last.keras"
    (run.folder.path / "best.keras").unlink()
    assert saved_model.choose(run).name == "last.keras"
    run.folder.last_model.unlink()
    assert saved_model.choose(run).name == "last.weights.h5"
    run.folder.last_weights.unlink()
    with pytest.raises(FolderError, match=r"no saved model \(best.keras, .*; the run is completed, with save=both"):
        saved_model.choose(run)


def test_weights_of_another_epoch_are_detected(run: TrainedRun) -> None:
    rows = run.folder.read_history()
    run.folder.write_history([row | {"val_loss": row["val_loss"] + 0.01} for row in rows])
    assert measure.recorded_epoch(run, evaluated(run, "last.keras")) is None


def test_weights_that_do_not_fit(run: TrainedRun) -> None:
    run.record.config["model"]["hidden_units"] = [50]
    with pytest.raises(FolderError, match=r"last.weights.h5: its weights do not fit the model of run.json's config"):
        evaluated(run, "last.weights.h5")


@pytest.mark.parametrize("name", ["best.keras", "last.weights.h5", "last.h5"])
@pytest.mark.parametrize("damage", ["truncated", "random"])
def test_damaged_files(run: TrainedRun, name: str, damage: str) -> None:
    file = run.folder.path / name
    content = (run.folder.path / "best.keras" if name == "last.h5" else file).read_bytes()
    file.write_bytes(content[: len(content) // 2] if damage == "truncated" else np.random.default_rng(0).bytes(9000))
    with pytest.raises(FolderError, match=f"{name}: (damaged|cannot be)") as raised:
        saved_model.load(run, file)
    assert "\n" not in str(raised.value)


def test_code_in_a_file_is_not_run(run: TrainedRun) -> None:
    import keras

    layers = [keras.Input((8, 8)), keras.layers.Flatten(), keras.layers.Lambda(lambda x: x), keras.layers.Dense(10)]
    for name in ("best.keras", "last.h5"):
        keras.Sequential(layers).save(run.folder.path / name)
        with pytest.raises(FolderError, match="deserialization of a `Lambda` layer"):
            saved_model.load(run, run.folder.path / name)


def test_a_model_of_something_else(run: TrainedRun) -> None:
    import keras

    def put(size: int, classes: int) -> None:
        layers = [keras.Input((size, size)), keras.layers.Flatten(), keras.layers.Dense(classes, "softmax")]
        keras.Sequential(layers).save(run.folder.path / "best.keras")

    put(9, 10)
    with pytest.raises(FolderError, match=r"not this run's model: it does not accept images of shape \(8, 8\)"):
        evaluated(run, "best.keras")
    put(8, 3)
    with pytest.raises(FolderError, match=r"not this run's model: it returns shape \(64, 3\) for 64 images"):
        evaluated(run, "best.keras")


def test_the_command(run: TrainedRun, tmp_path: Path) -> None:
    done = script(tmp_path, "run", "--confusion")
    best = run.record.best
    assert (done.returncode, done.stderr) == (0, "")
    assert best is not None
    assert done.stdout.splitlines() == [
        "model     run/best.keras",
        "images    64 validation images",
        f"loss      {best['val_loss']:.6f}",
        f"accuracy  {best['val_accuracy']:.6f} ({round(64 * (best['val_accuracy'] or 0))} correct)",
        f"recorded  identical in epoch {best['epoch']} of 3",
        "confusion run/confusion_validation.png",
    ]
    assert (tmp_path / "run" / "confusion_validation.png").read_bytes().startswith(b"\x89PNG")


def test_predictions(run: TrainedRun, tmp_path: Path) -> None:
    images = measure.validation_images(run).x[:5]
    np.savez(tmp_path / "mine.npz", images=images)
    done = script(tmp_path, "run", "--last", "--predict", "mine.npz")
    assert (done.returncode, done.stderr) == (0, "")
    with (tmp_path / "mine.predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["image", "class", "probability", *map(str, range(10))]
    found = evaluated(run, "last.keras").predicted[:5]
    assert [row["class"] for row in rows] == [str(label) for label in found]
    for row in rows:
        assert row["probability"] == row[row["class"]]
        assert sum(float(row[str(label)]) for label in range(10)) == pytest.approx(1, abs=1e-4)


def test_synthetic_images_have_no_test_images(run: TrainedRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match="trained with data=synthetic, but only data=fashion_mnist and data=npz have"):
        measure.test_images(run)
    known = measure.validation_images(run)
    tests = Dataset(known.x[:7], known.y[:7], run.class_names)
    monkeypatch.setattr(fashion_mnist, "load_test", {"here": tests}.__getitem__)
    run.record.config["data"] = {"_target_": "fashion_sweep.fashion_mnist.load", "dir": "here"}
    found = measure.evaluate(run, run.folder.last_model, measure.test_images(run))
    assert (found.images, len(found.truth), measure.recorded_epoch(run, found)) == ("test", 7, None)


def test_folders_that_are_not_runs(tmp_path: Path) -> None:
    assert refused(tmp_path, "nowhere") == "error: nowhere: no such folder"
    (tmp_path / "empty").mkdir()
    assert refused(tmp_path, "empty") == "error: empty: no run.json in it; expected the folder of a run"
    (tmp_path / "empty" / "run.json").write_text("{")
    assert refused(tmp_path, "empty").startswith("error: empty/run.json: cannot be read as a run's record")
    (tmp_path / "empty" / "run.json").unlink()
    (tmp_path / "empty" / "best.keras").touch()
    assert refused(tmp_path, "empty/best.keras").endswith("no such folder; give the run's folder: empty")


def test_a_sweep_names_its_best_run(tmp_path: Path) -> None:
    for name, loss in (("a", 0.5), ("b", 0.4)):
        best: dict[str, float | None] = {
            "epoch": 1,
            "loss": 0.1,
            "accuracy": 0.9,
            "val_loss": loss,
            "val_accuracy": 0.8,
        }
        record = RunRecord(name, "0" * 64, Status.COMPLETED, best=best, last=best, epochs_run=1)
        (tmp_path / "sweep" / name).mkdir(parents=True, exist_ok=True)
        RunDir(tmp_path / "sweep" / name).write_record(record)
    with pytest.raises(
        FolderError, match=r"this is a sweep's folder; give --selected, or one of its runs; the best is .*/sweep/b$"
    ):
        saved_model.open_run(tmp_path / "sweep")
    (tmp_path / "new").mkdir(parents=True, exist_ok=True)
    SweepDir(tmp_path / "new").write_plan("command", [])
    with pytest.raises(FolderError, match="this is a sweep's folder; none of its runs has completed yet"):
        saved_model.open_run(tmp_path / "new")


def test_a_logistic_run_has_no_network(tmp_path: Path) -> None:
    record = RunRecord("a", "0" * 64, Status.COMPLETED, choices={"model": "logistic", "trainer": "cross_validation"})
    (tmp_path / "a").mkdir(parents=True, exist_ok=True)
    RunDir(tmp_path / "a").write_record(record)
    assert refused(tmp_path, "a").startswith("error: a: a run of model=logistic saves no network; see folds.csv")


def test_a_failed_run_says_why_it_has_no_model(tmp_path: Path) -> None:
    record = RunRecord("a", "0" * 64, Status.FAILED, "disk full", config={"save": "none"})
    (tmp_path / "a").mkdir(parents=True, exist_ok=True)
    RunDir(tmp_path / "a").write_record(record)
    with pytest.raises(FolderError, match=r"the run is failed \(disk full\), with save=none"):
        saved_model.choose(saved_model.open_run(tmp_path / "a"))


def test_options_that_make_no_sense_together(tmp_path: Path) -> None:
    assert "--confusion needs images whose classes are known" in refused(
        tmp_path, "x", "--predict", "y.npz", "--confusion"
    )
    assert "--output is for what --predict or --confusion writes" in refused(tmp_path, "x", "--output", "y")


def test_a_changed_dataset_is_noted(run: TrainedRun) -> None:
    assert measure.validation_images(run).note == ""
    record = json.loads(run.folder.record.read_text())
    record["data"]["fingerprint"] = "0" * 64
    run.folder.record.write_text(json.dumps(record))
    note = measure.validation_images(saved_model.open_run(run.folder.path)).note
    assert note == "the dataset is no longer the one that the run was trained on"
