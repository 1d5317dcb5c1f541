"""The networks that come with the package: functions from the keys of a ``model`` node to a Keras model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def softmax(input_shape: Sequence[int], num_classes: int) -> Any:
    """Softmax regression: one Dense layer on the flat image."""
    import keras

    return keras.Sequential(
        [keras.Input(tuple(input_shape)), keras.layers.Flatten(), keras.layers.Dense(num_classes, "softmax")]
    )


def mlp(
    input_shape: Sequence[int], num_classes: int, *, hidden_units: Sequence[int], activation: str, dropout: float
) -> Any:
    """Dense network: Flatten, then for each of hidden_units a Dense layer and dropout, then softmax.

    dropout: share of units dropped, in [0, 1); with 0 there is no Dropout layer.
    """
    import keras

    layers = [keras.Input(tuple(input_shape)), keras.layers.Flatten()]
    for units in hidden_units:
        layers += [keras.layers.Dense(units, activation), *_dropout(dropout)]
    return keras.Sequential([*layers, keras.layers.Dense(num_classes, "softmax")])


def cnn(
    input_shape: Sequence[int],
    num_classes: int,
    *,
    filters: Sequence[int],
    kernel_size: int,
    dense_units: int,
    activation: str,
    dropout: float,
) -> Any:
    """Convolutional network: for each of filters a Conv2D (same padding) and 2 x 2 max pooling, then two Dense layers.

    input_shape: [H, W] or [H, W, C]; dropout: before and after the first Dense layer, in [0, 1); 0: no Dropout layers.
    """
    import keras

    shape = tuple(input_shape)
    channels = () if len(shape) == 3 else (1,)  # noqa: PLR2004 - height, width, channels
    layers = [keras.Input(shape), *([keras.layers.Reshape((*shape, *channels))] if channels else [])]
    for channel_count in filters:
        convolution = keras.layers.Conv2D(channel_count, kernel_size, padding="same", activation=activation)
        layers += [convolution, keras.layers.MaxPooling2D(2)]
    layers += [keras.layers.Flatten(), *_dropout(dropout), keras.layers.Dense(dense_units, activation)]
    return keras.Sequential([*layers, *_dropout(dropout), keras.layers.Dense(num_classes, "softmax")])


def _dropout(rate: float) -> list[Any]:
    import keras

    return [keras.layers.Dropout(rate)] if rate else []
