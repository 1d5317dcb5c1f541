"""Whether two models are one but for the values of their variables, so that what is traced of one holds for the other.

Tracing costs more than building a model. A model is walked as pickle would walk it, and each object is described by its
class and what its attributes hold. Only objects of Keras are known to compute nothing else than these say: code of
others may draw random numbers, or count, where it is traced.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
import types
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import keras
import numpy as np

ATOMS = (bool, int, float, complex, str, bytes, type(None), type(Ellipsis), slice, range, inspect.Signature)
CONTAINERS = (list, tuple, set, frozenset)
BOOKKEEPING = (
    *("_tracker", "_auto_config", "_trainable_variables_indices", "_initial_seed", "_nodes", "_lock"),
    *("_self_unconditional_checkpoint_dependencies", "_self_unconditional_dependency_names"),  # TensorFlow's
)
"""Attributes of Keras' objects that repeat others, or that nothing is computed from once a model is built."""
PLAIN = ("tensorflow.python.distribute.distribute_lib._DefaultDistributionStrategy",)
"""Classes of objects that are all one: TensorFlow's strategy of a process that distributes nothing."""
SETTINGS = (
    keras.config.floatx,
    keras.config.epsilon,
    keras.config.image_data_format,
    lambda: keras.config.dtype_policy().get_config(),
    keras.config.is_flash_attention_enabled,
)
"""Of the process, on which a trace may depend."""


class _UnknownError(Exception):
    """An object whose computation its attributes may not tell."""


def digest(*objects: Any, inputs: Mapping[int, Sequence[str]] = MappingProxyType({})) -> str | None:
    """Equal for objects of Keras that are one but for values of variables, seeds, rates of Dropout layers, and inputs.

    inputs: id of an object -> its attributes that a trace takes as arguments. None where this cannot be said.
    """
    walk = _Walk(inputs)
    walk.lines.append(repr([setting() for setting in SETTINGS]))
    try:
        for each in objects:
            walk.add(each)
    except _UnknownError:
        return None
    return hashlib.sha256("\n".join(walk.lines).encode()).hexdigest()


class _Walk:
    """Lines that describe objects. One that appears again is named by its number, so cycles end."""

    def __init__(self, inputs: Mapping[int, Sequence[str]]) -> None:
        self.lines: list[str] = []
        self._inputs = inputs
        self._numbers: dict[int, int] = {}
        self._alive: list[Any] = []  # ids are of objects that live

    def add(self, value: Any) -> None:
        if isinstance(value, ATOMS):
            self.lines.append(repr(value))
        elif id(value) in self._numbers:
            self.lines.append(f"#{self._numbers[id(value)]}")
        else:
            self._numbers[id(value)] = len(self._numbers)
            self._alive.append(value)
            self._describe(value)

    def _describe(self, value: Any) -> None:
        if isinstance(value, keras.Variable):
            self._note(value, *map(int, value.shape), value.dtype, value.trainable)
        elif _is_done(value):
            self._note(value)
        elif isinstance(value, Mapping):
            self._note(value, *(part for pair in value.items() for part in pair))
        elif isinstance(value, CONTAINERS):
            self._note(value, *(sorted(value, key=repr) if isinstance(value, (set, frozenset)) else value))
        elif isinstance(value, types.MethodType):
            self._note(value, value.__func__, value.__self__)
        elif isinstance(value, types.FunctionType):
            self._add_function(value)
        elif isinstance(value, type) and (_is_of_keras(value) or value.__module__ == "builtins"):
            self._note(value, repr(value))
        elif isinstance(value, types.ModuleType):
            self._note(value, value.__name__)
        elif isinstance(value, functools.partial):
            self._note(value, value.func, value.args, value.keywords)
        elif isinstance(value, (np.ndarray, np.generic)):
            self._note(value, str(value.dtype), value.shape, value.tobytes())
        elif _is_of_keras(type(value)):
            inputs = sorted(self._inputs.get(id(value), ()))
            names = sorted({*_attributes(value)} - {*inputs})
            self._note(value, inputs, *(part for name in names for part in (name, vars(value)[name])))
        else:
            raise _UnknownError(type(value))

    def _add_function(self, value: types.FunctionType) -> None:
        if not _is_of_keras(value):
            raise _UnknownError(value)
        cells = [cell.cell_contents for cell in value.__closure__ or ()]
        self._note(value, value.__qualname__, value.__code__.co_firstlineno, value.__defaults__, vars(value), *cells)

    def _note(self, value: Any, *parts: Any) -> None:
        self.lines.append(f"{type(value).__module__}.{type(value).__qualname__} of {len(parts)}")
        for part in parts:
            self.add(part)


def _is_done(value: Any) -> bool:
    """Whether nothing but an object's class matters any more: an initializer, once a model is built, and PLAIN."""
    kind = type(value)
    is_initializer = isinstance(value, keras.initializers.Initializer) and _is_of_keras(kind)
    return is_initializer or f"{kind.__module__}.{kind.__qualname__}" in PLAIN


def _is_of_keras(kind: Any) -> bool:
    return (kind.__module__ or "").partition(".")[0] == "keras"


def _attributes(value: Any) -> list[str]:
    """Those that say what an object computes."""
    left_out = (*BOOKKEEPING, "rate") if type(value) is keras.layers.Dropout else BOOKKEEPING
    return [name for name in vars(value) if name not in left_out]
