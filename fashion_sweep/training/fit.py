"""The reference trainer: Keras' own model.fit, driven well.

What makes it quick: float32 input (the usual ``images / 255.0`` is float64, which Keras casts batch by batch), and many
steps between two returns to Python.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import keras
import numpy as np

from fashion_sweep import data
from fashion_sweep.training import building, callbacks
from fashion_sweep.training.job import Job, running


def fit(jobs: Sequence[Job], *, steps_per_execution: int, jit_compile: bool | str) -> None:
    """Train runs one after another; the options are those of conf/trainer/fit.yaml."""
    for job in jobs:
        with running([job]):
            job.end(_fitted(job, steps_per_execution, jit_compile))


def _fitted(job: Job, steps_per_execution: int, jit_compile: bool | str) -> keras.Model:
    """The trained model of one run, with the weights that its callbacks leave."""
    steps = building.steps_per_epoch(job)
    model = building.compiled_model(job, steps_per_execution=min(steps_per_execution, steps), jit_compile=jit_compile)
    job.recorder.describe_model(model)
    x_train, x_val = _scaled(job.split)
    model.fit(
        x_train,
        job.split.y_train,
        batch_size=job.config["batch_size"],
        epochs=job.config["epochs"],
        validation_data=(x_val, job.split.y_val),
        callbacks=callbacks.of(job),
        verbose=0,
    )
    return model


@lru_cache(maxsize=1)
def _scaled(split: data.Split) -> tuple[np.ndarray, np.ndarray]:
    """Training and validation images as a model takes them, kept for the next run of a sweep."""
    return data.scale(split.x_train), data.scale(split.x_val)
