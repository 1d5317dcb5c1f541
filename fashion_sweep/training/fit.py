"""The reference trainer: Keras' own model.fit, driven well.

What makes it quick: float32 input (the usual ``images / 255.0`` is float64, which Keras casts batch by batch), and many
steps between two returns to Python.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import keras
import numpy as np

from fashion_sweep import data, models, optimizers
from fashion_sweep.run_dir import RunDir
from fashion_sweep.training import callbacks

LOSS = "sparse_categorical_crossentropy"
"""Minus the logarithm of the probability that the model gives to the true class, mean over images."""


def fit(
    config: Mapping[str, Any],
    split: data.Split,
    run: RunDir,
    report: Callable[[dict[str, float]], None],
    started: Callable[[keras.Model], None],
    *,
    steps_per_execution: int,
    jit_compile: bool | str,
) -> keras.Model:
    """Train one run and return its model, with the weights that its callbacks leave.

    config: resolved, of the whole run; run: where callbacks put their files; started: called with the built model
    before the first epoch; report: called with metric -> value after every epoch.
    """
    keras.utils.clear_session()
    keras.utils.set_random_seed(config["seed"])
    steps = math.ceil(len(split.x_train) / config["batch_size"])
    model = models.build(config["model"], split.input_shape, split.num_classes)
    model.compile(
        optimizer=optimizers.build(config, steps * config["epochs"]),
        loss=LOSS,
        metrics=["accuracy"],
        steps_per_execution=min(steps_per_execution, steps),
        jit_compile=jit_compile,
    )
    started(model)
    x_train, x_val = _scaled(split)
    reporter = callbacks.EpochReporter(report, with_learning_rate=bool(config["schedule"]))
    model.fit(
        x_train,
        split.y_train,
        batch_size=config["batch_size"],
        epochs=config["epochs"],
        validation_data=(x_val, split.y_val),
        callbacks=[*callbacks.build(config["callbacks"], run), reporter],
        verbose=0,
    )
    return model


@lru_cache(maxsize=1)
def _scaled(split: data.Split) -> tuple[np.ndarray, np.ndarray]:
    """Training and validation images as a model takes them, kept for the next run of a sweep."""
    return data.scale(split.x_train), data.scale(split.x_val)
