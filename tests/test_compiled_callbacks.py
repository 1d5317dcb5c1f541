"""Keras callbacks under the compiled trainer."""

from __future__ import annotations

from pathlib import Path

import pytest
import tensorflow as tf
from fixture_types import MakeSpec

from fashion_sweep.storage.record import Status
from fashion_sweep.storage.run_dir import RunDir
from fashion_sweep.training.train import train


def test_keras_callbacks_work_at_epochs(make_spec: MakeSpec, tmp_path: Path) -> None:
    def node(target: str, **arguments: object) -> str:
        return (
            "{"
            + ", ".join(f"{k}: {v}" for k, v in {"_target_": f"keras.callbacks.{target}", **arguments}.items())
            + "}"
        )

    spec = make_spec(
        "trainer=compiled", "epochs=4",
        f"+callbacks.reduce={node('ReduceLROnPlateau', patience=1, factor=0.1, min_delta=10)}",
        f"+callbacks.csv={node('CSVLogger', filename='keras.csv')}",
        f"+callbacks.nan={node('TerminateOnNaN')}",
        f"+callbacks.board={node('TensorBoard', log_dir='board')}",
    )  # fmt: skip
    [record] = train([spec])
    assert record.status is Status.COMPLETED, record.reason
    rates = [row["learning_rate"] for row in RunDir(spec.folder).read_history()]
    assert rates == pytest.approx([1e-3, 1e-3, 1e-4, 1e-5])
    assert len((spec.folder / "keras.csv").read_text().splitlines()) == 5
    events = list((spec.folder / "board").rglob("events*"))
    tags = {
        value.tag
        for path in events
        for event in tf.compat.v1.train.summary_iterator(str(path))
        for value in event.summary.value
    }
    assert {"epoch_loss", "epoch_accuracy"} <= tags


def test_a_callback_that_changes_the_learning_rate_changes_the_training(make_spec: MakeSpec) -> None:
    stop = "{_target_: keras.callbacks.LearningRateScheduler, schedule: {_target_: hydra.utils.get_method, path: " \
        "test_compiled_callbacks.no_learning}}"  # fmt: skip
    spec = make_spec("trainer=compiled", "epochs=3", f"+callbacks.stop={stop}")
    train([spec])
    losses = [row["val_loss"] for row in RunDir(spec.folder).read_history()]
    assert losses[0] == pytest.approx(losses[2], rel=1e-6)


def no_learning(epoch: int, rate: float) -> float:
    return 1e-12


def test_a_callback_on_batches_is_given_to_fit(
    make_spec: MakeSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    (tmp_path / "batch_callbacks.py").write_text(
        "import keras\nclass Count(keras.callbacks.Callback):\n"
        "    def __init__(self, filename):\n        super().__init__()\n        self.filename = filename\n"
        "    def on_train_batch_end(self, batch, logs=None):\n        open(self.filename, 'a').write('x')\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    spec = make_spec("trainer=compiled", "+callbacks.count={_target_: batch_callbacks.Count, filename: count.txt}")
    [record] = train([spec])
    assert record.status is Status.COMPLETED
    assert (spec.folder / "count.txt").read_text() == 16 * "x"  # two epochs of eight batches
    assert "run: trainer fit instead of compiled: callback Count works on batches" in caplog.messages


def test_a_run_that_fails_in_a_pack_costs_itself_alone(
    make_spec: MakeSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bad_callbacks.py").write_text(
        "import keras\nclass Bad(keras.callbacks.Callback):\n"
        "    def on_epoch_end(self, epoch, logs=None):\n        raise RuntimeError('on purpose')\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    words = ("trainer=compiled", "model.hidden_units=[20]")
    good, bad = (
        make_spec(*words, folder="good"),
        make_spec(*words, "+callbacks.b={_target_: bad_callbacks.Bad}", folder="bad"),
    )
    records = train([bad, good])
    assert [(record.status, record.pack) for record in records] == [(Status.FAILED, 2), (Status.COMPLETED, 2)]
    assert records[0].reason == "RuntimeError: on purpose"
