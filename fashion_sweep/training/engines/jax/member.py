"""What one run computes: Keras' own steps on its own model, traced."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Sequence
from typing import Any

import jax
import keras
import numpy as np

from fashion_sweep.training.engines import keras_internals
from fashion_sweep.training.engines.base import Arrays, Run
from fashion_sweep.training.engines.dropout import DropoutCalls, StepNoise
from fashion_sweep.training.engines.jax.traced import Traced

State = tuple[list[Any], list[Any], list[Any], list[Any]]
"""Arrays of a run: of trainable and other variables of the model, of its optimizer, of its metrics."""


class JaxMember:
    """See ``engines.base.Member``. What JAX traces is a function of its inputs, so that every run can be packed."""

    alone: str | None = None
    can_continue = True

    def __init__(self, run: Run, arrays: Arrays) -> None:
        self.run, self.dropouts = run, DropoutCalls()
        size = run.batch_size
        self.reset = Traced(self._reset)
        self.train = [self._traced_training(arrays, count) for count in _batch_sizes(len(arrays.y_train), size)]
        self.test = [self._traced_validation(arrays, count) for count in _batch_sizes(len(arrays.y_val), size)]
        self.traced = [self.reset, *filter(None, [*self.train, *self.test])]
        self.numbers = [number for traced in self.traced for number in traced.numbers]
        """Of all functions, in their order."""
        shapes = [size, *(f"{each.dtype}{each.shape}" for each in vars(arrays).values())]
        texts = [each.text if each.is_comparable else uuid.uuid4().hex for each in self.traced]
        self.key = hashlib.sha256(repr([shapes, texts]).encode()).hexdigest()

    @property
    def variables(self) -> tuple[list[Any], ...]:
        """The Keras variables of ``State``."""
        model = self.run.model
        parts = (model.trainable_variables, model.non_trainable_variables, model.optimizer.variables)
        return (*map(list, parts), list(model.metrics_variables))

    def _reset(self) -> list[Any]:
        """The metrics' variables at the start of an epoch."""
        with keras.StatelessScope() as scope:
            self.run.model.reset_metrics()
        variables = self.run.model.metrics_variables
        found = [scope.get_current_value(each) for each in variables]
        return [each.value if now is None else now for each, now in zip(variables, found, strict=True)]

    def _traced_training(self, arrays: Arrays, count: int) -> Traced | None:
        """A training step on ``count`` images, of (state, x, y, noise); None for a step on no images."""
        if not count:
            return None

        def step(state: State, x: Any, y: Any, noise: Sequence[Any]) -> Any:
            self.dropouts.begin(StepNoise(*noise))
            with self.dropouts.masked():
                return self.run.model.train_step(state, (x, y))

        def traced(calls: int) -> Traced:
            data = self._state(), *_batch(arrays.x_train, arrays.y_train, count)
            return Traced(step, *data, _noise(calls))

        layers = keras_internals.all_layers(self.run.model)
        expected = len(self.dropouts.layers) or sum(isinstance(layer, keras.layers.Dropout) for layer in layers)
        found = traced(expected)
        return found if len(self.dropouts.layers) == expected else traced(len(self.dropouts.layers))

    def _traced_validation(self, arrays: Arrays, count: int) -> Traced | None:
        """A validation step on ``count`` images, of (state without the optimizer's, x, y)."""
        if not count:
            return None
        trainable, others, _, metrics = self._state()
        data = _batch(arrays.x_val, arrays.y_val, count)
        return Traced(lambda state, x, y: self.run.model.test_step(state, (x, y)), (trainable, others, metrics), *data)

    def _state(self) -> State:
        trainable, others, optimizer, metrics = ([each.value for each in part] for part in self.variables)
        return trainable, others, optimizer, metrics


def _batch_sizes(count: int, size: int) -> tuple[int, int]:
    """Of whole batches, 0 if there is none, and of what is left over."""
    return (size if count >= size else 0), count % size


def _noise(calls: int) -> list[Any]:
    """Shapes and dtypes of ``StepNoise``."""
    return [_like((), np.uint32), _like((), np.uint32), _like((calls,), np.uint32), _like((calls,), np.float32)]


def _batch(x: Any, y: Any, count: int) -> tuple[Any, Any]:
    return _like((count, *x.shape[1:]), np.float32), _like((count,), y.dtype)


def _like(shape: tuple[int, ...], dtype: Any) -> Any:
    make: Any = jax.ShapeDtypeStruct
    return make(shape, dtype)
