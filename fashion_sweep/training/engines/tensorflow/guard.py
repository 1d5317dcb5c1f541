"""A last look before a pack is trained: whether its program computes what the models of its runs compute."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import keras
import numpy as np
import tensorflow as tf

from fashion_sweep.training.engines.base import Arrays, Run
from fashion_sweep.training.engines.dropout import DropoutCalls, StepNoise
from fashion_sweep.training.engines.tensorflow.lone import scaled

IMAGES = 8
"""How many images are looked at."""
TOLERANCE = 1e-3
"""Largest difference, as a share of the largest of the numbers compared."""

Probe = dict[str, Callable[[int], Sequence[Any]]]
"""Name -> the arrays of a run, by its row."""


class Probed(Protocol):
    """A program that can be looked at."""

    def probe(self, x: Any, y: Any) -> Probe:
        """What is compared, of one uncompiled step on the same few scaled images [n, ...] for every run."""


def difference(program: Probed, runs: Sequence[Run], arrays: Arrays) -> str | None:
    """What differs between a loaded program and the models of its runs, in a few words; None if nothing does.

    Compares probabilities in inference, and gradients and moving statistics of one training step, uncompiled.
    """
    x, y = scaled(arrays.x_train[:IMAGES], arrays.divisor), arrays.y_train[:IMAGES]
    found = program.probe(x, y)
    for row, run in enumerate(runs):
        for name, expected in _own(run, x, y).items():
            if not _are_close(found[name](row), expected):
                return f"its {name} differ from those of the model itself"
    return None


def _own(run: Run, x: Any, y: Any) -> dict[str, list[Any]]:
    """What ``Probed.probe`` finds, of one run's own model."""
    model, calls = run.model, DropoutCalls()
    with _unchanged(model), calls.masked():
        calls.begin(_noise(run.seed, ()))
        model(x, training=True)  # the calls are counted
    with _unchanged(model), calls.masked(), tf.GradientTape() as tape:
        calls.begin(_noise(run.seed, calls.rates))
        loss = tf.reduce_mean(keras.losses.sparse_categorical_crossentropy(y, model(x, training=True)))
        statistics = [variable.numpy() for variable in model.non_trainable_weights]
    gradients = tape.gradient(loss, [variable.value for variable in model.trainable_variables])
    return {"probabilities": [model(x, training=False)], "gradients": gradients, "statistics": statistics}


@contextmanager
def _unchanged(model: keras.Model) -> Iterator[None]:
    """A block after which the model has its weights of before."""
    before = model.get_weights()
    yield
    model.set_weights(before)


def _noise(seed: int, rates: Sequence[float]) -> StepNoise:
    return StepNoise(*map(tf.constant, StepNoise.of(seed, 0, rates)))


def _are_close(found: Sequence[Any], expected: Sequence[Any]) -> bool:
    if [tuple(each.shape) for each in found] != [tuple(each.shape) for each in expected]:
        return False
    one, two = (np.concatenate([np.zeros(1), *map(np.ravel, each)]) for each in (found, expected))
    return bool(np.abs(one - two).max() <= TOLERANCE * np.abs(two).max())
