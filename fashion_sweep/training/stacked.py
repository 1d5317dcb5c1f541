"""From R Keras models of the same architecture to one model that computes them all.

The stacked model is a clone of the first: the batches of all runs are merged into its batch axis, [R * B, ...]. Layers
without weights do not notice; layers with weights are replaced by ones that hold the weights of all runs, as [R, a, b],
so that a learning rate of shape [R, 1, 1] fits every one of them. Tables alone are [R * rows, b]: see ``by_run``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import tensorflow as tf

from fashion_sweep.training.noise import CounterDropout, Noise

SUBCLASS = "the model is a subclass of its own"


def why_not(model: keras.Model) -> str | None:
    """Why the model cannot be stacked with others, in a few words; None where it can."""
    if not _is_clonable(model):
        return SUBCLASS
    return next((reason for layer in model._flatten_layers(include_self=False) if (reason := _why_not(layer))), None)


def stack(models: Sequence[keras.Model], noise: Noise) -> keras.Model:
    """One model for R = len(models) built models of equal architecture; with R = 1 its layers are those of the model.

    Takes [R * B, ...], run after run, and returns [R * B, classes]. Its Dropout layers read ``noise``. Weights are not
    copied: see ``load``.
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
    """Whether all that is random in the stacked model are its CounterDropout layers, whose rates are inputs."""
    if not _is_clonable(model):
        return False
    replaced = {id(layer) for layer in replaced_dropouts(model)}
    every = model._flatten_layers(include_self=False)
    return all(id(layer) in replaced or not hasattr(layer, "seed_generator") for layer in every)


def has_convolutions(model: keras.Model) -> bool:
    """Whether any layer convolves."""
    return any("Conv" in type(layer).__name__ for layer in model._flatten_layers(include_self=False))


def dropout_rates(model: keras.Model) -> list[float]:
    """The rates of the layers that ``stack`` replaces by CounterDropout, in its order."""
    return [float(layer.rate) for layer in replaced_dropouts(model)]


def replaced_dropouts(model: keras.Model) -> list[keras.layers.Layer]:
    """The Dropout layers that ``stack`` replaces, each once: those of the model and of the models nested in it.

    One inside another layer, such as a block of a user's own, is out of reach of the clone.
    """
    leaves = _leaves(model) if _is_clonable(model) else ()
    return list({id(layer): layer for layer in leaves if is_plain_dropout(layer)}.values())


def is_all_keras(model: keras.Model) -> bool:
    """Whether every layer is one of Keras' own, whose config says all that there is to know of it."""
    every = model._flatten_layers()
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


def load(stacked: Sequence[Any], row: int, weights: Sequence[Any]) -> None:
    """Put one model's weights into row ``row`` of the stacked variables; both in the order of ``model.weights``."""
    for variable, value in zip(stacked, weights, strict=True):
        if tuple(variable.shape) == tuple(value.shape):
            variable.assign(value)
        else:
            every, one = tf.reshape(variable.value, (-1, value.shape.num_elements())), tf.cast(value, variable.dtype)
            every = tf.tensor_scatter_nd_update(every, [[row]], tf.reshape(one, (1, -1)))
            variable.assign(tf.reshape(every, variable.shape))


def row_of(variable: Any, row: int, shape: Sequence[int]) -> Any:
    """The value of one run in a stacked variable, in the shape that it has in the run's own model."""
    value = variable.value
    if tuple(value.shape) == tuple(shape):
        return value
    return tf.reshape(tf.reshape(value, (-1, math.prod(shape)))[row], tuple(shape))


def is_table(variable: Any) -> bool:
    """Whether a stacked variable holds the tables of R runs one below the other."""
    return len(variable.shape) == 2  # noqa: PLR2004


