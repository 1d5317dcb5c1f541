"""Functions of tensors and variables as graphs that are traced for each run and compiled once for all equal ones."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from typing import Any

import keras
import tensorflow as tf
from tensorflow.python.framework import op_def_registry

from fashion_sweep.training.engines import keras_internals
from fashion_sweep.training.engines.program_cache import ProgramCache
from fashion_sweep.training.engines.tensorflow.graph_key import graph_key

log = logging.getLogger(__name__)

CONVOLUTIONS = tuple(kind for name, kind in vars(keras.layers).items() if "Conv" in name and isinstance(kind, type))

VARIABLE_OPS = ("Variable", "VarHandleOp", "VarIsInitialized", "Resource")
"""What names of operations on variables contain."""
CALLS = ("PartitionedCall", "While", "If", "Case")
"""What names of operations contain that call functions, which are looked at themselves."""


def is_compiled(model: keras.Model) -> bool:
    """Whether XLA is to compile the model.

    On a CPU a model with convolutions is not compiled: there XLA's are several times slower than TensorFlow's own.
    """
    layers = keras_internals.all_layers(model)
    if not all(layer.supports_jit for layer in [*layers, model]):
        return False
    has_gpu = bool(tf.config.list_physical_devices("GPU"))
    return has_gpu or not any(isinstance(layer, CONVOLUTIONS) for layer in layers)


def traced_once(function: Callable[..., Any], *, compiled: bool) -> Callable[..., Any]:
    """A function of tensors as one graph, for the shapes of its first arguments, which all later ones must have.

    A tf.function called directly would count packs that share code as one that is retraced over and over, and warn.
    """
    found: list[Any] = []

    def call(*arguments: Any) -> Any:
        if not found:
            found.append(_traced(function, arguments, compiled=compiled))
        return found[0](*arguments)

    return call


def _traced(function: Callable[..., Any], arguments: Sequence[Any], *, compiled: bool) -> Any:
    """A function as a graph for arguments like these."""
    return tf.function(function, jit_compile=compiled, autograph=False).get_concrete_function(*arguments)


class Graph:
    """A function for one run, as a graph. The first of equal graphs is compiled, and called for each of the runs."""

    def __init__(self, function: Callable[..., Any], specs: Sequence[Any], *, compiled: bool, kept: ProgramCache[Any]):
        """specs: of the arguments; compiled: by XLA; kept: graphs of other runs."""
        self._function, self._specs, self._kept = function, specs, kept
        self._trace(compiled=compiled)

    def _trace(self, *, compiled: bool) -> None:
        self._own, self._compiled = _traced(self._function, self._specs, compiled=compiled), compiled

    @cached_property
    def key(self) -> str:
        """Equal for functions that are one, apart from the values of their variables."""
        results = [path for path, _ in keras.tree.flatten_with_path(self._own.structured_outputs)]
        return f"{graph_key(self._own.graph)} {results} {self._compiled}"

    def __call__(self, *arguments: Any) -> Any:
        shared = self._kept.get([self.key], lambda: self._own)
        try:
            return self._called(shared, arguments)
        except (tf.errors.InvalidArgumentError, tf.errors.UnimplementedError) as error:
            if not self._compiled:
                raise
            log.info("Trained without XLA, which cannot compile the model: %s", str(error).strip().split("\n")[0])
        self._trace(compiled=False)
        del self.key
        return self(*arguments)

    def _called(self, shared: Any, arguments: Sequence[Any]) -> Any:
        return shared._call_flat(tf.nest.flatten(arguments), self._own.captured_inputs)

    def is_function_of(self, variables: Iterable[Any]) -> bool:
        """Whether the function reads and changes no state but its arguments and these Keras variables."""
        known = {id(variable.value.handle) for variable in variables}
        captured = (each for each in self._own.captured_inputs if each.dtype == tf.resource)
        return all(id(each) in known for each in captured) and not any(map(_has_state, self._operations()))

    def _operations(self) -> Iterator[Any]:
        """The definitions of all operations, those in functions too."""
        definition = self._own.graph.as_graph_def()
        yield from definition.node
        for function in definition.library.function:
            yield from function.node_def


def _has_state(node: Any) -> bool:
    """Whether an operation carries state of its own, as TensorFlow's unseeded random numbers and Python code do."""
    definition = op_def_registry.get(node.op)
    is_stateful = definition is None or definition.is_stateful
    return is_stateful and not any(part in node.op for part in (*VARIABLE_OPS, *CALLS))
