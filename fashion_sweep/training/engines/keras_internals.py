"""All uses of Keras' private names, so that a new version has one place to look at.

Importing this module fails where Keras has no such names any more.
"""

from __future__ import annotations

import copyreg
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, Protocol

import keras
from keras.src.utils import module_utils

EXPECTED = (
    (keras.Model, "_flatten_layers"),
    (keras.Model, "_symbolic_build"),
    (keras.optimizers.Optimizer, "_get_current_learning_rate"),
    (module_utils.LazyModule("none"), "_available"),
)
"""Private names that are used here."""

for _owner, _name in EXPECTED:
    if not hasattr(_owner, _name):
        raise ImportError(f"Keras {keras.__version__} has no {_owner}.{_name}, which training needs; 3.15 has it")


@contextmanager
def without_tensorflow() -> Iterator[None]:
    """A block in which Keras does not import TensorFlow for what needs none, such as to look whether a value is of one
    of its types: on another backend that takes seconds and hundreds of MiB. Does nothing where it is imported.
    """
    tensorflow = module_utils.tensorflow
    if "tensorflow" in sys.modules:
        yield
        return
    before, tensorflow._available = tensorflow._available, False
    try:
        yield
    finally:
        tensorflow._available = before


def set_random_seed(seed: int) -> None:
    """``keras.utils.set_random_seed``, which seeds TensorFlow as well, but imports it for that on every backend."""
    with without_tensorflow():
        keras.utils.set_random_seed(seed)


def all_layers(model: keras.Model) -> list[keras.layers.Layer]:
    """The layers of a model and the layers in these, at any depth."""
    return list(model._flatten_layers(include_self=False))


def build(model: keras.Model, images: Any, labels: Any) -> None:
    """Build what a compiled model lacks of its layers, loss, metrics and optimizer, as model.fit does.

    images, labels: a batch of the data, or anything with its shape and dtype.
    """
    model._symbolic_build(data_batch=(images, labels))
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)


class Values(Protocol):
    """Values of variables, kept outside of them."""

    def get(self, index: int) -> Any:
        """The value of a variable, as the backend's tensor."""

    def set(self, index: int, value: Any) -> None:
        """Change the value of a variable."""


class _Kept:
    """What a variable is whose value is kept elsewhere."""

    _kind: type
    _values: tuple[Values, int]

    @property
    def _value(self) -> Any:
        values, index = self._values
        return values.get(index)

    @_value.setter
    def _value(self, value: Any) -> None:
        values, index = self._values
        values.set(index, value)

    def __reduce_ex__(self, _protocol: Any) -> Any:
        """A copy has a value of its own."""
        own = {key: value for key, value in vars(self).items() if key != "_values"}
        return copyreg.__newobj__, (self._kind,), own | {"_value": self._value}  # type: ignore[attr-defined]


@lru_cache
def _kept_kind(kind: type) -> type:
    return type(kind.__name__, (_Kept, kind), {"_kind": kind, "__module__": kind.__module__})


def keep_value(variable: Any, values: Values, index: int) -> None:
    """From now on, get and set the value of a variable there, whoever asks for it and however."""
    if not isinstance(variable, _Kept):
        variable.__class__ = _kept_kind(type(variable))  # type: ignore[arg-type] # mypy does not hash classes
    vars(variable).pop("_value", None)
    vars(variable)["_values"] = values, index


def learning_rate(optimizer: Any) -> Any:
    """What the optimizer has been given as its learning rate: a schedule, a callable, or its variable of a number."""
    return optimizer._learning_rate


def iterations(optimizer: Any) -> int:
    """The number of steps with which the optimizer asks its schedule for a learning rate."""
    return int(optimizer._iterations)


def state(optimizer: Any) -> list[Any]:
    """The variables of an optimizer that its steps change: all but its learning rate."""
    return [variable for variable in optimizer.variables if variable is not optimizer._learning_rate]


def is_used_once(layer: Any) -> bool:
    """Whether a layer is called at one place of its model."""
    return len(layer._inbound_nodes) == 1


def decays_all(optimizer: Any) -> bool:
    """Whether weight decay applies to every variable."""
    return not hasattr(optimizer, "_exclude_from_weight_decay")


@contextmanager
def replaced(optimizer: Any, rate: Callable[[], Any] | None) -> Iterator[None]:
    """Within the block, the optimizer asks a function for its learning rate at every step; None: it keeps its own.

    Attributes that are set within the block have their values of before after it.
    """
    before = dict(vars(optimizer))
    if rate is not None:
        vars(optimizer)["_learning_rate"] = rate  # not tracked, as its own remains one of its variables
    try:
        yield
    finally:
        vars(optimizer).update(before)


def profiles_batches(callback: keras.callbacks.TensorBoard) -> bool:
    """Whether the callback was made with a profile_batch."""
    return bool(callback._should_trace)
