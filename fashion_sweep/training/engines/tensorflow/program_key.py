"""What has to be equal for one program to train several runs, or to serve again."""

from __future__ import annotations

import json
import uuid
from collections.abc import Collection, Mapping
from typing import Any

import keras

from fashion_sweep.training.engines.tensorflow import hyperparameters, stacking


def program_key(model: keras.Model, config: Mapping[str, Any]) -> str:
    """Equal for runs that one program can train, apart from the shapes of their data.

    Whatever is not an input of the program has to be equal: the whole model except for the rates of the Dropout layers
    that are replaced, the optimizer except for its inputs, and whether there is a schedule, because Keras then stores
    the learning rate elsewhere.
    """
    optimizer = model.optimizer
    inputs = ("learning_rate", "name", *hyperparameters.names(optimizer))
    settings = {key: value for key, value in optimizer.get_config().items() if key not in inputs}
    is_known = type(optimizer).__module__.startswith("keras.")
    own = None if is_known else {key: value for key, value in config["optimizer"].items() if key != "learning_rate"}
    kind = [type(optimizer).__module__, type(optimizer).__qualname__, settings, own, bool(config["schedule"])]
    return json.dumps([architecture_key(model, config), kind], default=str)


def architecture_key(model: keras.Model, config: Mapping[str, Any]) -> Any:
    """The model's config without the rates of its replaced Dropout layers, which are inputs.

    Layers of the user's own may depend on more than their config: then the ``model`` node of the run's config counts as
    well. A model that has no config to compare, or that draws random numbers of its own, whose rate and stream are part
    of the program, gets a key like no other.
    """
    if not stacking.is_function_of_inputs(model):
        return uuid.uuid4().hex
    replaced = {layer.name for layer in stacking.replaced_dropouts(model)}
    node = None if stacking.is_all_keras(model) else config["model"]
    return [_without_rates(model.get_config(), replaced), node]


def _without_rates(node: Any, replaced: Collection[str]) -> Any:
    """A serialized model without rate and seed of its Dropout layers of these names, unless they drop nothing."""
    if isinstance(node, Mapping):
        config: Any = node.get("config")
        if node.get("class_name") == "Dropout" and config["name"] in replaced and 0 < config["rate"] < 1:
            return [node["class_name"], {key: value for key, value in config.items() if key not in ("rate", "seed")}]
        return {key: _without_rates(value, replaced) for key, value in node.items()}
    return [_without_rates(item, replaced) for item in node] if isinstance(node, (list, tuple)) else node
