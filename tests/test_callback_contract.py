"""What callbacks see and what they may change under the compiled trainer: the same as in model.fit."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from fixture_types import MakeSpec

from fashion_sweep.config.run_spec import RunSpec
from fashion_sweep.storage.record import Status
from fashion_sweep.storage.run_dir import RunDir
from fashion_sweep.training.train import train

WORDS = ("model.hidden_units=[12]", "epochs=3", "batch_size=48", "callbacks=none", "optimizer.learning_rate=0.01")


def own(kind: str, **arguments: str) -> str:
    given = "".join(f", {key}: {value}" for key, value in arguments.items())
    return f"+callbacks.own={{_target_: hook_callbacks.{kind}{given}}}"


def losses(spec: RunSpec) -> list[tuple[float, float]]:
    return [(row["loss"], row["val_loss"]) for row in RunDir(spec.folder).read_history()]


def weights(spec: RunSpec) -> list[np.ndarray]:
    return list(keras.models.load_model(RunDir(spec.folder).last_model).get_weights())


def assert_same(make_spec: MakeSpec, *words: str) -> None:
    """The compiled trainer, alone and in a pack, against fit."""
    fit, alone, first, second = (
        make_spec(f"trainer={trainer}", *WORDS, *words, f"seed={seed}", folder=name)
        for trainer, seed, name in (
            *(("fit", 1, "fit"), ("compiled", 1, "alone")),
            *(("compiled", 2, "first"), ("compiled", 1, "second")),
        )
    )
    records = [*train([fit]), *train([alone]), *train([first, second])]
    assert [record.reason for record in records] == [None] * 4
    for spec in (alone, second):
        np.testing.assert_allclose(losses(spec), losses(fit), rtol=2e-5)
        for one, two in zip(weights(spec), weights(fit), strict=True):
            np.testing.assert_allclose(one, two, rtol=1e-3, atol=1e-5)


def test_every_hook_at_epochs_is_called_as_fit_calls_it(make_spec: MakeSpec) -> None:
    specs = [
        make_spec(f"trainer={name}", *WORDS, own("Diary", filename="d"), folder=name) for name in ("fit", "compiled")
    ]
    for spec in specs:
        train([spec])
    expected, found = ((spec.folder / "d").read_text().splitlines() for spec in specs)
    assert found == expected
    assert len(found) == 2 + 3 * 4
    assert '"steps": 6' in found[0]


@pytest.mark.slow
@pytest.mark.parametrize("hook", ["on_epoch_begin", "on_test_begin", "on_test_end", "on_epoch_end", "on_train_begin"])
def test_weights_that_a_callback_changes_are_trained_on(make_spec: MakeSpec, hook: str) -> None:
    assert_same(make_spec, own("Shrink", hook=hook))


SWAP = "+callbacks.swap={_target_: keras.callbacks.SwapEMAWeights, swap_on_epoch: true}"


@pytest.mark.slow
@pytest.mark.parametrize("words", [(), (SWAP,), (SWAP, "optimizer=sgd")])
def test_averaged_weights_are_validated_and_saved(make_spec: MakeSpec, words: tuple[str, ...]) -> None:
    assert_same(make_spec, "optimizer.use_ema=true", "optimizer.ema_momentum=0.9", *words)


def test_a_run_that_is_stopped_where_fit_would_train_one_batch_more_fails(make_spec: MakeSpec) -> None:
    spec = make_spec("trainer=compiled", *WORDS, own("StopAtBegin"))
    [record] = train([spec])
    assert record.status is Status.FAILED
    assert record.reason == "a callback stopped the run at the beginning of an epoch, expected at its end"
    assert len(losses(spec)) == 1
