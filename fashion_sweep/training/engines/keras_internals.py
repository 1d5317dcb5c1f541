"""All uses of Keras' private names, so that a new version has one place to look at.

Importing this module fails where Keras has no such names any more.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras
from keras.src.utils import module_utils

EXPECTED = (
    (keras.Model, "_flatten_layers"),
    (keras.optimizers.Optimizer, "_apply_weight_decay"),
    (module_utils.LazyModule("none"), "_available"),
)
"""Private names that are used here."""

for _owner, _name in EXPECTED:
    if not hasattr(_owner, _name):
        raise ImportError(f"Keras {keras.__version__} has no {_owner}.{_name}, which packs need; 3.15 has it")


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


def all_layers(model: keras.Model, *, with_model: bool = False) -> list[keras.layers.Layer]:
    """The layers of a model and the layers in these, at any depth."""
    return list(model._flatten_layers(include_self=with_model))


def learning_rate(optimizer: Any) -> Any:
    """What the optimizer has been given as its learning rate: a schedule, a callable, or its variable of a number."""
    return optimizer._learning_rate


def set_learning_rate(optimizer: Any, rate: Callable[[], Any]) -> None:
    """Have an optimizer that is not yet built ask a function for its learning rate at every step."""
    optimizer._learning_rate = rate


def on_each_variable(optimizer: Any, before: Callable[[Any], Any], after: Callable[[], None]) -> None:
    """Have an optimizer call ``before`` with a variable and ``after`` around all that it does to that variable.

    before: returns the learning rate for this variable.
    """
    decay, update = optimizer._apply_weight_decay, optimizer.update_step

    def decay_each(variables: Sequence[Any]) -> None:
        for variable in variables:
            before(variable)
            decay([variable])
        after()

    def update_one(gradient: Any, variable: Any, _learning_rate: Any) -> None:
        update(gradient, variable, before(variable))
        after()

    optimizer._apply_weight_decay, optimizer.update_step = decay_each, update_one


def profiles_batches(callback: keras.callbacks.TensorBoard) -> bool:
    """Whether the callback was made with a profile_batch."""
    return bool(callback._should_trace)
