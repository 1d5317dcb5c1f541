"""Compiled programs that a process keeps from pack to pack, and what must be equal for one to serve again."""

from __future__ import annotations

import json
import uuid
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import keras

from fashion_sweep import data, optimizers
from fashion_sweep.training import arguments, stacked
from fashion_sweep.training.measuring import Validation
from fashion_sweep.training.program import Program

PROGRAMS_KEPT = 8
"""Programs of each kind that are kept; the one that was not used for longest goes first."""

_Kind = TypeVar("_Kind")
programs: OrderedDict[str, Program] = OrderedDict()
validations: OrderedDict[str, Validation] = OrderedDict()


def program(models: Sequence[keras.Model], config: Mapping[str, Any], split: data.Split) -> Program:
    """One that trains R models of one architecture as the config says: kept from before, or new."""
    optimizer = optimizers.build(config, 1)
    inputs = ("learning_rate", "name", *arguments.names(optimizer))
    settings = {key: value for key, value in optimizer.get_config().items() if key not in inputs}
    shapes = [split.x_train.shape, str(split.x_train.dtype), config["batch_size"], len(models)]
    key = [_architecture(models[0]), type(optimizer).__name__, settings, shapes]
    return _kept(programs, key, lambda: Program(models, optimizer, config["batch_size"]))


def validation(models: Sequence[keras.Model], split: data.Split) -> Validation:
    """One that measures R models of one architecture, however they are trained: kept from before, or new."""
    key = [_architecture(models[0]), split.x_val.shape, str(split.x_val.dtype), len(models)]
    return _kept(validations, key, lambda: Validation(models))


def forget() -> None:
    """Let go of all programs and their memory."""
    programs.clear()
    validations.clear()


def _kept(found: OrderedDict[str, _Kind], key: Sequence[Any], make: Callable[[], _Kind]) -> _Kind:
    text = json.dumps(key, default=str)
    if text not in found:
        found[text] = make()
    found.move_to_end(text)
    while len(found) > PROGRAMS_KEPT:
        found.popitem(last=False)
    return found[text]


def _architecture(model: keras.Model) -> Any:
    """The model's config without its dropout rates, which are inputs.

    A program is not kept for another run where the model has no config to compare, or draws random numbers of its own,
    whose rate and stream are part of the program: then this is like no other.
    """
    if not stacked.is_function_of_inputs(model):
        return uuid.uuid4().hex
    return _without_rates(model.get_config())


def _without_rates(node: Any) -> Any:
    if isinstance(node, Mapping):
        dropped = ("rate", "seed") if node.get("rate") else ("seed",)
        return {key: _without_rates(value) for key, value in node.items() if key not in dropped}
    return [_without_rates(item) for item in node] if isinstance(node, (list, tuple)) else node
