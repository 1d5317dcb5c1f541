"""A plain Keras loop over the batches of a run: what the compiled trainer is compared with."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from fashion_sweep.config.run_spec import RunSpec
from fashion_sweep.training.job import Job
from fashion_sweep.training.plain_keras import PlainKeras

History = list[dict[str, float]]


def plain_keras(spec: RunSpec, how: str) -> tuple[History, keras.Model]:
    """History and trained model of train_on_batch.

    how: ``masked`` runs Keras' own train step operation by operation, with the compiled trainer's masks in the place of
    Dropout's; ``compiled`` compiles it where the engine does, because TensorFlow draws other random numbers without
    that; ``quick`` does what takes least for a few steps.
    """
    is_quick_to_compile = keras.backend.backend() != "tensorflow"
    loop = PlainKeras(Job(spec), compiled=how == "compiled" or (how == "quick" and is_quick_to_compile))
    if how == "compiled" and not _compiles(loop.model):
        return plain_keras(spec, "masked")
    try:
        history, _ = loop.trained()
    except ValueError:  # Keras has no gradients of float8 layers operation by operation
        if how != "quick" or is_quick_to_compile:
            raise
        return plain_keras(spec, "compiled")
    except Exception as error:
        if how != "compiled" or type(error).__name__ not in ("InvalidArgumentError", "UnimplementedError"):
            raise  # what ``tensorflow.graph`` does without XLA for
        loop = PlainKeras(Job(spec), compiled=True, xla=False)
        history, _ = loop.trained()
    return history, loop.model


def _compiles(model: keras.Model) -> bool:
    """Whether the engine compiles the model."""
    if keras.backend.backend() != "tensorflow":
        return True
    from fashion_sweep.training.engines.tensorflow.graph import is_compiled

    return is_compiled(model)


def draws(model: keras.Model) -> bool:
    """Whether layers other than Dropout draw random numbers in training."""
    masked = [layer for layer in model._flatten_layers() if isinstance(layer, keras.layers.Dropout)]
    ours = {id(variable) for layer in masked for variable in layer.non_trainable_variables}
    states = [each for each in model.non_trainable_variables if "seed_generator" in each.path]
    return any(id(state) not in ours for state in states)


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
