"""A run on its own: whole epochs of Keras' own steps on the run's own model as one program.

A training step of a small network is a tenth of a millisecond of arithmetic and a whole one of overhead. Here the loop
over steps is compiled around ``model.train_step``, so that whatever the model, its losses and its optimizer do in
model.fit they do here.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import tensorflow as tf

from fashion_sweep.training.engines import keras_internals, structure
from fashion_sweep.training.engines.base import Arrays, Logs, Run, batches, numbers
from fashion_sweep.training.engines.dropout import DropoutCalls, StepNoise
from fashion_sweep.training.engines.program_cache import ProgramCache
from fashion_sweep.training.engines.tensorflow import hyperparameters
from fashion_sweep.training.engines.tensorflow.graph import Graph, is_compiled
from fashion_sweep.training.engines.tensorflow.settings import settings as process_settings

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Traces:
    """What is traced of a run, and holds for each that has the same model, optimizer, loss and metrics."""

    train: Graph
    test: Graph
    dropouts: list[int]  # the layer of each call of a Dropout, by its place among all layers of the model

    @property
    def are_of_any_run(self) -> bool:
        """Whether they hold for other runs as well, whose variables take the places of this one's."""
        return all(graph.is_pure and graph.places is not None for graph in (self.train, self.test))


class LoneRun:
    """A run that trains its own model: a member and its program in one; see ``engines.base``."""

    alone: str | None = None
    size = 1

    def __init__(self, run: Run, arrays: Arrays, kept: ProgramCache[Any], known: ProgramCache[Traces]) -> None:
        """kept: the graphs of runs before; known: their traces by ``structure.digest``, to which these are added."""
        self.run, self._model, self._kept = run, run.model, kept
        self._variables = [*run.model.variables, *run.model.optimizer.variables, *run.model.metrics_variables]
        self._step_graph: Any = None
        self._dropouts = DropoutCalls(lambda: tf.compat.v1.get_default_graph() is self._step_graph)
        self._inputs = hyperparameters.Inputs(run.model.optimizer)
        self._specs = {"train": self._train_specs(arrays), "test": _specs(arrays.validation)}
        self._traces = self._known_traces(known)
        layers = keras_internals.all_layers(run.model)
        self._dropouts.layers = [layers[place] for place in self._traces.dropouts]
        self.key = f"{self._traces.train.key} {self._traces.test.key}"
        self.can_continue = self._traces.train.is_pure and self._traces.test.is_pure

    def train(self, arrays: Arrays, orders: np.ndarray, first_step: int, live: Sequence[int]) -> list[Logs]:  # noqa: ARG002 - one run, and it is live
        """See ``engines.base.Program.train``."""
        parts = batches(orders[0], self.run.batch_size)
        steps = len(parts[0]) + bool(len(parts[1]))
        data = [[tf.gather(each, part) for each in (arrays.x_train, arrays.y_train)] for part in parts]
        noise = list(map(tf.constant, StepNoise.of(self.run.seed, first_step, self._dropouts.rates)))
        return [numbers(self._call("train", [*data, arrays.divisor], self._inputs.values(steps), noise))]

    def validate(self, arrays: Arrays, live: Sequence[int]) -> list[Logs]:  # noqa: ARG002 - as above
        """See ``engines.base.Program.validate``."""
        return [numbers(self._call("test", *arrays.validation))]

    def _call(self, name: Literal["train", "test"], *arguments: Any) -> Any:
        graph: Graph = getattr(self._traces, name)
        try:
            return graph.call(self._kept, arguments, self._variables)
        except (tf.errors.InvalidArgumentError, tf.errors.UnimplementedError) as error:
            if not graph.compiled:
                raise
            log.info("Trained without XLA, which cannot compile the model: %s", str(error).strip().split("\n")[0])
        plain = self._graph(name, compiled=False)
        self._traces = replace(self._traces, train=plain) if name == "train" else replace(self._traces, test=plain)
        return self._call(name, *arguments)

    def _known_traces(self, known: ProgramCache[Traces]) -> Traces:
        """Those of a run before that is the same but for values of variables, or else its own."""
        settings = [repr(get()) for get, _ in process_settings()]
        shapes, inputs = list(map(repr, self._specs.values())), self._inputs.attributes
        digest = structure.digest(self._model, self.run.batch_size, shapes, settings, inputs=inputs)
        if digest is not None and [digest] in known:
            return known.get([digest], self._own_traces)
        traces = self._own_traces()
        if digest is not None and traces.are_of_any_run:
            known.get([digest], lambda: traces)
        return traces

    def _own_traces(self) -> Traces:
        compiled = is_compiled(self._model)
        train, test = self._graph("train", compiled=compiled), self._graph("test", compiled=compiled)
        places = {id(layer): place for place, layer in enumerate(keras_internals.all_layers(self._model))}
        return Traces(train, test, [places[id(layer)] for layer in self._dropouts.layers])

    def _graph(self, name: Literal["train", "test"], *, compiled: bool) -> Graph:
        function = self._train_epoch if name == "train" else self._validate
        return Graph(function, self._specs[name], self._variables, compiled=compiled)

    def _train_specs(self, arrays: Arrays) -> Sequence[Any]:
        """Of the arguments of ``_train_epoch``."""
        size, sides = self.run.batch_size, (arrays.x_train, arrays.y_train)
        whole, rest = divmod(len(arrays.y_train), size)
        data = [
            [tf.TensorSpec((*shape, *each.shape[1:]), each.dtype) for each in sides]
            for shape in ((whole, size), (rest,))
        ]
        noise = [tf.TensorSpec([], tf.uint32)] * 2 + [tf.TensorSpec([None], kind) for kind in (tf.uint32, tf.float32)]
        return [[*data, *_specs([arrays.divisor])], self._inputs.specs(), noise]

    def _train_epoch(self, data: Any, inputs: Any, noise: Any) -> Any:
        """Images and labels in batches, [S, B, ...], and of the partial last batch, [rest, ...], and the divisor of
        images; the values of the optimizer's inputs; seed, first step, thresholds and scales of the masks.
        """
        (xs, ys), (rest_x, rest_y), divisor = data
        whole = xs.shape[0]

        def one(step: Any, x: Any, y: Any) -> None:
            seed, first, *masks = noise
            self._step_graph = tf.compat.v1.get_default_graph()
            self._dropouts.begin(StepNoise(seed, first + tf.cast(step, tf.uint32), *masks))
            self._inputs.begin(inputs, step)
            self._model.train_step((scaled(x, divisor), y))

        with self._dropouts.masked(), self._inputs.replaced():
            self._model.reset_metrics()
            _loop(whole, lambda step: one(step, xs[step], ys[step]))
            if rest_x.shape[0]:
                one(tf.constant(whole), rest_x, rest_y)
            return self._model.get_metrics_result()

    def _validate(self, x: Any, y: Any, divisor: Any) -> Any:
        """Images [M, ...], labels and divisor, in batches of the same size as in training, as model.fit does it."""
        size, count = self.run.batch_size, x.shape[0]

        def one(at: Any, length: int) -> None:
            self._model.test_step((scaled(_slice(x, at, length), divisor), _slice(y, at, length)))

        self._model.reset_metrics()
        _loop(count // size, lambda step: one(step * size, size))
        if count % size:
            one(count - count % size, count % size)
        return self._model.get_metrics_result()


def _loop(rounds: int, body: Callable[[Any], None]) -> None:
    """Call ``body`` with 0 to rounds - 1. A trip count that is known makes faster code."""

    def called(step: Any) -> Any:
        body(step)
        return [step + 1]

    if rounds:
        tf.while_loop(lambda step: step < rounds, called, [tf.constant(0)], maximum_iterations=rounds)


def _slice(array: Any, at: Any, size: int) -> Any:
    return tf.slice(array, [at, *[0] * (len(array.shape) - 1)], [size, *array.shape[1:]])


def scaled(x: Any, divisor: Any) -> Any:
    """Images as input of a model. divisor: an input of the program, see ``engines.base.Arrays``."""
    return tf.cast(x, tf.float32) / divisor


def _specs(tensors: Sequence[Any]) -> list[Any]:
    return [tf.TensorSpec(each.shape, each.dtype) for each in tensors]
