"""Real tiny fits: what a run leaves in its folder, and that the same seed gives the same history."""

from __future__ import annotations

import errno
import json
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
from fixture_types import MakeSpec
from optional import present

from fashion_sweep.config.redaction import Redaction
from fashion_sweep.config.run_spec import RunSpec
from fashion_sweep.data import loading
from fashion_sweep.data import split as data_split
from fashion_sweep.errors import DataError
from fashion_sweep.storage.record import Status
from fashion_sweep.storage.run_dir import RunDir
from fashion_sweep.training import failures
from fashion_sweep.training.train import lost, train


def rows(spec: RunSpec) -> list[str]:
    """history.csv without the seconds, the last column."""
    return [line.rpartition(",")[0] for line in RunDir(spec.folder).history.read_text().splitlines()]


def test_a_run_leaves_everything_that_its_folder_promises(make_spec: MakeSpec) -> None:
    spec = make_spec("save=both", "seed=3")
    [record] = train([spec])
    run = RunDir(spec.folder)
    assert record.status is Status.COMPLETED
    assert record == run.read_record()
    assert (record.seed, record.epochs_run, record.attempt, record.reason) == (3, 2, 1, None)
    assert record.parameters == 64 * 100 + 100 + 100 * 10 + 10
    assert record.choices["optimizer"] == "adam"
    assert record.data["train_samples"] == 256
    assert record.data["validation_samples"] == 64 == sum(record.data["validation_classes"])
    assert record.device["kind"] in ("CPU", "GPU")
    assert record.versions["keras"] == keras.__version__
    assert present(record.started) < present(record.ended)
    history = run.read_history()
    assert [row["epoch"] for row in history] == [1, 2]
    best = min(history, key=lambda row: row["val_loss"])
    assert record.best == {key: best[key] for key in ("epoch", "loss", "accuracy", "val_loss", "val_accuracy")}
    assert present(record.last)["val_loss"] == history[-1]["val_loss"]
    assert "Total params: 7,510" in run.model_summary.read_text()
    names = {path.name for path in spec.folder.iterdir()}
    assert {"run.json", "history.csv", "model.txt", "best.keras", "last.keras", "last.weights.h5"} <= names
    assert not [name for name in names if name.startswith(".")]


def test_saved_models_give_the_recorded_numbers_again(make_spec: MakeSpec) -> None:
    spec = make_spec("save=both", "epochs=4", "optimizer.learning_rate=0.05")
    [record] = train([spec])
    _, split = loading.load_split(spec.config["data"])
    run = RunDir(spec.folder)
    for path, given in ((spec.folder / "best.keras", record.best), (run.last_model, record.last)):
        metrics = present(given)
        model = keras.models.load_model(path, safe_mode=True)
        loss, accuracy = model.evaluate(data_split.scale(split.x_val), split.y_val, verbose=0)
        assert loss == pytest.approx(metrics["val_loss"], rel=1e-5)
        assert accuracy == pytest.approx(metrics["val_accuracy"])
    model.load_weights(run.last_weights)
    assert model.evaluate(data_split.scale(split.x_val), split.y_val, verbose=0)[0] == pytest.approx(loss)


@pytest.mark.parametrize("what", ["none", "weights"])
def test_save_keeps_what_it_says(make_spec: MakeSpec, what: str) -> None:
    spec = make_spec(f"save={what}", "callbacks=none")
    train([spec])
    kept = {path.name for path in spec.folder.iterdir()} & {"best.keras", "last.keras", "last.weights.h5"}
    assert kept == {"none": set(), "weights": {"last.weights.h5"}}[what]


@pytest.mark.parametrize("overrides", [["model.dropout=0.3"], ["model=cnn", "optimizer=sgd"]], ids=" ".join)
def test_the_same_seed_gives_the_same_history_to_the_last_digit(make_spec: MakeSpec, overrides: list[str]) -> None:
    first = make_spec(*overrides, folder="first")
    between = make_spec("model=softmax", "seed=9", folder="between")
    again = make_spec(*overrides, folder="again")
    other = make_spec(*overrides, "seed=1", folder="other")
    train([first, between, again, other])
    assert rows(first) == rows(again)
    assert rows(first) != rows(other)


