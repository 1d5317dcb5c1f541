"""Functions of tensors and variables as graphs, which are compiled once for all equal ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import tensorflow as tf
from tensorflow.python.framework import op_def_registry

from fashion_sweep.training.engines import keras_internals
from fashion_sweep.training.engines.program_cache import ProgramCache
from fashion_sweep.training.engines.tensorflow.graph_key import graph_key

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
    """A function of tensors and Keras variables, as a graph. The first of equal graphs is compiled, and called for all.

    key: equal for functions that are one, apart from the values of their variables. is_pure: whether the function reads
    and changes no state but its arguments and the variables. places: of the variables that it captures, in its order,
    among those given; None where it captures anything else.
    """

    def __init__(
        self, function: Callable[..., Any], specs: Sequence[Any], variables: Sequence[Any], *, compiled: bool
    ) -> None:
        """specs: of the arguments; variables: those that the function may use; compiled: by XLA."""
        self.compiled = compiled
        self._own = _traced(function, specs, compiled=compiled)
        results = [path for path, _ in keras.tree.flatten_with_path(self._own.structured_outputs)]
        self.key = f"{graph_key(self._own.graph)} {results} {compiled}"
        known = {id(variable.value.handle): place for place, variable in enumerate(variables)}
        places = [known.get(id(each)) for each in self._own.captured_inputs]
        others = [each for each, place in zip(self._own.captured_inputs, places, strict=True) if place is None]
        self.is_pure = not any(each.dtype == tf.resource for each in others) and not any(
            map(_has_state, self._operations())
        )
        self.places = None if others else [place for place in places if place is not None]

    def call(self, kept: ProgramCache[Any], arguments: Sequence[Any], variables: Sequence[Any]) -> Any:
        """The results for these arguments. variables: as in ``__init__``, or those of another run in their places.

        kept: graphs of other runs. Raises what TensorFlow raises where XLA cannot compile it.
        """
        shared = kept.get([self.key], lambda: self._own)
        if self.places is None:
            captured = self._own.captured_inputs
        else:
            captured = [variables[place].value.handle for place in self.places]
        return shared._call_flat(tf.nest.flatten(arguments), captured)

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
