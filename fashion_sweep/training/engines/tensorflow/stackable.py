"""Which models can be trained in a pack: those of which everything is known.

A pack computes what its layers' configs say (``stacking``). So a model qualifies by a list of layers, and of the
arguments of each that the pack heeds; any other argument has to have its default.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras import layers

from fashion_sweep.training.engines import keras_internals
from fashion_sweep.training.engines.tensorflow import hyperparameters
from fashion_sweep.training.engines.tensorflow.packing import MIXING

_IMAGES = ("pool_size", "strides", "padding")
_WEIGHTS = ("use_bias", "kernel_initializer", "bias_initializer", "activation")
_NORMALIZATION = ("axis", "epsilon", "center", "scale", "beta_initializer", "gamma_initializer")

HEEDED: Mapping[type, Sequence[str]] = {
    layers.InputLayer: ("batch_shape",),
    layers.Flatten: (),
    layers.Reshape: ("target_shape",),
    layers.Permute: ("dims",),
    layers.Activation: ("activation",),
    layers.ReLU: ("max_value", "negative_slope", "threshold"),
    layers.LeakyReLU: ("negative_slope",),
    layers.ELU: ("alpha",),
    layers.Softmax: (),
    layers.Rescaling: ("scale", "offset"),
    layers.Dropout: ("rate", "seed"),
    layers.MaxPooling2D: _IMAGES,
    layers.AveragePooling2D: _IMAGES,
    layers.GlobalMaxPooling2D: ("keepdims",),
    layers.GlobalAveragePooling2D: ("keepdims",),
    layers.ZeroPadding2D: ("padding",),
    layers.Add: (),
    layers.Multiply: (),
    layers.Average: (),
    layers.Concatenate: (),
    layers.Dense: ("units", *_WEIGHTS),
    layers.Conv2D: ("filters", "kernel_size", "strides", "padding", "dilation_rate", *_WEIGHTS),
    layers.BatchNormalization: ("momentum", "moving_mean_initializer", "moving_variance_initializer", *_NORMALIZATION),
    layers.LayerNormalization: _NORMALIZATION,
}
"""Layers that treat each image by itself, apart from BatchNormalization, with the arguments that a pack heeds."""

ACTIVATIONS = {
    getattr(keras.activations, name)
    for name in (
        *("elu", "exponential", "gelu", "hard_sigmoid", "leaky_relu", "linear", "log_softmax", "mish", "relu", "relu6"),
        *("selu", "sigmoid", "silu", "softmax", "softplus", "softsign", "tanh"),
    )
}
"""Activations of single numbers, or of the last axis."""

FUNCTIONAL = type(keras.Model((_input := keras.Input((1,))), _input))
"""The class of models that are made of inputs and outputs."""


def unsupported_reason(model: keras.Model) -> str | None:
    """Why a compiled model cannot be trained in a pack, in a few words; None if it can."""
    if type(model) not in (keras.Sequential, FUNCTIONAL):
        return "the model is a subclass of its own"
    if model.dtype_policy.name != "float32":
        return f"the model computes in {model.dtype_policy.name}"
    operations = model.operations if type(model) is FUNCTIONAL else model.layers
    reasons = [_unsupported_operation(each) for each in operations]
    return next(filter(None, [*reasons, _unsupported_optimizer(model.optimizer)]), None)


def _unsupported_operation(layer: Any) -> str | None:
    name = f"{type(layer).__name__} {layer.name}"
    heeded = HEEDED.get(type(layer))
    if heeded is None:
        return f"layer {name} is not known to treat each image by itself"
    if not keras_internals.is_used_once(layer):
        return f"layer {name} is used more than once"
    if "call" in vars(layer) or not layer.trainable or any(_is_frozen(variable) for variable in layer.weights):
        return f"layer {name} is frozen, or its own class no longer says what it does"
    activation = getattr(layer, "activation", keras.activations.linear)
    if activation not in ACTIVATIONS:
        return f"layer {name} has an activation of its own"
    return _unsupported_argument(layer, heeded, name)


def _is_frozen(variable: Any) -> bool:
    return variable.trainable is not (not variable.name.startswith("moving_"))


def _unsupported_argument(layer: Any, heeded: Sequence[str], name: str) -> str | None:
    try:
        config = layer.get_config()
    except NotImplementedError:  # of a layer that leaves it to its user to describe an argument
        return f"layer {name} has an argument that its config does not show"
    plain = type(layer).from_config({key: config[key] for key in ("name", *heeded)}).get_config()
    differing = [key for key in config if _text(config[key]) != _text(plain.get(key))]
    if differing:
        return f"layer {name} has {differing[0]}={config[differing[0]]!r:.60}"
    axis, rank = config.get("axis", -1), len(layer.output.shape)
    if axis not in (-1, [-1], (-1,), rank - 1, [rank - 1]):
        return f"layer {name} works on another axis than the last"
    return None


def _unsupported_optimizer(optimizer: Any) -> str | None:
    name = type(optimizer).__name__
    if not hyperparameters.is_known(optimizer):
        return f"optimizer {name} is not known to treat each number by itself"
    if not keras_internals.decays_all(optimizer):
        return f"optimizer {name} excludes variables from weight decay"
    rate = keras_internals.learning_rate(optimizer)
    if not (hyperparameters.has_schedule(optimizer) or isinstance(rate, keras.Variable)):
        return f"optimizer {name} has a schedule of its own"
    mixing = next((key for key in MIXING if getattr(optimizer, key) is not None), None)
    return f"optimizer {name} has a {mixing}" if mixing else None


def pack_key(model: keras.Model) -> str:
    """Equal for models without an ``unsupported_reason`` that one program can train.

    Everything counts but inputs: rates and seeds of Dropout layers, learning rate, arguments among packing.INPUTS.
    """
    optimizer = model.optimizer
    inputs = ("learning_rate", "name", *hyperparameters.names(optimizer))
    settings = {key: value for key, value in optimizer.get_config().items() if key not in inputs}
    kind = [type(optimizer).__name__, settings, hyperparameters.has_schedule(optimizer)]
    return _text([_without_rates(model.get_config()), [tuple(weight.shape) for weight in model.weights], kind])


def _without_rates(node: Any) -> Any:
    """A serialized model without rates and seeds of its Dropout layers."""
    if isinstance(node, Mapping):
        if node.get("class_name") == "Dropout":
            kept = {key: value for key, value in node["config"].items() if key not in ("rate", "seed")}
            return {**node, "config": kept}
        return {key: _without_rates(value) for key, value in node.items()}
    return [_without_rates(item) for item in node] if isinstance(node, (list, tuple)) else node


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, default=str)
