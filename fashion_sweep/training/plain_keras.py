"""A run in a plain Keras loop, step by step: what every engine has to equal.

The loop calls train_on_batch in the data order of a run, with the masks that every engine gives Dropout layers.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext

import keras
import numpy as np

from fashion_sweep.data.split import scale
from fashion_sweep.storage.record import METRICS
from fashion_sweep.training import model_setup
from fashion_sweep.training.engines.dropout import DropoutCalls, StepNoise
from fashion_sweep.training.job import Job

Trained = tuple[list[dict[str, float]], list[np.ndarray]]
"""History, a row of METRICS an epoch, and final weights."""


class PlainKeras:
    """Keras' own steps on a run's model."""

    def __init__(self, job: Job, *, compiled: bool = False, xla: bool = True) -> None:
        """compiled: each step as a graph, with masks of Keras' own, for layers whose random numbers depend on that.

        xla: whether XLA compiles the graph, too.
        """
        self._job, self._calls = job, DropoutCalls()
        self._steps, self._size = model_setup.steps_per_epoch(job), int(job.config["batch_size"])
        self.model = model_setup.compiled_model(job, run_eagerly=not compiled, jit_compile=compiled and xla)
        self._masked = nullcontext if compiled else self._calls.masked
        if not compiled:
            self._count_calls()

    def _count_calls(self) -> None:
        """Find the calls of Dropout layers in a step, without one."""
        self._calls.begin(_noise(0, 0, ()))
        with self._calls.masked(), keras.StatelessScope():
            self.model(scale(self._job.split.x_train[:2]), training=True)

    def trained(self) -> Trained:
        """Train the whole run."""
        split, history = self._job.split, []
        images = scale(split.x_val)
        for epoch in range(self._job.config["epochs"]):
            logs = self._epoch(epoch)
            found = self.model.evaluate(images, split.y_val, batch_size=self._size, verbose=0, return_dict=True)
            logs |= {f"val_{name}": value for name, value in found.items()}
            history.append({key: float(logs[key]) for key in METRICS})
        self.model.optimizer.finalize_variable_values(self.model.trainable_weights)
        return history, self.model.get_weights()

    def _epoch(self, epoch: int) -> dict[str, float]:
        """Means over the images of an epoch, each before the step on its batch."""
        split, order = self._job.split, model_setup.order(self._job, epoch)
        images, logs = scale(split.x_train), dict.fromkeys(("loss", "accuracy"), 0.0)
        for step in range(self._steps):
            batch = order[step * self._size : (step + 1) * self._size]
            self._calls.begin(_noise(self._job.config["seed"], epoch * self._steps + step, self._calls.rates))
            with self._masked():
                found = self.model.train_on_batch(images[batch], split.y_train[batch], return_dict=True)
            logs = {key: logs[key] + float(found[key]) * len(batch) / len(order) for key in logs}
        return logs


def _noise(seed: int, step: int, rates: Sequence[float]) -> StepNoise:
    return StepNoise(*map(keras.ops.convert_to_tensor, StepNoise.of(seed, step, rates)))