def test_early_stopping_ends_a_run_with_its_best_weights(make_spec: MakeSpec) -> None:
    spec = make_spec(
        "epochs=30", "callbacks=checkpoint_early_stopping", "callbacks.early_stopping.patience=1", "optimizer=nesterov",
        "optimizer.learning_rate=0.5",
    )  # fmt: skip
    [record] = train([spec])
    assert record.status is Status.COMPLETED
    assert record.epochs_run < 30
    assert present(record.best)["epoch"] == record.epochs_run - 1
    best, last = (keras.models.load_model(spec.folder / name) for name in ("best.keras", "last.keras"))
    for one, two in zip(best.get_weights(), last.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)


def test_a_callback_of_your_own_writes_into_the_run_folder(make_spec: MakeSpec) -> None:
    reduce = "{_target_: keras.callbacks.ReduceLROnPlateau, patience: 1, factor: 0.1, min_delta: 10}"
    csv = "{_target_: keras.callbacks.CSVLogger, filename: keras.csv}"
    spec = make_spec(f"+callbacks.reduce={reduce}", f"+callbacks.csv={csv}", "epochs=3")
    train([spec])
    assert len((spec.folder / "keras.csv").read_text().splitlines()) == 4
    rates = [row["learning_rate"] for row in RunDir(spec.folder).read_history()]
    assert rates == pytest.approx([1e-3, 1e-3, 1e-4])


def test_a_schedule_is_seen_in_the_history(make_spec: MakeSpec) -> None:
    spec = make_spec("schedule=cosine")
    train([spec])
    rates = [row["learning_rate"] for row in RunDir(spec.folder).read_history()]
    assert rates == pytest.approx([0.5e-3, 0], abs=1e-9)


def test_a_partial_last_batch_counts(make_spec: MakeSpec) -> None:
    spec = make_spec("batch_size=100", "epochs=1", "optimizer.learning_rate=1e-30", "optimizer=sgd")
    [record] = train([spec])
    _, split = loading.load_split(spec.config["data"])
    model = keras.models.load_model(spec.folder / "last.keras")
    loss, accuracy = model.evaluate(data_split.scale(split.x_train), split.y_train, verbose=0)
    assert present(record.last)["loss"] == pytest.approx(loss, rel=1e-5)  # nothing moved: the mean over all 256 images
    assert present(record.last)["accuracy"] == pytest.approx(accuracy)


@pytest.mark.parametrize("callbacks", ["none", "checkpoint_early_stopping"])
def test_a_loss_that_is_not_finite_ends_a_run_as_diverged(make_spec: MakeSpec, callbacks: str) -> None:
    spec = make_spec("optimizer=sgd", "optimizer.learning_rate=1e30", f"callbacks={callbacks}", "epochs=5")
    [record] = train([spec])
    assert record.status is Status.DIVERGED
    assert record.reason == f"loss became NaN or infinite in epoch {record.epochs_run}"
    assert record.epochs_run < 5
    assert json.loads(RunDir(spec.folder).record.read_text())["last"]["val_loss"] is None
    assert not RunDir(spec.folder).last_model.exists()


