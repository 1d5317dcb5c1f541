"""From R Keras models of the same architecture to one model that computes them all.

The stacked model is a clone of the first, with the batches of all runs merged into its batch axis, [R * B, ...]. Layers
without weights work on that unchanged; layers with weights are replaced by ones that hold the weights of all runs as
[R, a, b], so that a learning rate of shape [R, 1, 1] fits each of them. ``stackable`` says for which models this works.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import keras
import tensorflow as tf

from fashion_sweep.training.engines.dropout import dropped, unit_bits
from fashion_sweep.training.engines.tensorflow.stacked_layers import RULES


@dataclass
class PackNoise:
    """What the Dropout layers of a pack of R runs read while a step is traced; tensors, so that one program serves."""

    seeds: Any = None  # uint32 [R]
    step: Any = None  # uint32 [], counts from 0 over the whole run
    thresholds: list[Any] = field(default_factory=list)  # a layer: uint32 [R]
    scales: list[Any] = field(default_factory=list)  # a layer: float32 [R]


class StackedDropout(keras.layers.Layer):  # type: ignore[misc]
    """Dropout on the merged batch of R runs, [R * B, ...]; the ``index``-th Dropout layer of its model."""

    def __init__(self, noise: PackNoise, index: int, runs: int) -> None:
        super().__init__()
        self._noise, self._index, self._runs = noise, index, runs

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Drop units in training; the identity otherwise."""
        if not training or self._noise.seeds is None:
            return inputs
        flat = tf.reshape(inputs, (self._runs, -1))
        bits = unit_bits(self._noise.seeds, self._noise.step, self._index, flat.shape[1])
        kept = dropped(
            flat, bits, *(each[self._index][:, None] for each in (self._noise.thresholds, self._noise.scales))
        )
        return tf.reshape(kept, tf.shape(inputs))


def stack(models: Sequence[keras.Model], noise: PackNoise) -> keras.Model:
    """One model for R = len(models) built models of equal architecture.

    Takes [R * B, ...], run after run, and returns [R * B, classes]. Its Dropout layers read ``noise``. Weights are not
    copied: see ``rows.load``.
    """
    runs = len(models)
    numbers = {id(layer): number for number, layer in enumerate(_dropouts(models[0]))}

    def replaced(layer: keras.layers.Layer) -> keras.layers.Layer:
        if id(layer) in numbers:
            return StackedDropout(noise, numbers[id(layer)], runs)
        if not layer.weights:
            return layer.__class__.from_config(layer.get_config())
        return RULES[type(layer)](layer, runs)

    return keras.models.clone_model(models[0], clone_function=replaced)


def dropout_rates(model: keras.Model) -> list[float]:
    """The rates of the model's Dropout layers, in the order of their calls."""
    return [float(layer.rate) for layer in _dropouts(model)]


def _dropouts(model: keras.Model) -> list[keras.layers.Layer]:
    """The Dropout layers of a model without models in it, each called once, in the order of their calls."""
    return [layer for layer in model.layers if isinstance(layer, keras.layers.Dropout)]