def by_run(values: Any, variable: Any = None) -> Any:
    """One number a run, [R], in the shape that fits a stacked variable: [R, 1, 1], or [R * rows, 1] for a table.

    For a single run, whose variables are as they were, it is [].
    """
    runs = values.shape[0]
    if runs == 1:
        return values[0]
    if variable is None or not is_table(variable):
        return values[:, None, None]
    return tf.reshape(tf.tile(values[:, None], (1, variable.shape[0] // runs)), (-1, 1))


def is_plain_dropout(layer: keras.layers.Layer) -> bool:
    """Whether the layer drops single units: then CounterDropout takes its place."""
    return type(layer) is keras.layers.Dropout and layer.noise_shape is None and 0 < layer.rate < 1


def _is_clonable(model: keras.Model) -> bool:
    return isinstance(model, keras.Sequential) or type(model).__name__ == "Functional"


def _why_not(layer: keras.layers.Layer) -> str | None:
    name = f"{type(layer).__name__} {layer.name}"
    if isinstance(layer, keras.Model) or is_plain_dropout(layer):
        return None
    if not type(layer).__module__.startswith("keras.") or _is_lambda(layer):
        return f"layer {name} may mix the images of a batch"
    if isinstance(layer, keras.layers.Masking) or getattr(layer, "mask_zero", False):
        return f"layer {name} makes a mask"
    if hasattr(layer, "seed_generator") and getattr(layer, "rate", None) != 0:
        return f"layer {name} draws random numbers"
    return _why_not_with(layer, name) if layer.weights else None


def _why_not_with(layer: keras.layers.Layer, name: str) -> str | None:
    """Why a layer with weights cannot be stacked: it has no rule, or what its rule does not know."""
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


class Stacked(keras.layers.Layer):  # type: ignore[misc]
    """A layer with the weights of R runs, each [R, a, b]: the shape [..., b] of one run with ... multiplied to a."""

    def __init__(self, layer: keras.layers.Layer, runs: int) -> None:
        super().__init__(name=layer.name)
        self._one, self._runs, self._shapes = layer.get_config(), runs, [tuple(w.shape) for w in layer.weights]
        self._output = tuple(layer.output.shape[1:])
        self._activation = getattr(layer, "activation", None)
        self._stacked = {
            variable.name: self.add_weight(
                name=variable.name,
                shape=self._stacked_shape(tuple(variable.shape)),
                trainable=variable.trainable,
            )
            for variable in layer.weights
        }

    def _stacked_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return self._runs, math.prod(shape[:-1]), shape[-1]

    def compute_output_shape(self, input_shape: Any) -> Any:
        """[R * B, ...] as the layer of one run has it."""
        return (input_shape[0], *self._output)

    def _by_run(self, x: Any) -> Any:
        """[R * B, ..., n] -> [R, B * ..., n]."""
        return tf.reshape(x, (self._runs, -1, x.shape[-1]))

    def _merged(self, x: Any) -> Any:
        """[R, B * ..., n] -> [R * B, ..., n]; last, so that Keras' losses see the activation's own operation."""
        merged = tf.reshape(x, (-1, *self._output))
        return merged if self._activation is None else self._activation(merged)


class StackedDense(Stacked):
    """Dense."""

    def call(self, x: Any) -> Any:
        """x: [R * B, ..., in]."""
        y = tf.matmul(self._by_run(x), self._stacked["kernel"])
        return self._merged(y + self._stacked["bias"] if "bias" in self._stacked else y)


class StackedConv2D(Stacked):
    """Conv2D, as one convolution in R groups of channels."""

    def call(self, x: Any) -> Any:
        """x: [R * B, H, W, in]."""
        runs, (height, width, channels) = self._runs, x.shape[1:]
        kernel_shape = (runs, *self._one["kernel_size"], channels, self._one["filters"])
        kernel = tf.transpose(tf.reshape(self._stacked["kernel"], kernel_shape), (1, 2, 3, 0, 4))
        grouped = tf.transpose(tf.reshape(x, (runs, -1, height, width, channels)), (1, 2, 3, 0, 4))
        y = tf.nn.convolution(
            tf.reshape(grouped, (-1, height, width, runs * channels)),
            tf.reshape(kernel, (*kernel_shape[1:4], runs * kernel_shape[4])),
            strides=self._one["strides"],
            padding=self._one["padding"].upper(),
            dilations=self._one["dilation_rate"],
        )
        y = tf.transpose(tf.reshape(y, (-1, *y.shape[1:3], runs, kernel_shape[4])), (3, 0, 1, 2, 4))
        y = self._by_run(tf.reshape(y, (-1, *self._output)))
        return self._merged(y + self._stacked["bias"] if "bias" in self._stacked else y)


class StackedBatchNormalization(Stacked):
    """BatchNormalization over the last axis, statistics for each run by itself."""

    def call(self, x: Any, training: bool = False, mask: None = None) -> Any:  # noqa: ARG002 - Keras passes a mask
        """x: [R * B, ..., C]; mask: none, see why_not."""
        by_run, moving = self._by_run(x), (self._stacked["moving_mean"], self._stacked["moving_variance"])
        mean, variance = moving
        if training:
            mean, variance = tf.nn.moments(by_run, axes=1, keepdims=True)
            for variable, batch in zip(moving, (mean, variance), strict=True):
                momentum = self._one["momentum"]
                variable.assign(variable * momentum + batch * (1.0 - momentum))
        scale = tf.math.rsqrt(variance + self._one["epsilon"])
        scale = scale * self._stacked["gamma"] if "gamma" in self._stacked else scale
        shift = self._stacked["beta"] - mean * scale if "beta" in self._stacked else -mean * scale
        return self._merged(by_run * scale + shift)


class StackedLayerNormalization(Stacked):
    """LayerNormalization over the last axis."""

    def call(self, x: Any) -> Any:
        """x: [R * B, ..., C]."""
        by_run = self._by_run(x)
        mean, variance = tf.nn.moments(by_run, axes=-1, keepdims=True)
        y = (by_run - mean) * tf.math.rsqrt(variance + self._one["epsilon"])
        y = y * self._stacked["gamma"] if "gamma" in self._stacked else y
        return self._merged(y + self._stacked["beta"] if "beta" in self._stacked else y)


class StackedEmbedding(Stacked):
    """Embedding, as one table with the rows of run after run.

    So its gradient is as sparse as that of one run. Keras' optimizers square each entry of such a gradient before they
    add up those of a row; of a dense one they square the sums.
    """

    def _stacked_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        return self._runs * shape[0], shape[1]

    def call(self, x: Any) -> Any:
        """x: [R * B, ...], whole numbers; negative ones count from the last row, as in Keras."""
        rows = self._one["input_dim"]
        chosen = tf.cast(tf.reshape(x, (self._runs, -1)), tf.int32)
        chosen = tf.clip_by_value(tf.where(chosen < 0, chosen + rows, chosen), 0, rows - 1)  # no other run's rows
        first = rows * tf.range(self._runs)[:, None]
        return self._merged(tf.gather(self._stacked["embeddings"], chosen + first))


RULES: dict[type, Callable[[keras.layers.Layer, int], Stacked]] = {
    keras.layers.Dense: StackedDense,
    keras.layers.Conv2D: StackedConv2D,
    keras.layers.BatchNormalization: StackedBatchNormalization,
    keras.layers.LayerNormalization: StackedLayerNormalization,
    keras.layers.Embedding: StackedEmbedding,
}
"""Layers with weights that can be stacked. What a rule cannot do exactly, ``why_not`` refuses."""
