"""Whole epochs of a pack of runs as one XLA program.

A training step of a small network is a tenth of a millisecond of arithmetic and a whole one of overhead; here the loop
over steps is compiled too. Learning rates, dropout rates, seeds and most scalar arguments of optimizers are inputs, so
that a grid over them compiles once, and a program is kept and loaded with new weights for the next pack that it fits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from fashion_sweep.training import arguments, stacked
from fashion_sweep.training.noise import Noise, scales, thresholds

VALIDATION_CHUNK = 2048
"""Images of one run that are validated at once; bounds the memory, and changes sums by their rounding alone."""


@dataclass(frozen=True)
class Arrays:
    """The data of a program on its device."""

    x_train: Any  # [N, ...], uint8 or float32
    y_train: Any  # int32 [N]
    x_val: Any  # [M, ...]
    y_val: Any  # int32 [M]


@dataclass(frozen=True)
class EpochResult:
    """Means over the images of one epoch, one number a run: float64 [R]."""

    loss: np.ndarray
    accuracy: np.ndarray


class Program:
    """Trains R runs of one architecture together. Call load first, then epoch and validate in turn.

    models: R built Keras models, used for their architecture; optimizer: new, unbuilt, of the kind that all runs have;
    its learning rate is replaced by the input of ``epoch``, its ``arguments`` by those of the loaded models. On a CPU a
    model with convolutions runs as a plain TensorFlow graph: XLA's convolutions there are several times slower than
    TensorFlow's.
    """

    def __init__(self, models: Sequence[keras.Model], optimizer: Any, batch_size: int) -> None:
        self.runs, self._batch, self._noise = len(models), batch_size, Noise()
        self._model = stacked.stack(models, self._noise)
        self._learning_rate: Any = None
        self._inputs, self._arguments = arguments.names(optimizer), np.empty((0, self.runs))
        optimizer._learning_rate = lambda: self._learning_rate  # a callable is read at every step
        optimizer.build(self._model.trainable_variables)
        self._optimizer = optimizer
        self._fresh = [variable.numpy() for variable in optimizer.variables]
        jit = bool(tf.config.list_physical_devices("GPU")) or not stacked.has_convolutions(models[0])
        self._epoch = _Traced(self._train_steps, jit)
        self._validate = _Traced(self._validation_sums, jit)

    def load(self, models: Sequence[keras.Model]) -> None:
        """Start from the weights of R compiled models, and from their optimizers as far as they have begun."""
        for variable, value in zip(self._optimizer.variables, self._fresh, strict=True):
            variable.assign(value)
        self._arguments = arguments.values([model.optimizer for model in models], self._inputs)
        for row, model in enumerate(models):
            if model is not self._model:
                stacked.load(self._model.weights, row, [weight.value for weight in model.weights])
            if model.optimizer.built and model.optimizer.iterations > 0:
                stacked.load(self._optimizer.variables, row, [each.value for each in model.optimizer.variables])

    def store(self, row: int, model: keras.Model) -> None:
        """Put the weights and the optimizer's state of one run into its own compiled model."""
        if model is not self._model:
            for own, both in zip(model.weights, self._model.weights, strict=True):
                own.assign(stacked.row_of(both, row, own.shape))
        optimizer = model.optimizer
        optimizer.build(model.trainable_variables)
        for own, both in zip(optimizer.variables, self._optimizer.variables, strict=True):
            if own is not optimizer._learning_rate:  # callbacks may have changed it
                own.assign(stacked.row_of(both, row, own.shape))

    def epoch(
        self,
        arrays: Arrays,
        orders: np.ndarray,
        *,
        learning_rates: np.ndarray,
        seeds: np.ndarray,
        rates: np.ndarray,
        first_step: int,
    ) -> EpochResult:
        """Train one epoch.

        orders: the images of each run in their order, int [R, N]; learning_rates: of each step, float32 [steps, R],
        steps = ceil(N / batch size); seeds: of the dropout, [R]; rates: of the Dropout layers, [R, layers];
        first_step: how many steps came before.
        """
        runs, count = orders.shape
        whole = count // self._batch
        order = tf.constant(orders.astype("int32"))
        steps = tf.transpose(tf.reshape(order[:, : whole * self._batch], (runs, whole, self._batch)), (1, 0, 2))
        rest = tf.reshape(order[:, whole * self._batch :], (-1,))
        numbers = (tf.reshape(steps, (whole, -1)), rest)
        sums = self._epoch(
            [tf.gather(arrays.x_train, some) for some in numbers],
            [tf.gather(arrays.y_train, some) for some in numbers],
            [tf.constant(learning_rates.astype("float32")), tf.constant(self._arguments, tf.float64)],
            [tf.constant(each) for each in (np.asarray(seeds).astype("uint32"), thresholds(rates).T, scales(rates).T)],
            tf.constant(first_step % 2**32, tf.uint32),
        )
        return _means(sums, count)

    def validate(self, arrays: Arrays) -> EpochResult:
        """Loss and accuracy of every run on the validation images."""
        return _means(self._validate(arrays.x_val, arrays.y_val), len(arrays.y_val))

    def _train_steps(self, xs: Any, ys: Any, numbers: Any, noise: Any, first: Any) -> Any:
        """The loop over steps. xs, ys: [S, R * B, ...] and the partial last step [R * rest, ...]; noise: see Noise.

        numbers: learning rates of the steps, [steps, R], and the optimizer's arguments, float64 [inputs, R].
        """
        rates, given = numbers
        for index, name in enumerate(self._inputs):
            setattr(self._optimizer, name, arguments.Argument(self._by_run(given[index])))
        self._noise.seeds, cuts, scaling = noise
        self._noise.thresholds, self._noise.scales = tf.unstack(cuts), tf.unstack(scaling)
        whole = xs[0].shape[0]

        def one(step: Any, sums: Any, x: Any, y: Any) -> Any:
            self._noise.step = first + tf.cast(step, tf.uint32)
            self._learning_rate = self._by_run(rates[step])
            return [total + part for total, part in zip(sums, self._step(x, y), strict=True)]

        def body(step: Any, *sums: Any) -> Any:
            return step + 1, *one(step, sums, xs[0][step], ys[0][step])

        start = (tf.constant(0), tf.zeros(self.runs), tf.zeros(self.runs))
        _, *sums = tf.while_loop(lambda step, *_: step < whole, body, start, maximum_iterations=whole)
        return one(tf.constant(whole), sums, xs[1], ys[1]) if xs[1].shape[0] else sums

    def _by_run(self, values: Any) -> Any:
        """One number a run, [R], in the shape that fits stacked weights: [R, 1, 1], or [] for a single run."""
        return values[0] if self.runs == 1 else values[:, None, None]

    def _step(self, x: Any, y: Any) -> Any:
        """One update of all runs. Returns summed loss and number of right answers of each run before it, [R] each."""
        variables = self._model.trainable_variables
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            for variable in variables:
                tape.watch(variable.value)
            loss, right = self._measured(x, y, training=True)
            # A mean over the images of each run, as Keras has it, but a sum over runs: each has its own gradient.
            means = loss / (y.shape[0] // self.runs)
            extra = tf.add_n([tf.zeros(()), *self._model.losses])  # regularizers; only a pack of one may have them
            total = tf.reduce_sum(means) + extra
        gradients = tape.gradient(total, [variable.value for variable in variables])
        self._optimizer.apply(gradients, variables)
        return loss + extra * (y.shape[0] // self.runs), right

    def _measured(self, x: Any, y: Any, *, training: bool) -> Any:
        """Loss and right answers of each run, summed over its images: float32 [R] each."""
        predicted = self._model(_scaled(x), training=training)
        loss = keras.losses.sparse_categorical_crossentropy(y, predicted)
        right = tf.cast(tf.equal(tf.argmax(predicted, axis=-1, output_type=tf.int32), y), tf.float32)
        return [tf.reduce_sum(tf.reshape(each, (self.runs, -1)), axis=1) for each in (loss, right)]

    def _validation_sums(self, x: Any, y: Any) -> Any:
        """Loss and right answers of each run, summed over all validation images: float32 [R] each."""
        count = x.shape[0]
        chunk = min(VALIDATION_CHUNK, count)
        whole = count // chunk

        def some(sums: Any, part_x: Any, part_y: Any) -> Any:
            copies = (self.runs, *[1] * (len(part_x.shape) - 1))
            measured = self._measured(tf.tile(part_x, copies), tf.tile(part_y, (self.runs,)), training=False)
            return [total + part for total, part in zip(sums, measured, strict=True)]

        def body(at: Any, *sums: Any) -> Any:
            return at + 1, *some(sums, _chunk(x, at, chunk), _chunk(y, at, chunk))

        start = (tf.constant(0), tf.zeros(self.runs), tf.zeros(self.runs))
        _, *sums = tf.while_loop(lambda at, *_: at < whole, body, start, maximum_iterations=whole)
        rest = whole * chunk
        sums = some(sums, x[rest:], y[rest:]) if rest < count else sums
        extra = tf.add_n([tf.zeros(()), *self._model.losses])
        return sums[0] + extra * count, sums[1]


class _Traced:
    """A function of tensors as one graph, for the shapes of its first arguments, which all later ones have too.

    Called itself, tf.function would take the programs of a sweep, which share code, for one that is traced over and
    over, and warn of it.
    """

    def __init__(self, function: Callable[..., Any], jit: bool) -> None:
        self._function = tf.function(function, jit_compile=jit, autograph=False)
        self._graph: Any = None

    def __call__(self, *arguments: Any) -> Any:
        if self._graph is None:
            self._graph = self._function.get_concrete_function(*arguments)
        return self._graph(*arguments)


def _chunk(array: Any, at: Any, size: int) -> Any:
    return tf.slice(array, [at * size, *[0] * (len(array.shape) - 1)], [size, *array.shape[1:]])


def _scaled(x: Any) -> Any:
    """Integers to float32 in 0..1, as data.scale does it; floats unchanged."""
    return tf.cast(x, tf.float32) / 255.0 if x.dtype.is_integer else tf.cast(x, tf.float32)


def _means(sums: Any, count: int) -> EpochResult:
    loss, right = (np.asarray(total, "float64") / count for total in sums)
    return EpochResult(loss, right)
