"""From the config's ``model`` node to a Keras model.

A model is any function that returns a Keras classifier: a built-in one of ``networks``, or a user's own, named by
``_target_``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from fashion_sweep.config import targets
from fashion_sweep.errors import ConfigError


def build_model(config: Mapping[str, Any], input_shape: Sequence[int], num_classes: int) -> Any:
    """Call the function that ``config["_target_"]`` names and check what it returns.

    config: the resolved ``model`` node; its other keys are the function's arguments. ``input_shape`` (of one image)
    and ``num_classes`` are passed on to functions that take them.
    Returns: a built keras.Model from images [N, *input_shape] to class probabilities [N, num_classes].
    Raises: ConfigError if the call fails or returns anything else.
    """
    target = str(config["_target_"])
    try:
        model = targets.call(config, input_shape=tuple(input_shape), num_classes=num_classes)
    except Exception as error:
        raise ConfigError(f"model {target} cannot be built: {_reason(error)}") from error
    _check(model, target, tuple(input_shape), num_classes)
    return model


def _check(model: Any, target: str, input_shape: tuple[int, ...], num_classes: int) -> None:
    """Raise ConfigError unless the model maps two images to two rows of class probabilities."""
    import keras
    import numpy as np

    if not isinstance(model, keras.Model):
        raise ConfigError(f"model {target} returned {type(model).__name__}, expected a keras.Model")
    # Of all greys: a model may divide by an image's norm, or mask zeros.
    images = np.linspace(0, 1, 2 * math.prod(input_shape), dtype="float32").reshape(2, *input_shape)
    expected = f"expected [images, {num_classes}] class probabilities, as a last Dense layer with softmax gives"
    try:
        rows = np.asarray(model(images, training=False))
    except Exception as error:
        raise ConfigError(f"model {target} cannot take images of shape {input_shape}: {_reason(error)}") from error
    if rows.shape != (2, num_classes):
        raise ConfigError(f"model {target} returned an array of shape {rows.shape} for 2 images, {expected}")
    if (rows < 0).any() or not np.allclose(rows.sum(axis=1), 1, atol=1e-3):
        raise ConfigError(f"model {target} returned rows that do not sum to 1, {expected}")


def _reason(error: Exception) -> str:
    """Type and first line of an error."""
    return f"{type(error).__name__}: {(str(error).strip().splitlines() or [''])[0]}"
