"""Small models that between them use most of what engines compute: see ``equality``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import layers

Shape = tuple[int, ...]


def dense(input_shape: Shape, num_classes: int) -> keras.Model:
    """Dense layers with dropout."""
    first, second = [layers.Dense(16, "relu"), layers.Dropout(0.3)], [layers.Dense(16, "gelu"), layers.Dropout(0.2)]
    return _sequential(input_shape, num_classes, [layers.Flatten(), *first, *second])


def convolutional(input_shape: Shape, num_classes: int) -> keras.Model:
    """Convolutions and pooling."""
    hidden = [layers.Reshape((*input_shape, 1)), layers.Conv2D(4, 3, activation="relu"), layers.MaxPooling2D()]
    return _sequential(input_shape, num_classes, [*hidden, layers.Flatten()])


def normalized(input_shape: Shape, num_classes: int) -> keras.Model:
    """Statistics over the batch and over the features."""
    hidden = [layers.Flatten(), layers.Dense(16), layers.BatchNormalization(), layers.Activation("relu")]
    return _sequential(input_shape, num_classes, [*hidden, layers.LayerNormalization()])


def recurrent(input_shape: Shape, num_classes: int) -> keras.Model:
    """A loop over the rows of an image, attention to them, and a Dropout layer that is used twice."""
    image = keras.Input(input_shape)
    drop = layers.Dropout(0.2)
    rows = drop(layers.GRU(6, return_sequences=True)(drop(image)))
    seen = layers.MultiHeadAttention(2, 4, dropout=0.1)(rows, rows)
    return keras.Model(image, layers.Dense(num_classes, "softmax")(layers.GlobalAveragePooling1D()(rows + seen)))


def regularized(input_shape: Shape, num_classes: int) -> keras.Model:
    """Losses of layers, a constraint, and a layer that is not trained."""
    norm, limit = keras.regularizers.L2(0.01), keras.constraints.MaxNorm(1.0)
    kept = layers.Dense(16, "relu", kernel_regularizer=norm, kernel_constraint=limit, activity_regularizer=norm)
    return _sequential(input_shape, num_classes, [layers.Flatten(), kept, layers.Dense(16, "tanh", trainable=False)])


def embedded(input_shape: Shape, num_classes: int) -> keras.Model:
    """A table, of which a batch uses some rows."""
    hidden = [layers.Rescaling(255.0), layers.Flatten(), layers.Embedding(256, 3), layers.Flatten()]
    return _sequential(input_shape, num_classes, hidden)


def _sequential(input_shape: Shape, num_classes: int, hidden: Sequence[Any]) -> keras.Model:
    return keras.Sequential([keras.Input(input_shape), *hidden, layers.Dense(num_classes, "softmax")])


CASES: Sequence[tuple[Callable[..., keras.Model], dict[str, Any]]] = (
    (dense, {"_target_": "keras.optimizers.Adam"}),
    (convolutional, {"_target_": "keras.optimizers.SGD", "momentum": 0.9, "nesterov": True, "weight_decay": 0.01}),
    (normalized, {"_target_": "keras.optimizers.RMSprop", "epsilon": 1e-3}),
    (recurrent, {"_target_": "keras.optimizers.AdamW"}),
    (regularized, {"_target_": "keras.optimizers.Adam", "clipnorm": 0.5, "use_ema": True}),
    (embedded, {"_target_": "keras.optimizers.Adagrad"}),
)
"""Models, each with the ``optimizer`` node that it is trained with, but for the learning rate."""
