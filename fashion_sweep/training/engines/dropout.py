"""Dropout whose masks are a function of (run seed, call, step, unit) alone, with every engine.

A backend's own random numbers differ between backends, on TensorFlow even between compiled and plain execution, and are
slow inside a compiled loop on CPUs. A hash of a counter has none of these faults: the masks of a run are the same with
any engine, in any pack, on any lane, and in a plain loop.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple
from unittest import mock

import keras
import numpy as np
from keras import ops

_GOLDEN = 0x9E3779B9  # 2**32 divided by the golden ratio: spreads consecutive numbers over 32 bits


def thresholds(rates: Any) -> np.ndarray:
    """Rates in [0, 1], any shape, as uint32: a hash below it drops its unit."""
    return np.minimum(np.round(np.asarray(rates, "float64") * 2.0**32), 2.0**32 - 1).astype("uint32")


def scales(rates: Any) -> np.ndarray:
    """The factors of units that are kept, so that the expected sum stays the same: float32; 0 where none is kept."""
    kept = 1.0 - np.asarray(rates, "float64")
    return np.divide(1.0, kept, out=np.zeros_like(kept), where=kept > 0).astype("float32")


class StepNoise(NamedTuple):
    """What the masks of one training step depend on; tensors or arrays, so that they can be inputs of a program."""

    seed: Any  # uint32 [], of the run
    step: Any  # uint32 [], counts from 0 over the whole run
    thresholds: Any  # uint32 [calls]: see ``thresholds``
    scales: Any  # float32 [calls]

    @classmethod
    def of(cls, seed: int, step: int, rates: Sequence[float]) -> StepNoise:
        """As NumPy arrays. rates: of the calls; without any, the calls are only counted."""
        return cls(np.uint32(seed % 2**32), np.uint32(step % 2**32), thresholds(rates), scales(rates))

    @property
    def calls(self) -> float:
        """How many calls it has masks for; infinity while that is not known."""
        count = self.thresholds.shape[0]
        return math.inf if count is None else float(count)


class DropoutCalls:
    """The calls of a model's Dropout layers in a training step, in their order, which is the same in every step.

    A layer that is called twice in a step drops other units in each call, as in Keras.
    """

    def __init__(self, is_counted: Callable[[], bool] = lambda: True) -> None:
        """is_counted: whether a call is part of the step itself, not of a loop in it whose rounds are one call each."""
        self.layers: list[keras.layers.Dropout] = []
        self._is_counted = is_counted
        self._next = 0

    @property
    def rates(self) -> list[float]:
        """The rate of each call now. Callbacks may change those of the layers between epochs."""
        return [float(layer.rate) for layer in self.layers]

    def begin(self, noise: StepNoise) -> None:
        """Start a step. Calls for which ``noise`` has no mask are counted, and drop nothing."""
        self._noise, self._next = noise, 0

    @contextmanager
    def masked(self) -> Iterator[None]:
        """Within the block, keras.layers.Dropout drops what this says; subclasses that override ``call`` do not."""
        draw = keras.layers.Dropout.call

        def call(layer: keras.layers.Dropout, inputs: Any, training: bool = False) -> Any:
            return self._called(layer, inputs) if training and self._is_counted() else draw(layer, inputs, training)

        with mock.patch.object(keras.layers.Dropout, "call", call):
            yield

    def _called(self, layer: keras.layers.Dropout, inputs: Any) -> Any:
        index, self._next = self._next, self._next + 1
        if index == len(self.layers):
            self.layers.append(layer)
        noise = self._noise
        if index >= noise.calls:
            return inputs
        shape = _noise_shape(layer, inputs)
        bits = unit_bits(noise.seed[None], noise.step, index, math.prod(shape))[0]
        return dropped(inputs, ops.reshape(bits, shape), noise.thresholds[index], noise.scales[index])


def _noise_shape(layer: keras.layers.Dropout, inputs: Any) -> Sequence[int]:
    """The shape of a call's mask. Shapes are known where a program is traced."""
    given = layer.noise_shape or [None] * len(inputs.shape)
    return [int(size if wanted is None else wanted) for size, wanted in zip(inputs.shape, given, strict=True)]


def dropped(inputs: Any, bits: Any, threshold: Any, scale: Any) -> Any:
    """Inputs with the units dropped whose bits are below the threshold, and the others scaled; shapes broadcast."""
    scaled = inputs * ops.cast(scale, inputs.dtype)
    return ops.where(bits >= threshold, scaled, ops.zeros_like(scaled))


def unit_bits(seeds: Any, step: Any, call: int, units: Any) -> Any:
    """32 even random bits for each unit of each run: uint32 [R, units].

    seeds: uint32 [R]; step: uint32 []; call: which call of a Dropout layer in the step. The finalizer of MurmurHash3
    (Appleby 2011, public domain), applied to a key of (seed, step, call) and then to the counter of units.
    """
    keys = _mixed(_mixed(seeds + _u32(call * 0x85EBCA77)) ^ (step * _u32(0xC2B2AE3D)))
    counter = ops.cast(ops.arange(units, dtype="int32"), "uint32") * _u32(_GOLDEN)
    return _mixed(counter[None, :] ^ keys[:, None])


def _mixed(h: Any) -> Any:
    h = (h ^ _shifted(h, 16)) * _u32(0x85EBCA6B)
    h = (h ^ _shifted(h, 13)) * _u32(0xC2B2AE35)
    return h ^ _shifted(h, 16)


def _shifted(h: Any, by: int) -> Any:
    return ops.right_shift(h, _u32(by))


def _u32(value: int) -> Any:
    return ops.convert_to_tensor(np.uint32(value % 2**32))
