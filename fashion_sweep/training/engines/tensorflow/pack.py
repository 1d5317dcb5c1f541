"""Runs of one architecture as one program, their weights stacked; see ``stackable`` for the models that qualify.

Learning rates, dropout rates, seeds and most scalar arguments of optimizers are inputs, so that a grid over them
compiles once, and a program is kept for the next pack that it fits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from fashion_sweep.training.engines import keras_internals
from fashion_sweep.training.engines.base import Arrays, Logs, Run, batches
from fashion_sweep.training.engines.dropout import scales, thresholds
from fashion_sweep.training.engines.tensorflow import guard, hyperparameters, rows, stackable, stacking
from fashion_sweep.training.engines.tensorflow.graph import is_compiled, traced_once
from fashion_sweep.training.engines.tensorflow.lone import scaled
from fashion_sweep.training.engines.tensorflow.stacking import PackNoise
from fashion_sweep.training.engines.tensorflow.validation import Validation, loss_and_correct


class PackMember:
    """A run that is to be trained in a pack."""

    can_continue = True

    def __init__(self, run: Run, arrays: Arrays) -> None:
        self.run = run
        self.alone = stackable.unsupported_reason(run.model)
        shapes = [run.batch_size, arrays.x_train.shape, arrays.x_val.shape, arrays.x_train.dtype]
        self.key = self.alone or f"{stackable.pack_key(run.model)} {shapes}"


class PackProgram:
    """Trains R > 1 runs together; see ``engines.base.Program``."""

    def __init__(self, runs: Sequence[Run]) -> None:
        first = runs[0]
        self.size, self._batch, self._noise = len(runs), first.batch_size, PackNoise()
        self._members, self._values = runs, np.empty((0, self.size))  # see ``of``
        self._model = stacking.stack([run.model for run in runs], self._noise)
        self._learning_rate: Any = None  # of the step that is traced, [R, 1, 1]
        self._names = hyperparameters.names(first.model.optimizer)
        self._optimizer = _stacked_optimizer(first.model.optimizer, lambda: self._learning_rate)
        self._optimizer.build(self._model.trainable_variables)
        compiled = is_compiled(first.model)
        self._epoch = traced_once(self._train_steps, compiled=compiled)
        self._validation = Validation(self._model, self.size, compiled=compiled)

    def of(self, runs: Sequence[Run]) -> PackProgram:
        """The program for other runs that it fits. Numbers of optimizers count as they are now, as in model.fit."""
        self._members = runs
        self._values = hyperparameters.values([run.model.optimizer for run in runs], self._names)
        return self

    def train(self, arrays: Arrays, orders: np.ndarray, first_step: int, live: Sequence[int]) -> list[Logs]:
        """See ``engines.base.Program.train``."""
        self._load()
        xs, ys = self._batches(arrays, orders)
        steps = len(xs[0]) + bool(len(xs[1]))
        data, first = (xs, ys, arrays.divisor), tf.constant(first_step % 2**32, tf.uint32)
        sums = self._epoch(data, self._numbers(steps), self._masks(), first)
        for row in live:
            self._store(row)
        return _means(sums, orders.shape[1])

    def validate(self, arrays: Arrays, live: Sequence[int]) -> list[Logs]:  # noqa: ARG002 - all are measured
        """See ``engines.base.Program.validate``."""
        self._load()
        return _means(self._validation.measure(arrays), len(arrays.y_val))

    def _load(self) -> None:
        """Weights and optimizer states of the runs' models, which callbacks may have changed."""
        optimizers = [run.model.optimizer for run in self._members]
        rows.load(self._model.weights, [run.model.weights for run in self._members])
        states = [keras_internals.state(optimizer) for optimizer in optimizers]
        rows.load(keras_internals.state(self._optimizer), states)

    def _store(self, row: int) -> None:
        """The state of one run, to its own model."""
        model = self._members[row].model
        rows.store(self._model.weights, row, model.weights)
        rows.store(keras_internals.state(self._optimizer), row, keras_internals.state(model.optimizer))

    def _batches(self, arrays: Arrays, orders: np.ndarray) -> Any:
        """Images and labels of whole batches, run after run, [S, R * B, ...], and of the rest, [R * rest, ...]."""
        whole, rest = batches(orders, self._batch)
        numbers = [np.swapaxes(whole, 0, 1).reshape(whole.shape[1], -1), rest.reshape(-1)]
        return [[tf.gather(side, some) for some in numbers] for side in (arrays.x_train, arrays.y_train)]

    def _numbers(self, steps: int) -> list[Any]:
        """Learning rates of the steps, [steps, R], and the optimizers' hyperparameters, float64 [inputs, R]."""
        optimizers = [run.model.optimizer for run in self._members]
        rates = [hyperparameters.learning_rates(each, keras_internals.iterations(each), steps) for each in optimizers]
        return [tf.constant(np.stack(rates, axis=1)), tf.constant(self._values, tf.float64)]

    def _masks(self) -> list[Any]:
        """Seeds, [R], and thresholds and scales of the Dropout layers, [layers, R]."""
        rates = np.array([stacking.dropout_rates(run.model) for run in self._members]).T
        seeds = np.array([run.seed for run in self._members]).astype("uint32")
        return [tf.constant(each) for each in (seeds, thresholds(rates), scales(rates))]

    def probe(self, x: Any, y: Any) -> guard.Probe:
        """See ``guard.Probed``."""
        self._load()
        variables, copies = self._model.trainable_variables, (self.size, *[1] * (len(x.shape) - 1))
        xs, ys = tf.tile(x, copies), tf.tile(y, (self.size,))
        found = tf.reshape(self._model(xs, training=False), (self.size, len(x), -1))
        self._set_masks(self._masks())
        self._noise.step = tf.constant(0, tf.uint32)
        with tf.GradientTape() as tape:
            loss, _ = loss_and_correct(self._model, self.size, xs, ys, training=True)
            total = tf.reduce_sum(loss) / len(x)
        gradients = tape.gradient(total, [variable.value for variable in variables])
        own = self._members[0].model
        shapes = [weight.shape for weight in own.trainable_variables]
        fixed = list(zip(self._model.non_trainable_weights, own.non_trainable_weights, strict=True))
        return {
            "probabilities": lambda row: [found[row]],
            "gradients": lambda row: [rows.row_of(each, row, of) for each, of in zip(gradients, shapes, strict=True)],
            "statistics": lambda row: [rows.row_of(both, row, one.shape) for both, one in fixed],
        }

    def _train_steps(self, data: Any, numbers: Any, masks: Any, first: Any) -> Any:
        """The loop over steps. Returns summed loss and number of correct answers of each run, [R] each.

        data: images and labels of ``_batches``, and the divisor of images.
        """
        (xs, ys, divisor), (rates, values) = data, numbers
        self._set_masks(masks)
        whole = xs[0].shape[0]

        def one(step: Any, sums: Any, x: Any, y: Any) -> Any:
            self._noise.step = first + tf.cast(step, tf.uint32)
            self._set_numbers(rates[step], values)
            return [total + part for total, part in zip(sums, self._step(scaled(x, divisor), y), strict=True)]

        def body(step: Any, *sums: Any) -> Any:
            return step + 1, *one(step, sums, xs[0][step], ys[0][step])

        start = (tf.constant(0), tf.zeros(self.size), tf.zeros(self.size))
        _, *sums = tf.while_loop(lambda step, *_: step < whole, body, start, maximum_iterations=whole)
        return one(tf.constant(whole), sums, xs[1], ys[1]) if xs[1].shape[0] else sums

    def _set_masks(self, masks: Sequence[Any]) -> None:
        """masks: see ``_masks``."""
        self._noise.seeds, self._noise.thresholds, self._noise.scales = masks[0], *map(tf.unstack, masks[1:])

    def _set_numbers(self, rates: Any, values: Any) -> None:
        """Set the optimizer's learning rate and hyperparameters, in the shape that fits stacked variables."""
        self._learning_rate = rates[:, None, None]
        for index, name in enumerate(self._names):
            given = hyperparameters.TracedHyperparameter(values[index][:, None, None])
            vars(self._optimizer)[name] = given

    def _step(self, x: Any, y: Any) -> Any:
        """One update of all runs, of scaled images. Returns loss and correct answers before it, summed, [R] each."""
        variables = self._model.trainable_variables
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            for variable in variables:
                tape.watch(variable.value)
            loss, correct = loss_and_correct(self._model, self.size, x, y, training=True)
            # Keras' mean over the images of each run, but a sum over runs, so that no run's gradient depends on R.
            total = self._optimizer.scale_loss(tf.reduce_sum(loss / (y.shape[0] // self.size)))
        gradients = tape.gradient(total, [variable.value for variable in variables])
        self._optimizer.apply(gradients, variables)
        return loss, correct


def _stacked_optimizer(optimizer: Any, rate: Callable[[], Any]) -> keras.optimizers.Optimizer:
    """A new one of the same kind and arguments that asks ``rate`` for its learning rate."""
    return type(optimizer).from_config({**optimizer.get_config(), "learning_rate": rate})


def _means(sums: Sequence[Any], count: int) -> list[Logs]:
    """From losses and correct answers, each summed over ``count`` images: [R] each."""
    loss, correct = (np.asarray(total, "float64") / count for total in sums)
    return [{"accuracy": float(share), "loss": float(mean)} for share, mean in zip(correct, loss, strict=True)]
