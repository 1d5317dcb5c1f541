"""All uses of Keras' private names, so that a new version has one place to look at.

Importing this module fails where Keras has no such names any more.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras.src.backend.common import global_state
from keras.src.random import seed_generator
from keras.src.utils import rng_utils

EXPECTED = (
    (keras.Model, "_flatten_layers"),
    (keras.optimizers.Optimizer, "_apply_weight_decay"),
    (global_state, "set_global_attribute"),
    (rng_utils, "GLOBAL_RANDOM_SEED"),
    (seed_generator, "GLOBAL_SEED_GENERATOR"),
)
"""Private names that are used here."""

for _owner, _name in EXPECTED:
    if not hasattr(_owner, _name):
        raise ImportError(f"Keras {keras.__version__} has no {_owner.__name__}.{_name}, which packs need; 3.15 has it")


def set_random_seed(seed: int) -> None:
    """``keras.utils.set_random_seed``, which imports TensorFlow to seed it as well, on any backend.

    Here TensorFlow is seeded only where it is imported: that takes seconds and hundreds of MiB.
    """
    if "tensorflow" in sys.modules:
        keras.utils.set_random_seed(seed)
        return
    global_state.set_global_attribute(rng_utils.GLOBAL_RANDOM_SEED, seed)
    global_state.set_global_attribute(seed_generator.GLOBAL_SEED_GENERATOR, None)
    random.seed(seed)
    np.random.seed(seed)


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
