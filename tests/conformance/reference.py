"""A plain Keras loop over the batches of a run: what the compiled trainer is compared with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np

from fashion_sweep.config.run_spec import RunSpec
from fashion_sweep.data import split as data_split
from fashion_sweep.storage.record import METRICS
from fashion_sweep.training import model_setup
from fashion_sweep.training.engines.dropout import DropoutCalls, StepNoise
from fashion_sweep.training.job import Job

History = list[dict[str, float]]
Before = Callable[[int], None]


def plain_keras(spec: RunSpec, how: str) -> tuple[History, keras.Model]:
    """History and trained model of train_on_batch.

    how: ``masked`` runs Keras' own train step operation by operation, with the compiled trainer's masks in the place of
    Dropout's; ``compiled`` compiles it, because TensorFlow draws other random numbers without that; ``quick`` does what
    takes least for a few steps.
    """
    job = Job(spec)
    is_eager = how == "masked" or (how == "quick" and keras.backend.backend() == "tensorflow")
    model = model_setup.compiled_model(job, run_eagerly=is_eager, jit_compile=not is_eager)
    with _masked(model, job.config["seed"]) if how == "masked" else _unmasked() as before:
        history = [_epoch(job, model, epoch, before) for epoch in range(job.config["epochs"])]
    model.optimizer.finalize_variable_values(model.trainable_weights)
    return history, model


def draws(model: keras.Model) -> bool:
    """Whether layers other than Dropout draw random numbers in training."""
    masked = [layer for layer in model._flatten_layers() if isinstance(layer, keras.layers.Dropout)]
    ours = {id(variable) for layer in masked for variable in layer.non_trainable_variables}
    states = [each for each in model.non_trainable_variables if "seed_generator" in each.path]
    return any(id(state) not in ours for state in states)


def _epoch(job: Job, model: keras.Model, epoch: int, before: Before) -> dict[str, float]:
    size, order, steps = job.config["batch_size"], model_setup.order(job, epoch), model_setup.steps_per_epoch(job)
    x, y = data_split.scale(job.split.x_train), job.split.y_train
    logs = dict.fromkeys(("loss", "accuracy"), 0.0)
    for step in range(steps):
        batch = order[step * size : (step + 1) * size]
        before(epoch * steps + step)
        one = model.train_on_batch(x[batch], y[batch], return_dict=True)  # means over this batch
        logs = {key: logs[key] + float(one[key]) * len(batch) / len(order) for key in logs}
    x_val = data_split.scale(job.split.x_val)
    validated = model.evaluate(x_val, job.split.y_val, batch_size=size, verbose=0, return_dict=True)
    logs |= {f"val_{key}": float(value) for key, value in validated.items()}
    return {key: logs[key] for key in METRICS}


@contextmanager
def _masked(model: keras.Model, seed: int) -> Iterator[Before]:
    """Have Keras' Dropout layers drop what the compiled trainer drops in the step that was named last."""
    calls = DropoutCalls()

    def before(step: int) -> None:
        calls.begin(StepNoise(*map(keras.ops.convert_to_tensor, StepNoise.of(seed, step, calls.rates))))

    with calls.masked():
        before(0)  # without masks: the calls are only counted
        model(np.zeros((1, *model.input_shape[1:]), "float32"), training=True)
        yield before


@contextmanager
def _unmasked() -> Iterator[Before]:
    yield lambda _: None


def largest_difference(history: History, expected: History, weights: Any, expected_weights: Any) -> float:
    """The largest difference relative to the size of what is compared: losses, and each array of weights.

    Infinite where accuracies differ by more than one image, or a shape does.
    """
    if len(history) != len(expected) or len(weights) != len(expected_weights):
        return float("inf")
    found = [_of_rows(one, two) for one, two in zip(history, expected, strict=True)]
    found += [_of_arrays(one, two) for one, two in zip(weights, expected_weights, strict=True)]
    return float(max(found))


def _of_rows(one: dict[str, float], two: dict[str, float]) -> float:
    if any(abs(one[key] - two[key]) > 1.5 / 16 for key in ("accuracy", "val_accuracy")):
        return float("inf")
    return max(_relative(np.array(one[key]), np.array(two[key])) for key in ("loss", "val_loss"))


def _of_arrays(one: np.ndarray, two: np.ndarray) -> float:
    if one.shape != two.shape:
        return float("inf")
    return _relative(np.asarray(one, "float64"), np.asarray(two, "float64")) if one.size else 0.0


def _relative(one: np.ndarray, two: np.ndarray) -> float:
    if not np.array_equal(np.isfinite(one), np.isfinite(two)):
        return float("inf")
    one, two = np.nan_to_num(one), np.nan_to_num(two)
    return float(np.abs(one - two).max() / max(np.abs(two).max(), 0.1))
