"""Whole epochs of a pack of runs as one XLA program.

A training step of a small network is a tenth of a millisecond of arithmetic and a whole one of overhead; here the loop
over steps is compiled too. Learning rates, dropout rates, seeds and most scalar arguments of optimizers are inputs, so
that a grid over them compiles once, and a program is kept and loaded with new weights for the next pack that it fits.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from fashion_sweep.data import split
from fashion_sweep.training.engines import keras_internals
from fashion_sweep.training.engines.base import Arrays, EpochInputs, EpochResult
from fashion_sweep.training.engines.tensorflow import hyperparameters, rows, stacking
from fashion_sweep.training.engines.tensorflow.dropout import DropoutInputs, scales, thresholds
from fashion_sweep.training.engines.tensorflow.tracing import Traced
from fashion_sweep.training.engines.tensorflow.validation import loss_and_correct


class TrainingProgram:
    """Trains R runs of one architecture together; see ``engines.base.Program``.

    models: R built Keras models, used for their architecture; optimizer: new, not built, of the kind that all runs
    have; its learning rate is replaced by the input of ``epoch``, its hyperparameters by those of the loaded models.
    """

    def __init__(self, models: Sequence[keras.Model], optimizer: Any, batch_size: int) -> None:
        self.runs, self._batch, self._noise = len(models), batch_size, DropoutInputs()
        self.model = stacking.stack(models, self._noise)
        self._learning_rate: Any = None
        self._rates: Any = None  # of the step that is traced, [R]
        self._inputs, self._values = hyperparameters.names(optimizer), np.empty((0, self.runs))
        self._traced_values: Any = None  # the hyperparameters as tensors, float64 [inputs, R]
        keras_internals.set_learning_rate(optimizer, lambda: self._learning_rate)
        optimizer.build(self.model.trainable_variables)
        self._optimizer = optimizer
        if self.runs > 1 and any(map(rows.is_table, self.model.trainable_variables)):
            keras_internals.on_each_variable(optimizer, self._set_numbers, self._set_numbers)  # tables differ in shape
        self._fresh = [variable.numpy() for variable in optimizer.variables]
        self._epoch = Traced(self._train_steps, models[0])

    def load(self, models: Sequence[keras.Model]) -> None:
        """See ``engines.base.Program.load``."""
        for variable, value in zip(self._optimizer.variables, self._fresh, strict=True):
            variable.assign(value)
        self._values = hyperparameters.values([model.optimizer for model in models], self._inputs)
        for row, model in enumerate(models):
            if model is not self.model:
                rows.load(self.model.weights, row, [weight.value for weight in model.weights])
            if model.optimizer.built and model.optimizer.iterations > 0:
                rows.load(self._optimizer.variables, row, [each.value for each in model.optimizer.variables])

    def store(self, row: int, model: keras.Model) -> None:
        """See ``engines.base.Program.store``."""
        if model is not self.model:
            for own, both in zip(model.weights, self.model.weights, strict=True):
                own.assign(rows.row_of(both, row, own.shape))
        optimizer = model.optimizer
        optimizer.build(model.trainable_variables)
        for own, both in zip(optimizer.variables, self._optimizer.variables, strict=True):
            if own is not keras_internals.learning_rate(optimizer):  # callbacks may have changed it
                own.assign(rows.row_of(both, row, own.shape))

    def epoch(self, arrays: Arrays, inputs: EpochInputs) -> EpochResult:
        """See ``engines.base.Program.epoch``."""
        numbers, rates = self._batches(inputs.orders), inputs.dropout_rates
        noise = (np.asarray(inputs.seeds).astype("uint32"), thresholds(rates).T, scales(rates).T)
        sums = self._epoch(
            [tf.gather(arrays.x_train, some) for some in numbers],
            [tf.gather(arrays.y_train, some) for some in numbers],
            [tf.constant(inputs.learning_rates.astype("float32")), tf.constant(self._values, tf.float64)],
            [tf.constant(each) for each in noise],
            tf.constant(inputs.first_step % 2**32, tf.uint32),
        )
        return EpochResult.of_sums(sums, inputs.orders.shape[1])

    def _batches(self, orders: np.ndarray) -> tuple[Any, Any]:
        """Which images each step trains on, run after run: of the whole batches [S, R * B], of the rest [R * rest]."""
        runs, count = orders.shape
        whole = count // self._batch
        order = tf.constant(orders.astype("int32"))
        steps = tf.transpose(tf.reshape(order[:, : whole * self._batch], (runs, whole, self._batch)), (1, 0, 2))
        return tf.reshape(steps, (whole, -1)), tf.reshape(order[:, whole * self._batch :], (-1,))

    def _train_steps(self, xs: Any, ys: Any, numbers: Any, noise: Any, first: Any) -> Any:
        """The loop over steps.

        xs, ys: [S, R * B, ...] and the partial last batch [R * rest, ...]; numbers: learning rates of the steps,
        [steps, R], and the optimizer's hyperparameters, float64 [inputs, R]; noise: seeds, thresholds and scales of
        ``DropoutInputs``; first: number of the first step.
        """
        rates, self._traced_values = numbers
        self._noise.seeds, cuts, scaling = noise
        self._noise.thresholds, self._noise.scales = tf.unstack(cuts), tf.unstack(scaling)
        whole = xs[0].shape[0]

        def one(step: Any, sums: Any, x: Any, y: Any) -> Any:
            self._noise.step = first + tf.cast(step, tf.uint32)
            self._rates = rates[step]
            self._set_numbers()
            return [total + part for total, part in zip(sums, self._step(x, y), strict=True)]

        def body(step: Any, *sums: Any) -> Any:
            return step + 1, *one(step, sums, xs[0][step], ys[0][step])

        start = (tf.constant(0), tf.zeros(self.runs), tf.zeros(self.runs))
        _, *sums = tf.while_loop(lambda step, *_: step < whole, body, start, maximum_iterations=whole)
        return one(tf.constant(whole), sums, xs[1], ys[1]) if xs[1].shape[0] else sums

    def _set_numbers(self, variable: Any = None) -> Any:
        """Set the optimizer's learning rate and hyperparameters in the shape that fits a variable (None: [R, a, b]).

        Returns the learning rate.
        """
        self._learning_rate = rows.by_run(self._rates, variable)
        for index, name in enumerate(self._inputs):
            given = hyperparameters.TracedHyperparameter(rows.by_run(self._traced_values[index], variable))
            setattr(self._optimizer, name, given)
        return self._learning_rate

    def _step(self, x: Any, y: Any) -> Any:
        """One update of all runs. Returns summed loss and number of correct answers of each run before it, [R] each."""
        variables = self.model.trainable_variables
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            for variable in variables:
                tape.watch(variable.value)
            loss, correct = loss_and_correct(self.model, self.runs, x, y, training=True)
            # Keras' mean over the images of each run, but a sum over runs, so that no run's gradient depends on R.
            means = loss / (y.shape[0] // self.runs)
            extra = tf.add_n([tf.zeros(()), *self.model.losses])  # regularizers; only a pack of one may have them
            total = tf.reduce_sum(means) + extra
        gradients = tape.gradient(total, [variable.value for variable in variables])
        self._optimizer.apply(gradients, variables)
        return loss + extra * (y.shape[0] // self.runs), correct


@lru_cache(maxsize=1)
def device_arrays(split: split.Split) -> Arrays:
    """The data on its device, kept for the next pack of a sweep."""
    labels = [tf.constant(side.astype("int32")) for side in (split.y_train, split.y_val)]
    images = [tf.constant(np.ascontiguousarray(_compact(side))) for side in (split.x_train, split.x_val)]
    return Arrays(images[0], labels[0], images[1], labels[1])


def _compact(images: np.ndarray) -> np.ndarray:
    """Integers 0..255 as uint8, a quarter of the memory that is moved; floats as float32."""
    return images.astype("uint8" if np.issubdtype(images.dtype, np.integer) else "float32", copy=False)
