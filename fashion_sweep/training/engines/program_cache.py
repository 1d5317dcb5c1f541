"""Compiled programs that a process keeps from pack to pack, and what must be equal for one to serve again."""

from __future__ import annotations

import json
import uuid
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, TypeVar

import keras

from fashion_sweep.data import split
from fashion_sweep.models import optimizers
from fashion_sweep.training.engines.tensorflow import hyperparameters, stacking
from fashion_sweep.training.engines.tensorflow.program import Program
from fashion_sweep.training.engines.tensorflow.validation import Validation

PROGRAMS_KEPT = 8
"""Programs of each kind that are kept; the one that was not used for longest goes first."""

_Kind = TypeVar("_Kind")
programs: OrderedDict[str, Program] = OrderedDict()
validations: OrderedDict[str, Validation] = OrderedDict()


def program(models: Sequence[keras.Model], config: Mapping[str, Any], split: split.Split) -> Program:
    """One that trains R models with equal ``program_key`` as the config says: kept from before, or new."""
    shapes = [split.x_train.shape, str(split.x_train.dtype), config["batch_size"], len(models)]
    optimizer = optimizers.build_optimizer(config, 1)
    key = [program_key(models[0], config), shapes]
    return _cached(programs, key, lambda: Program(models, optimizer, config["batch_size"]))


def validation(models: Sequence[keras.Model], config: Mapping[str, Any], split: split.Split) -> Validation:
    """One that measures R models with equal ``program_key``, however they are trained: kept from before, or new."""
    key = [_architecture(models[0], config), split.x_val.shape, str(split.x_val.dtype), len(models)]
    return _cached(validations, key, lambda: Validation(models))


def program_key(model: keras.Model, config: Mapping[str, Any]) -> str:
    """Equal for runs that one program can train, apart from the shapes of their data.

    Whatever is not an input of the program has to be equal: the whole model but for the rates of the Dropout layers
    that are replaced, the optimizer but for its inputs, and whether there is a schedule, with which Keras keeps the
    learning rate elsewhere.
    """
    optimizer = model.optimizer
    inputs = ("learning_rate", "name", *hyperparameters.names(optimizer))
    settings = {key: value for key, value in optimizer.get_config().items() if key not in inputs}
    is_known = type(optimizer).__module__.startswith("keras.")
    own = None if is_known else {key: value for key, value in config["optimizer"].items() if key != "learning_rate"}
    kind = [type(optimizer).__module__, type(optimizer).__qualname__, settings, own, bool(config["schedule"])]
    return json.dumps([_architecture(model, config), kind], default=str)


def forget() -> None:
    """Let go of all programs and their memory."""
    programs.clear()
    validations.clear()


def _cached(found: OrderedDict[str, _Kind], key: Sequence[Any], make: Callable[[], _Kind]) -> _Kind:
    text = json.dumps(key, default=str)
    if text not in found:
        found[text] = make()
    found.move_to_end(text)
    while len(found) > PROGRAMS_KEPT:
        found.popitem(last=False)
    return found[text]


def _architecture(model: keras.Model, config: Mapping[str, Any]) -> Any:
    """The model's config without the rates of its replaced Dropout layers, which are inputs.

    Layers of a user's own may hold more than their config says: then the node of the run's config counts as well. A
    program is not kept for another run where the model has no config to compare, or draws random numbers of its own,
    whose rate and stream are part of the program: then this is like no other.
    """
    if not stacking.is_function_of_inputs(model):
        return uuid.uuid4().hex
    replaced = {layer.name for layer in stacking.replaced_dropouts(model)}
    node = None if stacking.is_all_keras(model) else config["model"]
    return [_without_rates(model.get_config(), replaced), node]


def _without_rates(node: Any, replaced: Collection[str]) -> Any:
    """A serialized model without rate and seed of its Dropout layers of these names, as far as they drop anything."""
    if isinstance(node, Mapping):
        config: Any = node.get("config")
        if node.get("class_name") == "Dropout" and config["name"] in replaced and 0 < config["rate"] < 1:
            return [node["class_name"], {key: value for key, value in config.items() if key not in ("rate", "seed")}]
        return {key: _without_rates(value, replaced) for key, value in node.items()}
    return [_without_rates(item, replaced) for item in node] if isinstance(node, (list, tuple)) else node
