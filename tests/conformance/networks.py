"""The models of the suite: a branch for each layer that is tried, over images of 8 by 8 pixels."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras

SEQUENCE, VOLUME, FRAMES = (8, 16), (4, 4, 4, 2), (2, 2, 2, 4, 4)
"""Shapes of 128 numbers, for layers that take 3, 5 and 6 dimensions, that of the images included."""

MOST_TOKENS = 15
"""The largest number that stands for a brightness."""


def _filtered(x: Any) -> Any:
    return keras.layers.Conv2D(2, 3, padding="same")(keras.layers.Reshape((8, 8, 1))(x))


def _tokens(x: Any) -> Any:
    return keras.layers.Flatten()(keras.layers.Rescaling(MOST_TOKENS)(x))


FEEDS: dict[str, Callable[[Any], Any]] = {
    "flat": lambda x: keras.layers.Dense(6)(keras.layers.Flatten()(x)),
    "sequence": lambda x: keras.layers.Reshape(SEQUENCE)(_filtered(x)),
    "map": _filtered,
    "volume": lambda x: keras.layers.Reshape(VOLUME)(_filtered(x)),
    "frames": lambda x: keras.layers.Reshape(FRAMES)(_filtered(x)),
    "tokens": _tokens,
    "integers": lambda x: keras.ops.cast(_tokens(x), "int32"),
    "image": lambda x: keras.layers.Concatenate()(
        [keras.layers.Rescaling(255)(keras.layers.Reshape((8, 8, 1))(x))] * 3
    ),
    "signal": lambda x: keras.layers.Reshape((64, 1))(x),  # noqa: PLW0108 - a new layer for each model
}
"""What a layer may be given, by name: each made of the images."""


def branched(branches: Sequence[Mapping[str, Any]], input_shape: Sequence[int], num_classes: int) -> keras.Model:
    """A model of parallel branches, which the last layer joins.

    branches: each with a ``layer``, the ``feed`` that it takes, how it is called (``call``: with one
    tensor, a pair, two arguments, or inside a layer around it); the config makes the layers.
    """
    images = keras.Input(tuple(input_shape))
    feeds: dict[str, Any] = {}
    ends = [branch_of(images, feeds, **branch) for branch in branches]
    joined = ends[0] if len(ends) == 1 else keras.layers.Concatenate()(ends)
    return keras.Model(images, keras.layers.Dense(num_classes, "softmax", dtype="float32")(joined))


def dense(input_shape: Sequence[int], num_classes: int, units: int = 8) -> keras.Model:
    """A small network, for what is not a layer."""
    return keras.Sequential(
        [keras.Input(tuple(input_shape)), keras.layers.Flatten(), keras.layers.Dense(units, "tanh"),
         keras.layers.Dense(num_classes, "softmax")]
    )  # fmt: skip


def branch_of(images: Any, feeds: dict[str, Any], layer: Any, feed: str, call: str = "one") -> Any:
    """The features of one branch, [N, 3]. feeds: what other branches have made of the images."""
    return keras.layers.Dense(3, "tanh", dtype="float32")(flat_result(images, feeds, layer, feed, call))


def flat_result(images: Any, feeds: dict[str, Any], layer: Any, feed: str, call: str = "one") -> Any:
    """All that the layer returns, in one row an image."""
    if feed not in feeds:
        feeds[feed] = FEEDS[feed](images)
    given = feeds[feed]
    calls: dict[str, Callable[[], Any]] = {
        "one": lambda: layer(given),
        "pair": lambda: layer([given, _other(given)]),
        "spread": lambda: layer(given, _other(given)),
        "inside": lambda: Around(layer)(given),
    }
    result = calls[call]()
    if feed == "image":
        result = keras.layers.Rescaling(1 / 255)(result)
    ends = [_flat(one) for one in (result if isinstance(result, (list, tuple)) else [result])]
    return ends[0] if len(ends) == 1 else keras.layers.Concatenate()(ends)


@keras.saving.register_keras_serializable()
class Around(keras.layers.Layer):  # type: ignore[misc]
    """A layer of one's own around another, for one that a functional model cannot hold."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        self.layer = layer

    def build(self, shape: Any) -> None:
        self.layer.build(shape)

    def call(self, x: Any, training: bool = False) -> Any:
        return self.layer(x, training=training)


def _flat(x: Any) -> Any:
    """One row of floats an image. A mask counts in the mean over time."""
    if not keras.backend.standardize_dtype(x.dtype).startswith(("float", "bfloat")):
        x = keras.ops.cast(x, "float32")
    if getattr(x, "_keras_mask", None) is not None and len(x.shape) == 3:
        x = keras.layers.GlobalAveragePooling1D()(x)
    return keras.layers.Flatten(dtype="float32")(x)


def _other(x: Any) -> Any:
    """A second input of the same shape."""
    return keras.layers.Activation("tanh")(x)


def function(name: str, **arguments: Any) -> Callable[[Any], Any]:
    """The function of keras.layers or keras.activations with this dotted name, its arguments given."""
    found: Any = keras
    for part in name.split("."):
        found = getattr(found, part)
    return lambda x: found(x, **arguments)


def doubled(x: Any) -> Any:
    """For layers that apply a function."""
    return x * 2


def shifted(x: Any) -> Any:
    """The other one."""
    return x + 1


def jax_kernel(rng: Any, inputs: Any) -> Any:
    """The initial weights of ``jax_dense``."""
    import jax

    return jax.random.normal(rng, (inputs.shape[-1], 3)) / 4


def jax_dense(params: Any, inputs: Any) -> Any:
    """A dense layer, written in JAX."""
    return inputs @ params


def halved(epoch: int, rate: float) -> float:
    """A learning rate that falls."""
    return rate / 2


def told(epoch: int, logs: Any) -> None:
    """What a callback may be given to do."""
