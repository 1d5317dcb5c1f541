"""What one run computes: Keras' own steps on its own model, traced."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import keras
import numpy as np

from fashion_sweep.training.engines import keras_internals, structure
from fashion_sweep.training.engines.base import Arrays, Run
from fashion_sweep.training.engines.dropout import DropoutCalls, StepNoise
from fashion_sweep.training.engines.jax.traced import Traced
from fashion_sweep.training.engines.program_cache import ProgramCache

State = tuple[list[Any], list[Any], list[Any], list[Any]]
"""Arrays of a run: of trainable and other variables of the model, of its optimizer, of its metrics."""


@dataclass(frozen=True)
class Traces:
    """What is traced of a run, and holds for each that has the same model, optimizer, loss and metrics."""

    reset: Traced
    train: list[Traced | None]  # of whole batches and of the rest
    test: list[Traced | None]
    dropouts: list[int]  # the layer of each call of a Dropout, by its place among all layers of the model
    key: str  # equal for what one program can train

    @property
    def every(self) -> list[Traced]:
        """All functions."""
        return [self.reset, *filter(None, [*self.train, *self.test])]


class JaxMember:
    """See ``engines.base.Member``. What JAX traces is a function of its inputs, so that every run can be packed."""

    alone: str | None = None
    can_continue = True

    def __init__(self, run: Run, arrays: Arrays, known: ProgramCache[Traces]) -> None:
        """known: traces by ``structure.digest``, to which those of this run are added."""
        self.run = run
        shapes = [run.batch_size, *(f"{each.dtype}{each.shape}" for each in vars(arrays).values())]
        model = structure.digest(run.model, shapes, sorted(map(repr, jax.config.values.items())))
        tracer = _Tracer(self, arrays)
        self.traces = tracer.traces(shapes) if model is None else known.get([model], lambda: tracer.traces(shapes))
        self.key = self.traces.key
        layers = keras_internals.all_layers(run.model)
        self._dropouts = [layers[place] for place in self.traces.dropouts]

    @property
    def numbers(self) -> list[Any]:
        """Of all functions, in their order."""
        return [number for traced in self.traces.every for number in traced.numbers]

    @property
    def rates(self) -> list[float]:
        """The rate of each call of a Dropout now. Callbacks may change those of the layers between epochs."""
        return [float(layer.rate) for layer in self._dropouts]

    @property
    def variables(self) -> tuple[list[Any], ...]:
        """The Keras variables of ``State``."""
        model = self.run.model
        parts = (model.trainable_variables, model.non_trainable_variables, model.optimizer.variables)
        return (*map(list, parts), list(model.metrics_variables))


class _Tracer:
    """Traces the steps of a run."""

    def __init__(self, member: JaxMember, arrays: Arrays) -> None:
        self._run, self._variables, self._arrays = member.run, member.variables, arrays
        self._dropouts = DropoutCalls()

    def traces(self, shapes: Sequence[Any]) -> Traces:
        """The traces of all steps. shapes: of the data and its batches."""
        arrays, size = self._arrays, self._run.batch_size
        reset = Traced(self._reset)
        train = [self._traced_training(count) for count in _batch_sizes(len(arrays.y_train), size)]
        test = [self._traced_validation(count) for count in _batch_sizes(len(arrays.y_val), size)]
        found = [reset, *filter(None, [*train, *test])]
        texts = [each.text if each.is_comparable else uuid.uuid4().hex for each in found]
        places = {id(layer): place for place, layer in enumerate(keras_internals.all_layers(self._run.model))}
        dropouts = [places[id(layer)] for layer in self._dropouts.layers]
        return Traces(reset, train, test, dropouts, hashlib.sha256(repr([shapes, texts]).encode()).hexdigest())

    def _reset(self) -> list[Any]:
        """The metrics' variables at the start of an epoch."""
        with keras.StatelessScope() as scope:
            self._run.model.reset_metrics()
        variables = self._run.model.metrics_variables
        found = [scope.get_current_value(each) for each in variables]
        return [each.value if now is None else now for each, now in zip(variables, found, strict=True)]

    def _traced_training(self, count: int) -> Traced | None:
        """A training step on ``count`` images, of (state, x, y, noise); None for a step on no images."""
        if not count:
            return None

        def step(state: State, x: Any, y: Any, noise: Sequence[Any]) -> Any:
            self._dropouts.begin(StepNoise(*noise))
            with self._dropouts.masked():
                return self._run.model.train_step(state, (x, y))

        def traced(calls: int) -> Traced:
            data = self._state(), *_batch(self._arrays.x_train, self._arrays.y_train, count)
            return Traced(step, *data, _noise(calls))

        layers = keras_internals.all_layers(self._run.model)
        expected = len(self._dropouts.layers) or sum(isinstance(layer, keras.layers.Dropout) for layer in layers)
        found = traced(expected)
        return found if len(self._dropouts.layers) == expected else traced(len(self._dropouts.layers))

    def _traced_validation(self, count: int) -> Traced | None:
        """A validation step on ``count`` images, of (state without the optimizer's, x, y)."""
        if not count:
            return None
        trainable, others, _, metrics = self._state()
        data = _batch(self._arrays.x_val, self._arrays.y_val, count)
        return Traced(lambda state, x, y: self._run.model.test_step(state, (x, y)), (trainable, others, metrics), *data)

    def _state(self) -> State:
        trainable, others, optimizer, metrics = ([each.value for each in part] for part in self._variables)
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
