"""From R Keras models of the same architecture to one model that computes them all.

The stacked model is a clone of the first, with the batches of all runs merged into its batch axis, [R * B, ...]. Layers
without weights work on that unchanged; layers with weights are replaced by ones that hold the weights of all runs as
[R, a, b], so that a learning rate of shape [R, 1, 1] fits each of them. Only tables are [R * rows, b]: see
``rows.by_run``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import keras

from fashion_sweep.training.engines import keras_internals
from fashion_sweep.training.engines.tensorflow.dropout import CounterDropout, DropoutInputs
from fashion_sweep.training.engines.tensorflow.stacked_layers import RULES

SUBCLASS = "the model is a subclass of its own"


def unsupported_reason(model: keras.Model) -> str | None:
    """Why the model cannot be stacked with others, in a few words; None if it can."""
    if not _is_clonable(model):
        return SUBCLASS
    return next(filter(None, map(_unsupported_layer, keras_internals.all_layers(model))), None)


def stack(models: Sequence[keras.Model], noise: DropoutInputs) -> keras.Model:
    """One model for R = len(models) built models of equal architecture; with R = 1 its layers are those of the model.

    Takes [R * B, ...], run after run, and returns [R * B, classes]. Its Dropout layers read ``noise``. Weights are not
    copied: see ``rows.load``.
    """
    runs = len(models)
    numbers = {id(layer): number for number, layer in enumerate(replaced_dropouts(models[0]))}

    def replaced(layer: keras.layers.Layer) -> keras.layers.Layer:
        if id(layer) in numbers:
            return CounterDropout(noise, numbers[id(layer)], runs)
        if runs == 1 or not layer.weights:
            return layer.__class__.from_config(layer.get_config())
        return RULES[type(layer)](layer, runs)

    if not _is_clonable(models[0]):
        return models[0]
    return keras.models.clone_model(models[0], clone_function=replaced, recursive=True)


def is_function_of_inputs(model: keras.Model) -> bool:
    """Whether nothing in the stacked model is random but its CounterDropout layers, whose rates are inputs."""
    if not _is_clonable(model):
        return False
    replaced = {id(layer) for layer in replaced_dropouts(model)}
    every = keras_internals.all_layers(model)
    return all(id(layer) in replaced or not hasattr(layer, "seed_generator") for layer in every)


def has_convolutions(model: keras.Model) -> bool:
    """Whether any layer convolves."""
    return any("Conv" in type(layer).__name__ for layer in keras_internals.all_layers(model))


def dropout_rates(model: keras.Model) -> list[float]:
    """The rates of the layers that ``stack`` replaces by CounterDropout, in its order."""
    return [float(layer.rate) for layer in replaced_dropouts(model)]


def replaced_dropouts(model: keras.Model) -> list[keras.layers.Layer]:
    """The Dropout layers that ``stack`` replaces, each once: those of the model and of the models nested in it.

    clone_model does not reach one inside another layer, such as a block of a user's own.
    """
    leaves = _leaves(model) if _is_clonable(model) else ()
    return list({id(layer): layer for layer in leaves if is_plain_dropout(layer)}.values())


def is_all_keras(model: keras.Model) -> bool:
    """Whether every layer is one of Keras' own, whose config describes it completely."""
    every = keras_internals.all_layers(model, with_model=True)
    return all(type(layer).__module__.startswith("keras.") and not _is_lambda(layer) for layer in every)


def _leaves(model: keras.Model) -> Iterator[keras.layers.Layer]:
    """The layers that clone_model hands to its clone function: nested models are entered, other layers are not."""
    for layer in model.layers:
        if any(kind.__name__ in ("Sequential", "Functional") for kind in type(layer).__mro__):
            yield from _leaves(layer)
        else:
            yield layer


def _is_lambda(layer: keras.layers.Layer) -> bool:
    return isinstance(layer, keras.layers.Lambda)


def is_plain_dropout(layer: keras.layers.Layer) -> bool:
    """Whether the layer drops single units: then CounterDropout takes its place."""
    return type(layer) is keras.layers.Dropout and layer.noise_shape is None and 0 < layer.rate < 1


def _is_clonable(model: keras.Model) -> bool:
    return isinstance(model, keras.Sequential) or type(model).__name__ == "Functional"


def _unsupported_layer(layer: keras.layers.Layer) -> str | None:
    name = f"{type(layer).__name__} {layer.name}"
    if isinstance(layer, keras.Model) or is_plain_dropout(layer):
        return None
    if not type(layer).__module__.startswith("keras.") or _is_lambda(layer):
        return f"layer {name} may mix the images of a batch"
    if isinstance(layer, keras.layers.Masking) or getattr(layer, "mask_zero", False):
        return f"layer {name} makes a mask"
    if hasattr(layer, "seed_generator") and getattr(layer, "rate", None) != 0:
        return f"layer {name} draws random numbers"
    return _unsupported_weights(layer, name) if layer.weights else None


def _unsupported_weights(layer: keras.layers.Layer, name: str) -> str | None:
    """Why a layer with weights cannot be stacked: it has no rule, or a setting that its rule does not support."""
    if type(layer) not in RULES:
        return f"there is no stacking rule for layer {name}"
    extras = [key for key in vars(layer) if key.endswith(("_regularizer", "_constraint")) and getattr(layer, key)]
    if extras:
        return f"layer {name} has a {extras[0]}"
    if layer.dtype_policy.name != "float32":
        return f"layer {name} computes in {layer.dtype_policy.name}"
    if isinstance(layer, keras.layers.Conv2D) and (layer.groups != 1 or layer.data_format != "channels_last"):
        return f"layer {name} has groups or channels first"
    axis = getattr(layer, "axis", -1)
    rank = len(layer.input.shape)
    return (
        None if axis in (-1, [-1], (-1,), rank - 1, [rank - 1]) else f"layer {name} works on another axis than the last"
    )
