"""Layers that hold the weights of all runs of a pack."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf


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
                shape=_stacked_shape(runs, tuple(variable.shape)),
                trainable=variable.trainable,
            )
            for variable in layer.weights
        }

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


def _stacked_shape(runs: int, shape: tuple[int, ...]) -> tuple[int, ...]:
    return runs, math.prod(shape[:-1]), shape[-1]


class StackedDense(Stacked):
    """Dense."""

    def call(self, x: Any) -> Any:
        """x: [R * B, ..., in]."""
        y = tf.matmul(self._by_run(x), self._stacked["kernel"])
        return self._merged(y + self._stacked["bias"] if "bias" in self._stacked else y)


class StackedConv2D(Stacked):
    """Conv2D: on a GPU one convolution in R groups of channels, on CPUs, where few can train groups, R convolutions."""

    def __init__(self, layer: keras.layers.Layer, runs: int) -> None:
        super().__init__(layer, runs)
        self.is_grouped = bool(tf.config.list_physical_devices("GPU"))

    def call(self, x: Any) -> Any:
        """x: [R * B, H, W, in]."""
        kernel = tf.reshape(
            self._stacked["kernel"], (self._runs, *self._one["kernel_size"], x.shape[-1], self._one["filters"])
        )
        y = self._grouped(x, kernel) if self.is_grouped else self._one_by_one(x, kernel)
        y = self._by_run(tf.reshape(y, (-1, *self._output)))
        return self._merged(y + self._stacked["bias"] if "bias" in self._stacked else y)

    def _one_by_one(self, x: Any, kernel: Any) -> Any:
        """kernel: [R, h, w, in, filters]."""
        pairs = zip(tf.split(x, self._runs), tf.unstack(kernel), strict=True)
        return tf.concat([self._convolved(images, weights) for images, weights in pairs], axis=0)

    def _grouped(self, x: Any, kernel: Any) -> Any:
        """kernel: [R, h, w, in, filters]."""
        runs, filters, (height, width, channels) = self._runs, kernel.shape[-1], x.shape[1:]
        grouped = tf.transpose(tf.reshape(x, (runs, -1, height, width, channels)), (1, 2, 3, 0, 4))
        weights = tf.reshape(tf.transpose(kernel, (1, 2, 3, 0, 4)), (*kernel.shape[1:4], runs * filters))
        y = self._convolved(tf.reshape(grouped, (-1, height, width, runs * channels)), weights)
        return tf.transpose(tf.reshape(y, (-1, *y.shape[1:3], runs, filters)), (3, 0, 1, 2, 4))

    def _convolved(self, x: Any, kernel: Any) -> Any:
        return tf.nn.convolution(
            x,
            kernel,
            strides=self._one["strides"],
            padding=self._one["padding"].upper(),
            dilations=self._one["dilation_rate"],
        )


class StackedBatchNormalization(Stacked):
    """BatchNormalization over the last axis, statistics for each run by itself."""

    def call(self, x: Any, training: bool = False, mask: None = None) -> Any:  # noqa: ARG002 - Keras passes a mask
        """x: [R * B, ..., C]; mask: always None, as no layer of a pack makes one."""
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


RULES: dict[type, Callable[[keras.layers.Layer, int], Stacked]] = {
    keras.layers.Dense: StackedDense,
    keras.layers.Conv2D: StackedConv2D,
    keras.layers.BatchNormalization: StackedBatchNormalization,
    keras.layers.LayerNormalization: StackedLayerNormalization,
}
"""Layers with weights that can be stacked. ``stackable`` refuses what a rule does not do."""
