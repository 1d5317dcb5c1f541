"""Callbacks: the files that checkpoints write, which of them need batches, and what of them is kept."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import own_parts
import pytest
from fixture_types import MakeSpec

from fashion_sweep.errors import ConfigError
from fashion_sweep.storage.record import Status
from fashion_sweep.storage.run_dir import RunDir
from fashion_sweep.training import callbacks, checkpoint
from fashion_sweep.training.train import train

OURS = "fashion_sweep.training.callbacks.ModelCheckpoint"


def saving(filepath: str, key: str = "x", target: str = OURS, **arguments: object) -> str:
    more = "".join(f", {name}: {value}" for name, value in arguments.items())
    return f"+callbacks.{key}={{_target_: {target}, filepath: '{filepath}'{more}}}"


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ([saving("e{epoch:02d}/model.keras")], ["e01/model.keras", "e02/model.keras"]),
        ([saving("{epoch}/{epoch}.keras")], ["1/1.keras", "2/2.keras"]),
        ([saving("a[1]*?.keras", save_best_only=True)], ["a[1]*?.keras"]),
        ([saving("w{epoch}.weights.h5", save_weights_only=True)], ["w1.weights.h5", "w2.weights.h5"]),
        ([saving("a.keras"), saving("b.keras", "y")], ["a.keras", "b.keras"]),
        # Eight batches an epoch, saved after the fifth, the tenth and the fifteenth.
        ([saving("b{batch:02d}.keras", save_freq=5), "trainer=compiled"], ["b02.keras", "b05.keras", "b07.keras"]),
        ([saving("{epoch}/k.keras", target="keras.callbacks.ModelCheckpoint")], ["1/k.keras", "2/k.keras"]),
    ],
)
@pytest.mark.parametrize("folder", ["run", "{run}"])
def test_each_checkpoint_is_where_its_name_says(
    make_spec: MakeSpec, folder: str, overrides: list[str], expected: list[str]
) -> None:
    spec = make_spec("callbacks=none", "save=none", *overrides, folder=folder)
    [record] = train([spec])
    assert record.status is Status.COMPLETED, record.reason
    saved = [path for path in spec.folder.rglob("*") if path.suffix in (".keras", ".h5")]
    assert sorted(str(path.relative_to(spec.folder)) for path in saved) == expected
    for name in expected:
        if name.endswith(".keras"):
            assert keras.saving.load_model(spec.folder / name).count_params() == 7510


def test_metrics_are_in_the_names_of_folders_and_files(make_spec: MakeSpec) -> None:
    spec = make_spec("callbacks=none", saving("{val_accuracy:.2f}/{val_loss:.2f}.keras"))
    train([spec])
    for row in RunDir(spec.folder).read_history():
        assert (spec.folder / f"{row['val_accuracy']:.2f}" / f"{row['val_loss']:.2f}.keras").is_file()


def on_batch(batch: int, logs: Any = None) -> None:
    pass


class Validates(keras.callbacks.Callback):  # type: ignore[misc]
    def on_test_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Anything."""


class Counts(keras.callbacks.TerminateOnNaN):  # type: ignore[misc]
    def on_train_batch_begin(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Anything."""


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: keras.callbacks.LambdaCallback(on_epoch_end=on_batch), False),
        (lambda: keras.callbacks.LambdaCallback(on_train_batch_end=on_batch), True),
        (lambda: keras.callbacks.LambdaCallback(on_test_batch_begin=on_batch), True),
        (Validates, True),
        (keras.callbacks.TerminateOnNaN, False),
        (Counts, True),
        (lambda: callbacks.ModelCheckpoint("x.keras"), False),
        (lambda: callbacks.ModelCheckpoint("x.keras", save_freq=2), True),
        (lambda: keras.callbacks.ModelCheckpoint("x.keras"), False),
        (lambda: keras.callbacks.TensorBoard("x"), False),
        (lambda: keras.callbacks.TensorBoard("x", update_freq=1), True),
        (lambda: own_parts.EarlyStopping(monitor="loss"), False),
    ],
)
def test_which_callbacks_need_batches(make: Callable[[], keras.callbacks.Callback], expected: bool) -> None:
    assert callbacks._needs_batches(make()) is expected


class Holds(keras.callbacks.Callback):  # type: ignore[misc]
    """Has another callback in an attribute, which no archive can hold."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = keras.callbacks.TerminateOnNaN()


def test_what_a_callback_keeps_is_told_by_its_class() -> None:
    known = keras.callbacks.EarlyStopping(monitor="loss")
    known.set_model(keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)]))
    known.on_train_begin()
    known.on_epoch_end(0, {"loss": 1.0})
    assert checkpoint.unsupported_reason([known, callbacks.ModelCheckpoint("x.keras")]) is None
    own = own_parts.EarlyStopping(monitor="loss")
    own.set_model(known.model)
    own.on_train_begin()
    own.on_epoch_end(0, {"loss": 1.0})  # now it has a function of Keras' among its attributes
    assert checkpoint.unsupported_reason([known, own]) == "callback EarlyStopping cannot be kept"
    assert checkpoint.unsupported_reason([Holds()]) == "callback Holds cannot be kept"


def test_a_callback_that_cannot_be_made_is_named_by_its_key(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"callbacks\.x\._target_=own_parts\.number returned float, expected a keras"):
        callbacks.make("x", {"_target_": "own_parts.number"}, tmp_path)


def test_a_refusal_is_recorded_without_a_traceback(make_spec: MakeSpec, caplog: pytest.LogCaptureFixture) -> None:
    [record] = train([make_spec("+callbacks.x={_target_: keras.callbacks.CSVLogger, file: x}")])
    assert record.status is Status.FAILED
    assert record.reason == (
        "callbacks.x._target_=keras.callbacks.CSVLogger cannot be made: TypeError: CSVLogger.__init__() got an "
        "unexpected keyword argument 'file'; its arguments are filename, separator, append"
    )
    assert "Traceback" not in caplog.text
    assert "The run failed" not in caplog.text


def test_the_learning_rate_of_a_schedule_can_be_monitored(make_spec: MakeSpec) -> None:
    stop = "+callbacks.x={_target_: keras.callbacks.EarlyStopping, monitor: learning_rate, mode: max, patience: 1}"
    spec = make_spec("schedule=cosine", stop, "epochs=5", "trainer=compiled")
    [record] = train([spec])
    assert (record.status, record.epochs_run) == (Status.COMPLETED, 2)
