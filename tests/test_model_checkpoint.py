"""Best models whose writing is put off are those that Keras writes at once."""

from __future__ import annotations

import signal
import zipfile
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest
from fixture_types import MakeSpec

from fashion_sweep.storage.record import Status
from fashion_sweep.storage.run_dir import RunDir
from fashion_sweep.training import model_checkpoint, packed
from fashion_sweep.training.model_checkpoint import ModelCheckpoint
from fashion_sweep.training.recorder import Recorder
from fashion_sweep.training.train import RunSpec, train

PATH = "+callbacks.own={_target_: fashion_sweep.training.callbacks.ModelCheckpoint, save_best_only: true, filepath: "
SETTINGS = ("trainer=compiled", "epochs=6", "optimizer.learning_rate=0.05", "callbacks=checkpoint")


@pytest.fixture
def writes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the models that are written, in order."""
    names: list[str] = []
    for method in ("save", "save_weights"):
        before = getattr(keras.Model, method)

        def noted(model: Any, path: Any, *arguments: Any, _before: Any = before, **options: Any) -> Any:
            names.append(Path(path).name)
            return _before(model, path, *arguments, **options)

        monkeypatch.setattr(keras.Model, method, noted)
    return names


def never(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put writing off to the end of training."""
    monkeypatch.setattr(model_checkpoint, "SHARE", 1e-9)


def arrays(path: Path) -> dict[str, np.ndarray]:
    """All arrays of a saved model, weights and optimizer, by their place in it."""
    found: dict[str, np.ndarray] = {}

    def note(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            found[name] = item[()]

    with zipfile.ZipFile(path) as archive, archive.open("model.weights.h5") as file, h5py.File(file) as weights:
        weights.visititems(note)
    return found


def assert_equal(one: RunSpec, other: RunSpec, names: set[str]) -> None:
    for name in names:
        mine, others = arrays(one.folder / name), arrays(other.folder / name)
        assert mine.keys() == others.keys()
        assert len(mine) > 4
        for key in mine:
            np.testing.assert_array_equal(mine[key], others[key])


def models(spec: RunSpec) -> set[str]:
    return {path.name for path in spec.folder.glob("*.keras")}


@pytest.mark.parametrize(
    "more",
    [[], ["callbacks=checkpoint_early_stopping"], [PATH + "'epoch_{epoch}.keras'}"]],
    ids=["best", "stop", "each"],
)
def test_files_are_those_that_are_written_at_once(
    make_spec: MakeSpec, monkeypatch: pytest.MonkeyPatch, writes: list[str], more: list[str]
) -> None:
    monkeypatch.setattr(model_checkpoint, "SHARE", 1e9)
    at_once = make_spec(*SETTINGS, *more, folder="once")
    train([at_once])
    count = len(writes)
    never(monkeypatch)
    put_off = make_spec(*SETTINGS, *more, folder="off")
    train([put_off])
    assert models(at_once) == models(put_off)
    assert models(put_off) >= {"best.keras", "last.keras"}
    assert_equal(at_once, put_off, models(put_off))
    assert RunDir(at_once.folder).read_history()[-1]["loss"] == RunDir(put_off.folder).read_history()[-1]["loss"]
    assert more[:1] == [PATH + "'epoch_{epoch}.keras'}"] or len(writes) - count < count


def test_a_pack_writes_the_best_model_of_each_run_once_more_at_its_end(
    make_spec: MakeSpec, monkeypatch: pytest.MonkeyPatch, writes: list[str]
) -> None:
    never(monkeypatch)
    packs = [make_spec(*SETTINGS, f"seed={seed}", "model.dropout=0.3", folder=f"p{seed}") for seed in range(2)]
    alone = [make_spec(*SETTINGS, f"seed={seed}", "model.dropout=0.3", folder=f"a{seed}") for seed in range(2)]
    assert [record.pack for record in train(packs)] == [2, 2]
    assert sum(name.endswith("best.keras") for name in writes) == 4  # after the first epoch, and at the end
    for spec in alone:
        train([spec])
    for one, other in zip(packs, alone, strict=True):
        mine, others = arrays(one.folder / "best.keras"), arrays(other.folder / "best.keras")
        for key in mine:
            np.testing.assert_allclose(mine[key], others[key], rtol=1e-3, atol=1e-5)


def test_a_callback_that_may_look_for_the_file_finds_it(
    make_spec: MakeSpec, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, writes: list[str]
) -> None:
    never(monkeypatch)
    (tmp_path / "looking.py").write_text(
        "import keras, pathlib\nclass Looks(keras.callbacks.Callback):\n"
        "    def __init__(self, filename):\n        super().__init__()\n        self.path = pathlib.Path(filename)\n"
        "    def on_epoch_end(self, epoch, logs=None):\n        assert self.path.is_file(), 'no file'\n"
        "        self.path.unlink()\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    each = "+callbacks.all={_target_: fashion_sweep.training.callbacks.ModelCheckpoint, filepath: every.keras}"
    looks = "+callbacks.looks={_target_: looking.Looks, filename: every.keras}"
    [record] = train([make_spec(*SETTINGS, each, looks)])
    assert record.status is Status.COMPLETED, record.reason
    assert sum(name.endswith("every.keras") for name in writes) == 6


def test_a_run_that_fails_keeps_its_best_model(
    make_spec: MakeSpec, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(ModelCheckpoint, "on_epoch_end", _failing_at(4, ModelCheckpoint.on_epoch_end))
    never(monkeypatch)
    spec = make_spec(*SETTINGS)
    [record] = train([spec])
    assert record.status is Status.FAILED
    monkeypatch.undo()
    whole = make_spec(*SETTINGS, "epochs=4", folder="whole")
    train([whole])
    best = RunDir(whole.folder).read_record()
    assert best is not None
    assert_equal(spec, whole, {"best.keras"})


def _failing_at(number: int, method: Any) -> Any:
    def failing(callback: Any, epoch: int, logs: Any = None) -> None:
        if epoch == number:
            raise RuntimeError("on purpose")
        method(callback, epoch, logs)

    return failing


def test_a_best_model_that_was_not_written_when_its_run_was_interrupted_is_written_when_it_goes_on(
    make_spec: MakeSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    never(monkeypatch)
    lines = (*SETTINGS, "optimizer.learning_rate=0.001")
    whole, stopped = make_spec(*lines, folder="whole"), make_spec(*lines, folder="stopped")
    train([whole])
    report = Recorder.epoch

    def interrupted(recorder: Recorder, metrics: Any) -> None:
        report(recorder, metrics)
        if len(recorder.rows) == 3:
            signal.raise_signal(signal.SIGINT)

    with monkeypatch.context() as patch:
        patch.setattr(Recorder, "epoch", interrupted)
        patch.setattr(packed, "LAST_S", -1.0)
        with pytest.raises(KeyboardInterrupt):
            train([stopped])
    first = arrays(stopped.folder / "best.keras")
    with monkeypatch.context() as patch:  # no epoch after the interruption is better
        patch.setattr(ModelCheckpoint, "on_epoch_end", lambda *_arguments: None)
        [record] = train([stopped])
    assert record.status is Status.COMPLETED
    third = make_spec(*lines, "epochs=3", folder="third")
    train([third])
    assert any((first[key] != value).any() for key, value in arrays(stopped.folder / "best.keras").items())
    assert_equal(stopped, third, {"best.keras"})
