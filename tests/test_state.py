"""A run that is interrupted in the middle goes on as if nothing had happened."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest
from fixture_types import MakeSpec
from optional import present

from fashion_sweep.config.run_spec import RunSpec
from fashion_sweep.storage.record import RunRecord, Status
from fashion_sweep.storage.run_dir import RunDir
from fashion_sweep.training import checkpoint, save_interval
from fashion_sweep.training.train import train

INTERRUPT = "+callbacks.interrupt={_target_: interrupting.Interrupt, epoch: 3, log_dir: x}"
REDUCE = "+callbacks.reduce={_target_: keras.callbacks.ReduceLROnPlateau, patience: 1, min_delta: 1}"
OWN = "+callbacks.own={_target_: interrupting.Averaged}"
CASES = [
    *(["optimizer=" + name, "model.dropout=0.3"] for name in ("adam", "rmsprop", "momentum", "adagrad", "nadam")),
    ["optimizer=adamw", "optimizer.use_ema=true"],
    ["optimizer=sgd", "schedule=cosine"],
    ["callbacks=checkpoint_early_stopping", "callbacks.early_stopping.patience=1", "optimizer.learning_rate=0.03"],
    ["optimizer.learning_rate=0.02", REDUCE],
    [OWN],
]


def interrupted(specs: list[RunSpec]) -> list[RunRecord]:
    with pytest.raises(KeyboardInterrupt):
        train(specs)
    return [present(RunDir(spec.folder).read_record()) for spec in specs]


def never_interrupted(spec: RunSpec) -> RunSpec:
    spec.folder.mkdir()
    (spec.folder / "x.interrupted").write_text("")
    return spec


def history(spec: RunSpec) -> list[str]:
    """Lines of history.csv without the seconds, the last column."""
    return [line.rpartition(",")[0] for line in RunDir(spec.folder).history.read_text().splitlines()]


def weights(spec: RunSpec, name: str = "last.keras") -> list[np.ndarray]:
    saved: list[np.ndarray] = keras.models.load_model(spec.folder / name).get_weights()
    return saved


@pytest.mark.parametrize(
    ("trainer", "overrides"),
    [*(("compiled", case) for case in CASES), *(("fit", case) for case in (CASES[0], CASES[-3]))],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_a_run_that_goes_on_equals_one_that_never_stopped(
    make_spec: MakeSpec, trainer: str, overrides: list[str]
) -> None:
    lines = [f"trainer={trainer}", "epochs=7", INTERRUPT, *overrides]
    whole, stopped = never_interrupted(make_spec(*lines, folder="whole")), make_spec(*lines, folder="stopped")
    train([whole])
    [record] = interrupted([stopped])
    assert (record.status, record.reason, record.epochs_run) == (Status.INTERRUPTED, "stopped after epoch 4", 4)
    assert RunDir(stopped.folder).state.exists()
    [record] = train([stopped])
    assert (record.status, record.attempt) == (Status.COMPLETED, 2)
    assert history(stopped) == history(whole)
    assert not RunDir(stopped.folder).state.exists()
    for name in ("last.keras", "best.keras"):
        for one, other in zip(weights(whole, name), weights(stopped, name), strict=True):
            np.testing.assert_array_equal(one, other)


def test_a_pack_goes_on_while_a_run_that_begins_is_trained_by_itself(make_spec: MakeSpec) -> None:
    lines = ["trainer=compiled", "epochs=6", "model.dropout=0.3", INTERRUPT]
    alike = [never_interrupted(make_spec(*lines, f"seed={seed}", folder=f"whole{seed}")) for seed in range(4)]
    train(alike)
    pack = [make_spec(*lines, f"seed={seed}", folder=f"pack{seed}") for seed in range(4)]
    interrupted([pack[0], *map(never_interrupted, pack[1:3])])
    records = train([*pack[:3], never_interrupted(pack[3])])
    assert [(record.status.value, record.attempt, record.pack) for record in records] == [
        *[("completed", 2, 3)] * 3,
        ("completed", 1, 1),
    ]
    for one, other in zip(pack, alike, strict=True):
        rows, expected = (RunDir(spec.folder).read_history() for spec in (one, other))
        assert [row["epoch"] for row in rows] == [1, 2, 3, 4, 5, 6]
        assert [row["val_loss"] for row in rows] == pytest.approx([row["val_loss"] for row in expected], rel=2e-5)


@pytest.mark.parametrize("trainer", ["fit", "compiled"])
def test_a_callback_whose_memory_cannot_be_kept_has_the_run_start_again(make_spec: MakeSpec, trainer: str) -> None:
    unkept = "+callbacks.own={_target_: interrupting.Unkept}"
    lines = [f"trainer={trainer}", "epochs=5", INTERRUPT, unkept]
    whole, stopped = never_interrupted(make_spec(*lines, folder="whole")), make_spec(*lines, folder="stopped")
    train([whole])
    interrupted([stopped])
    assert not RunDir(stopped.folder).state.exists()
    [record] = train([stopped])
    assert (record.status, record.epochs_run, record.attempt) == (Status.COMPLETED, 5, 2)
    assert history(stopped) == history(whole)


def test_keras_csv_logger_has_the_run_start_again(make_spec: MakeSpec) -> None:
    logger = "+callbacks.csv={_target_: keras.callbacks.CSVLogger, filename: keras.csv}"
    spec = make_spec("trainer=compiled", "epochs=5", INTERRUPT, logger)
    interrupted([spec])
    assert train([spec])[0].status is Status.COMPLETED
    assert len((spec.folder / "keras.csv").read_text().splitlines()) == 6


def _torn(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-2000])


def _of_other_versions(path: Path) -> None:
    with np.load(path) as archive:
        arrays = [archive[name] for name in archive.files]
    note = json.loads(str(arrays[0]))
    note["stamp"]["versions"]["keras"] = "0.0"
    np.savez(path, np.array(json.dumps(note)), *arrays[1:])


def _of_another_model(path: Path) -> None:
    with np.load(path) as archive:
        arrays = [archive[name] for name in archive.files]
    np.savez(path, arrays[0], arrays[1][:-1], *arrays[2:])


@pytest.mark.parametrize("trainer", ["fit", "compiled"])
@pytest.mark.parametrize("damage", [_torn, _of_other_versions, _of_another_model])
def test_a_state_that_does_not_fit_has_the_run_start_again(
    make_spec: MakeSpec, trainer: str, damage: Callable[[Path], None]
) -> None:
    lines = [f"trainer={trainer}", "epochs=5", INTERRUPT]
    whole, stopped = never_interrupted(make_spec(*lines, folder="whole")), make_spec(*lines, folder="stopped")
    train([whole])
    interrupted([stopped])
    damage(RunDir(stopped.folder).state)
    [record] = train([stopped])
    assert (record.status, record.epochs_run) == (Status.COMPLETED, 5)
    assert history(stopped) == history(whole)


def test_a_history_that_lacks_epochs_of_the_state_has_the_run_start_again(make_spec: MakeSpec) -> None:
    spec = make_spec("trainer=compiled", "epochs=5", INTERRUPT)
    interrupted([spec])
    text = RunDir(spec.folder).history.read_text().splitlines(keepends=True)
    RunDir(spec.folder).history.write_text("".join(text[:2]))
    train([spec])
    assert [row["epoch"] for row in RunDir(spec.folder).read_history()] == [1, 2, 3, 4, 5]


def test_sigterm_ends_a_run_like_ctrl_c(make_spec: MakeSpec) -> None:
    before = signal.getsignal(signal.SIGTERM)
    spec = make_spec("epochs=5", INTERRUPT.replace("log_dir: x", f"log_dir: x, number: {int(signal.SIGTERM)}"))
    assert interrupted([spec])[0].epochs_run == 4
    assert signal.getsignal(signal.SIGTERM) is before


def test_what_is_saved_does_not_grow_the_optimizer() -> None:
    """Building it once more adds variables to Keras' LossScaleOptimizer, also to the model that is saved."""
    model = keras.Sequential([keras.layers.Input((2,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD()), "mse")
    sizes = [len(checkpoint.of(model, [], 0).variables) for _ in range(3)]
    assert sizes == [len(model.variables) + len(model.optimizer.variables)] * 3


def test_saving_never_takes_more_than_its_share() -> None:
    now = [0.0]
    pace = save_interval.SaveInterval(lambda: now[0])
    saves = []
    for _ in range(100_000):
        now[0] += 0.01  # an epoch
        if pace.is_due:
            started = now[0]
            now[0] += 0.05  # a save
            pace.saved(started)
            saves.append(started)
    assert len(saves) == pytest.approx(now[0] / 5, rel=0.02)
    assert 0.05 * len(saves) / now[0] <= save_interval.SHARE
