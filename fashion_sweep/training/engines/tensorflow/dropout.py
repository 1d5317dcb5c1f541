"""Dropout whose masks are a function of (run seed, layer, step, unit) alone.

TensorFlow's own random numbers differ between compiled and plain execution and are slow inside a compiled loop on CPUs.
A hash of a counter has neither fault: the masks of a run are the same in any pack, on any lane, and in a plain loop.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
import tensorflow as tf

_GOLDEN = 0x9E3779B9  # 2**32 divided by the golden ratio: spreads consecutive numbers over 32 bits


@dataclass
class DropoutInputs:
    """What the Dropout layers of a pack of R runs read while a step is traced; tensors, so that one program serves."""

    seeds: Any = None  # uint32 [R]
    step: Any = None  # uint32 [], counts from 0 over the whole run
    thresholds: list[Any] = field(default_factory=list)  # a layer: uint32 [R], its rate times 2**32
    scales: list[Any] = field(default_factory=list)  # a layer: float32 [R], 1 / (1 - rate)


def thresholds(rates: Any) -> np.ndarray:
    """Rates in [0, 1), any shape, as uint32: a hash below it drops its unit."""
    return np.minimum(np.round(np.asarray(rates, "float64") * 2.0**32), 2.0**32 - 1).astype("uint32")


def scales(rates: Any) -> np.ndarray:
    """The factors of units that are kept, so that the expected sum stays the same: float32, same shape."""
    return (1.0 / (1.0 - np.asarray(rates, "float64"))).astype("float32")


class CounterDropout(keras.layers.Layer):  # type: ignore[misc]
    """Dropout on the merged batch of R runs, [R * B, ...]; the ``index``-th Dropout layer of its model."""

    def __init__(self, noise: DropoutInputs, index: int, runs: int) -> None:
        super().__init__()
        self._noise, self._index, self._runs = noise, index, runs

    def call(self, inputs: Any, training: bool = False) -> Any:
        """Drop units in training; the identity otherwise."""
        if not training or self._noise.seeds is None:
            return inputs
        flat = tf.reshape(inputs, (self._runs, -1))
        bits = unit_bits(self._noise.seeds, self._noise.step, self._index, tf.shape(flat)[1])
        kept = bits >= self._noise.thresholds[self._index][:, None]
        scaled = flat * self._noise.scales[self._index][:, None]
        return tf.reshape(tf.where(kept, scaled, tf.zeros_like(scaled)), tf.shape(inputs))


def unit_bits(seeds: Any, step: Any, layer: int, units: Any) -> Any:
    """32 even random bits for each unit of each run: uint32 [R, units].

    seeds: uint32 [R]; step: uint32 []; layer: which Dropout layer of the model. The finalizer of MurmurHash3 (Appleby
    2011, public domain), applied to a key of (seed, step, layer) and then to the counter of units.
    """
    keys = _mixed(_mixed(seeds + _u32(layer * 0x85EBCA77)) ^ (step * _u32(0xC2B2AE3D)))
    counter = tf.cast(tf.range(units), tf.uint32) * _u32(_GOLDEN)
    return _mixed(counter[None, :] ^ keys[:, None])


def _mixed(h: Any) -> Any:
    h = (h ^ _shifted(h, 16)) * _u32(0x85EBCA6B)
    h = (h ^ _shifted(h, 13)) * _u32(0xC2B2AE35)
    return h ^ _shifted(h, 16)


def _shifted(h: Any, by: int) -> Any:
    return tf.bitwise.right_shift(h, _u32(by))


def _u32(value: int) -> Any:
    return tf.constant(value % 2**32, tf.uint32)
