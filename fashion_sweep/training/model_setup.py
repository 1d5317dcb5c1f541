"""The Keras model that a run starts from: the same for every trainer of networks."""

from __future__ import annotations

import math
from typing import Any
from unittest import mock

import keras
import numpy as np

from fashion_sweep.data.split import scale
from fashion_sweep.models import optimizers
from fashion_sweep.models.build import build_model
from fashion_sweep.storage import provenance
from fashion_sweep.training.engines import keras_internals
from fashion_sweep.training.job import Job

LOSS = "sparse_categorical_crossentropy"
"""Minus the logarithm of the probability that the model gives to the true class, mean over images."""


def steps_per_epoch(job: Job) -> int:
    """Batches in an epoch, a partial last one included."""
    return math.ceil(len(job.split.x_train) / int(job.config["batch_size"]))


def order(job: Job, epoch: int) -> np.ndarray:
    """The order of the training images in an epoch (from 0), int [N]: a function of the run's seed and the epoch."""
    return np.random.default_rng([job.config["seed"], epoch]).permutation(len(job.split.x_train))


def compiled_model(job: Job, *, is_first: bool = True, **options: Any) -> keras.Model:
    """A new model with the initial weights of the run's seed, its optimizer, loss and accuracy.

    is_first: of a pack; then the garbage of earlier models is collected. options: further arguments of
    keras.Model.compile. Keras' random numbers are seeded again, so that a run does not depend on those before it in the
    process.
    """
    keras.utils.clear_session(free_memory=is_first)
    keras_internals.set_random_seed(job.config["seed"])
    model = build_model(job.config["model"], job.split.input_shape, job.split.num_classes)
    optimizer = optimizers.build_optimizer(job.config, steps_per_epoch(job) * job.config["epochs"])
    model.compile(optimizer=optimizer, loss=LOSS, metrics=["accuracy"], **options)
    return model


FIT_METHODS = ("fit", "evaluate", "train_step", "test_step", "make_train_function", "make_test_function")
"""Methods of keras.Model that say how model.fit trains; a model that overrides one is trained by model.fit."""


def fit_reason(model: keras.Model) -> str | None:
    """Why only model.fit can train a compiled model, in a few words; None if Keras' own steps train it."""
    own = [
        name
        for name in FIT_METHODS
        if getattr(getattr(model, name), "__func__", None) is not getattr(keras.Model, name)
    ]
    if own:
        return f"the model has its own {own[0]}"
    return "the model runs eagerly" if model.run_eagerly else None


def build(model: keras.Model, job: Job) -> None:
    """Build what a compiled model lacks, as model.fit does before the first epoch."""
    count = min(len(job.split.x_train), int(job.config["batch_size"]))
    images, labels = job.split.x_train[:count], job.split.y_train[:count].astype("int32")
    keras_internals.build(model, scale(images), labels)


def describe(job: Job, model: keras.Model, pack: int = 1) -> None:
    """Record what a run trains, and with how many runs it is trained together, itself included."""
    job.recorder.describe_model(summary(model), model.count_params(), provenance.device(), pack)


def summary(model: keras.Model) -> str:
    """What ``model.summary()`` prints before training, when its optimizer has no variables; no newline at the end."""
    lines: list[str] = []
    with mock.patch.object(model, "compiled", False):
        model.summary(print_fn=lines.append)
    return "\n".join(lines).rstrip("\n")