FAILING = "{_target_: tests_failing.Raises, error: %s}"


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        ("ValueError", "ValueError: on purpose"),
        ("MemoryError", "out of memory"),
        ("SystemExit", "the run called sys.exit(on purpose)"),
    ],
)
def test_a_run_that_fails_costs_itself_alone(
    make_spec: MakeSpec,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    *,
    error: str,
    reason: str,
) -> None:
    (tmp_path / "tests_failing.py").write_text(
        "import builtins, keras\n"
        "class Raises(keras.callbacks.Callback):\n"
        "    def __init__(self, error):\n        super().__init__()\n        self.error = error\n"
        "    def on_epoch_end(self, epoch, logs=None):\n"
        "        if epoch == 1:\n            raise getattr(builtins, self.error)('on purpose')\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    failing = make_spec(f"+callbacks.bad={FAILING % error}", folder="failing")
    fine = make_spec(folder="fine")
    records = train([failing, fine])
    assert [record.status for record in records] == [Status.FAILED, Status.COMPLETED]
    assert records[0].reason == reason
    assert len(RunDir(failing.folder).read_history()) == 1  # the epoch before
    assert "Traceback" in caplog.text


def test_interruption_is_recorded_and_passed_on(
    make_spec: MakeSpec, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "tests_interrupting.py").write_text(
        "import keras\n"
        "class Stop(keras.callbacks.Callback):\n"
        "    def on_epoch_begin(self, epoch, logs=None):\n"
        "        if epoch == 1:\n            raise KeyboardInterrupt\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    spec = make_spec("+callbacks.stop={_target_: tests_interrupting.Stop}")
    with pytest.raises(KeyboardInterrupt):
        train([spec])
    record = present(RunDir(spec.folder).read_record())
    assert (record.status, record.epochs_run) == (Status.INTERRUPTED, 1)


@pytest.mark.parametrize("trainer", ["compiled", "fit"])
def test_data_that_is_not_what_was_planned_fails_the_run(make_spec: MakeSpec, trainer: str) -> None:
    spec = make_spec(f"trainer={trainer}")
    [record] = train([replace(spec, data="0123456789abcdef")])
    assert record.status is Status.FAILED
    assert present(record.reason).startswith("the data is not what was planned: its fingerprint was 0123456789 and is ")
    assert train([replace(spec, data=loading.load(spec.config["data"]).fingerprint)])[0].status is Status.COMPLETED


FORKS = """
import os, keras
class Fork(keras.callbacks.Callback):
    def __init__(self, end):
        super().__init__()
        self.end = end
    def on_epoch_end(self, epoch, logs=None):
        child = os.fork()
        if child:
            os.waitpid(child, 0)
        elif self.end == "exit":
            raise SystemExit(0)
        elif self.end == "raise":
            raise ValueError("in the child")
"""


@pytest.mark.parametrize("end", ["go on", "exit", "raise"])
@pytest.mark.parametrize("trainer", ["compiled", "fit"])
def test_a_forked_child_writes_nothing_into_the_folder(
    make_spec: MakeSpec, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, trainer: str, end: str
) -> None:
    (tmp_path / "tests_forking.py").write_text(FORKS)
    monkeypatch.syspath_prepend(str(tmp_path))
    spec = make_spec(f"trainer={trainer}", f"+callbacks.fork={{_target_: tests_forking.Fork, end: {end}}}")
    [record] = train([spec])
    assert (record.status, record.epochs_run) == (Status.COMPLETED, 2)
    assert len(RunDir(spec.folder).read_history()) == 2


def test_the_reason_of_a_lost_run_is_one_line_without_secrets(make_spec: MakeSpec) -> None:
    spec = replace(make_spec(), hidden=Redaction(values=frozenset({"hush-hush"})))
    lost(spec, Status.FAILED, "two\nlines of hush-hush")
    assert present(RunDir(spec.folder).read_record()).reason == "two lines of <redacted>"


def test_what_is_finished_is_not_trained_again(make_spec: MakeSpec) -> None:
    spec = make_spec()
    train([spec])
    before = {path: path.read_bytes() for path in spec.folder.rglob("*") if path.is_file()}
    [record] = train([spec])
    assert record.status is Status.COMPLETED
    assert {path: path.read_bytes() for path in spec.folder.rglob("*") if path.is_file()} == before
    RunDir(spec.folder).record.write_text("{")  # damaged: no proof
    [record] = train([spec])
    assert record.status is Status.COMPLETED


def test_reasons_for_people() -> None:
    assert failures.reason(OSError(errno.ENOSPC, "No space left on device")) == "disk full"
    assert failures.reason(OSError(errno.EACCES, "Permission denied")).startswith("PermissionError: ")
    assert failures.reason(DataError("no such file")) == "no such file"
    assert failures.reason(RuntimeError("two\nlines")) == "RuntimeError: two lines"
