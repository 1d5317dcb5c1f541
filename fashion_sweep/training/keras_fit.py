"""Training with Keras' own model.fit.

Two things make it fast: float32 input (the usual ``images / 255.0`` is float64, which Keras casts batch by batch), and
many steps between two returns to Python.

The data is shuffled here and not by Keras: once ``keras.utils.set_random_seed`` has been called, model.fit on arrays
draws the same order in every epoch (seen in Keras 3.15), and overfits sooner than the same run unseeded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import keras
import numpy as np

from fashion_sweep.data.split import Split, scale
from fashion_sweep.training import callbacks, checkpoint, interruption, model_setup
from fashion_sweep.training.job import Job, running
from fashion_sweep.training.save_interval import SaveInterval


def train(jobs: Sequence[Job], steps_per_execution: int, jit_compile: bool | str) -> None:
    """Train runs one after another; the options are described in conf/trainer/fit.yaml."""
    for job in jobs:
        with running([job]):
            job.end(fitted(job, steps_per_execution, jit_compile))


def fitted(job: Job, steps_per_execution: int, jit_compile: bool | str) -> keras.Model:
    """The trained model of one run, with the weights that its callbacks leave. The run has to be running."""
    steps = model_setup.steps_per_epoch(job)
    model = model_setup.compiled_model(
        job, steps_per_execution=min(steps_per_execution, steps), jit_compile=jit_compile
    )
    model_setup.describe(job, model)
    shuffled = _Shuffled(job)
    saver = _StateSaver(job, callbacks.of(job))
    model.fit(
        shuffled.batches(steps),
        initial_epoch=job.restore(model),
        epochs=job.config["epochs"],
        validation_data=(_scaled(job.split)[1], job.split.y_val),
        validation_batch_size=job.config["batch_size"],
        callbacks=[shuffled, *saver.others, saver],
        shuffle=False,
        verbose=0,
    )
    return model


class _StateSaver(keras.callbacks.Callback):  # type: ignore[misc]
    """Saves the state of a run after its other callbacks, restores theirs, and ends an interrupted run."""

    def __init__(self, job: Job, others: list[keras.callbacks.Callback]) -> None:
        super().__init__()
        self._job, self.others, self._interval = job, others, SaveInterval()

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:  # noqa: ARG002 - Keras' signature
        """Restore the other callbacks, which have just reset their attributes."""
        if self._job.state is not None:
            self._job.state.restore_callbacks(self.others)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:  # noqa: ARG002 - Keras' signature
        """Save if it is time; raise what has interrupted the run."""
        is_time = self._interval.is_due or interruption.is_requested()
        if is_time and checkpoint.unsupported_reason(self.others) is None:
            started = self._interval.clock()
            self._job.save_state(self.model, self.others)
            self._interval.saved(started)
        interruption.check()


class _Shuffled(keras.callbacks.Callback):  # type: ignore[misc]
    """The training images in another order in each epoch."""

    def __init__(self, job: Job) -> None:
        super().__init__()
        self._job, self._epoch = job, 0

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:  # noqa: ARG002 - Keras' signature
        """Set the epoch; Keras reads its batches only after this."""
        self._epoch = epoch

    def batches(self, steps: int) -> Any:
        """Images and labels of an epoch's ``steps`` batches, in the order of the epoch that started last."""
        size = int(self._job.config["batch_size"])
        images, labels = _scaled(self._job.split)[0], self._job.split.y_train
        make = _in_tensorflow if keras.config.backend() == "tensorflow" else _InPython
        return make(images, labels, self._order, steps, size)

    def _order(self) -> np.ndarray:
        return model_setup.order(self._job, self._epoch)


def _in_tensorflow(
    images: np.ndarray, labels: np.ndarray, order: Callable[[], np.ndarray], steps: int, size: int
) -> Any:
    """A tf.data.Dataset: on TensorFlow Keras takes a fifth more processor time for batches that are made in Python."""
    import tensorflow as tf

    x, y = tf.constant(images), tf.constant(labels)

    def batch(order: Any, step: Any) -> tuple[Any, Any]:
        chosen = order[step * size : (step + 1) * size]
        return tf.gather(x, chosen), tf.gather(y, chosen)

    every = tf.data.Dataset.from_generator(lambda: iter([order()]), output_signature=tf.TensorSpec([None], tf.int64))
    steps_of = every.flat_map(lambda order: tf.data.Dataset.range(steps).map(lambda step: batch(order, step)))
    return steps_of.apply(tf.data.experimental.assert_cardinality(steps)).prefetch(tf.data.AUTOTUNE)


class _InPython(keras.utils.PyDataset):  # type: ignore[misc]
    """The same for other backends."""

    def __init__(
        self, images: np.ndarray, labels: np.ndarray, order: Callable[[], np.ndarray], steps: int, size: int
    ) -> None:
        super().__init__()
        self._images, self._labels, self._new_order, self._steps, self._size = images, labels, order, steps, size
        self._order = order()

    def __len__(self) -> int:
        return self._steps

    def __getitem__(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        if step == 0:
            self._order = self._new_order()
        chosen = self._order[step * self._size : (step + 1) * self._size]
        return self._images[chosen], self._labels[chosen]


@lru_cache(maxsize=1)
def _scaled(split: Split) -> tuple[np.ndarray, np.ndarray]:
    """Training and validation images as input of a model, kept for the next run of a sweep."""
    return scale(split.x_train), scale(split.x_val)
