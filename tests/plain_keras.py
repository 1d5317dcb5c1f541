"""A plain Keras loop over the batches of the compiled trainer, with its dropout masks: what runs have to equal."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from fashion_sweep.config.run_spec import RunSpec
from fashion_sweep.data import split as data_split
from fashion_sweep.storage.record import METRICS
from fashion_sweep.storage.run_dir import RunDir
from fashion_sweep.training import model_setup
from fashion_sweep.training.engines.dropout import DropoutCalls, StepNoise, scales, thresholds
from fashion_sweep.training.job import Job

Expected = tuple[list[dict[str, float]], list[np.ndarray]]
"""History and final weights."""


class PlainKeras:
    """Keras' own steps, one by one, uncompiled."""

    def __init__(self, spec: RunSpec) -> None:
        self._job, self._calls = Job(spec), DropoutCalls()
        self._steps = model_setup.steps_per_epoch(self._job)
        self._model = model_setup.compiled_model(self._job, run_eagerly=True)
        self._size = self._job.config["batch_size"]

    def trained(self) -> Expected:
        """History and final weights of train_on_batch."""
        split = self._job.split
        images, history = data_split.scale(split.x_val), []
        for epoch in range(self._job.config["epochs"]):
            logs = self._epoch(epoch)
            found = self._model.evaluate(images, split.y_val, batch_size=self._size, verbose=0, return_dict=True)
            logs |= {f"val_{name}": value for name, value in found.items()}
            history.append({key: float(logs[key]) for key in METRICS})
        self._model.optimizer.finalize_variable_values(self._model.trainable_weights)
        return history, self._model.get_weights()

    def _epoch(self, epoch: int) -> dict[str, float]:
        """Means over the images of an epoch, each before the step on its batch."""
        split, order = self._job.split, model_setup.order(self._job, epoch)
        images, logs = data_split.scale(split.x_train), dict.fromkeys(("loss", "accuracy"), 0.0)
        for step in range(self._steps):
            batch = order[step * self._size : (step + 1) * self._size]
            self._calls.begin(self._noise(epoch * self._steps + step))
            with self._calls.masked():
                found = self._model.train_on_batch(images[batch], split.y_train[batch], return_dict=True)
            logs = {key: logs[key] + float(found[key]) * len(batch) / len(order) for key in logs}
        return logs

    def _noise(self, step: int) -> StepNoise:
        if step == 0:  # the calls are counted
            self._calls.begin(_noise(0, 0, []))
            with self._calls.masked(), keras.StatelessScope():
                self._model(data_split.scale(self._job.split.x_train[:2]), training=True)
        return _noise(self._job.config["seed"], step, self._calls.rates)


def _noise(seed: int, step: int, rates: list[float]) -> StepNoise:
    numbers: list[Any] = [np.uint32(seed), np.uint32(step), thresholds(rates), scales(rates)]
    return StepNoise(*map(keras.ops.convert_to_tensor, numbers))


def plain_keras(spec: RunSpec) -> Expected:
    """History and final weights of a run in a plain loop."""
    return PlainKeras(spec).trained()


def assert_close(spec: RunSpec, expected: Expected, tolerance: float) -> None:
    """Compare a trained run with a plain loop. tolerance: largest relative difference of losses."""
    history, weights = expected
    got = RunDir(spec.folder).read_history()
    assert len(got) == len(history)
    for row, reference in zip(got, history, strict=True):
        for key in ("loss", "val_loss"):
            assert row[key] == pytest.approx(reference[key], rel=tolerance), key
        for key in ("accuracy", "val_accuracy"):
            assert row[key] == pytest.approx(reference[key], abs=1.5 / 64), key  # one image on the edge at most
    saved = keras.models.load_model(RunDir(spec.folder).last_model, safe_mode=True)
    for one, two in zip(saved.get_weights(), weights, strict=True):
        np.testing.assert_allclose(one, two, rtol=50 * tolerance, atol=5 * tolerance)
