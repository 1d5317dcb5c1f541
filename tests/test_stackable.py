"""Which models TensorFlow trains in packs: those that ``conf`` ships, and none of which anything is not known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from fixture_types import MakeSpec
from keras import layers, optimizers
from keras.optimizers import schedules

from fashion_sweep import app
from fashion_sweep.training import model_setup
from fashion_sweep.training.engines import keras_internals
from fashion_sweep.training.engines.tensorflow import stackable
from fashion_sweep.training.job import Job

SHAPE = (6, 6, 4)


def compiled(model: keras.Model, optimizer: Any = "adam") -> keras.Model:
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    keras_internals.build(model, np.zeros((2, *model.input_shape[1:]), "float32"), np.zeros(2, "int32"))
    return model


def sequential(*middle: Any, optimizer: Any = "adam") -> keras.Model:
    return compiled(keras.Sequential([keras.Input(SHAPE), *middle, layers.Flatten(), layers.Dense(3)]), optimizer)


def functional(between: Callable[[Any], Any]) -> keras.Model:
    inputs = keras.Input(SHAPE)
    return compiled(keras.Model(inputs, layers.Dense(3)(layers.Flatten()(between(inputs)))))


def changed(layer: layers.Layer, change: Callable[[layers.Layer], object]) -> keras.Model:
    """A model with a layer that is changed once it has weights."""
    model = sequential(layer)
    change(layer)
    return compiled(model)


def names_of(folder: str) -> list[str]:
    return sorted(path.stem for path in (app.CONF / folder).glob("*.yaml"))


SHIPPED = [
    *(f"model={name}" for name in names_of("model") if name != "logistic"),
    *(f"optimizer={name}" for name in names_of("optimizer")),
    *(f"schedule={name}" for name in names_of("schedule")),
    "model.dropout=0.5",
    "optimizer.weight_decay=0.1",
    "optimizer.use_ema=true",
    "optimizer.clipvalue=1.0",
    "optimizer.gradient_accumulation_steps=2",
]


def shipped_model(make_spec: MakeSpec, words: str) -> keras.Model:
    job = Job(make_spec("trainer=compiled", "epochs=1", words))
    model = model_setup.compiled_model(job)
    model_setup.build(model, job)
    return model


@pytest.mark.parametrize("words", SHIPPED)
def test_all_that_conf_ships_can_be_packed(make_spec: MakeSpec, words: str) -> None:
    assert stackable.unsupported_reason(shipped_model(make_spec, words)) is None


class OwnDense(layers.Dense):  # type: ignore[misc]
    """Another class, of which nothing is known, though it is called Dense elsewhere."""


OwnDense.__name__ = "Dense"


class OwnSchedule(schedules.LearningRateSchedule):  # type: ignore[misc]
    def __call__(self, step: Any) -> Any:
        return 0.1 / (keras.ops.cast(step, "float32") + 1)


class OwnAdam(optimizers.Adam):  # type: ignore[misc]
    """Keras' own by name alone."""


OwnAdam.__name__ = "Adam"


class OwnModel(keras.Model):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.flat, self.dense = layers.Flatten(), layers.Dense(3)

    def call(self, x: Any) -> Any:
        return self.dense(self.flat(x))


def own_model() -> keras.Model:
    model = OwnModel()
    model.build((None, *SHAPE))
    model.compile("adam", "sparse_categorical_crossentropy")
    return model


def without_decay_of_biases() -> Any:
    optimizer = optimizers.AdamW()
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    return optimizer


def shared(x: Any) -> Any:
    layer = layers.Dense(4)
    return layer(layer(x))


def doubled(layer: layers.Layer) -> None:
    layer.call = lambda x, training=False: x * (2 if training else 1)


REFUSED: dict[str, tuple[Callable[[], keras.Model], str]] = {
    "unknown layer": (lambda: sequential(layers.DepthwiseConv2D(3)), "DepthwiseConv2D"),
    "layer with a state": (lambda: sequential(layers.GaussianNoise(0.1)), "GaussianNoise"),
    "mixes images": (lambda: sequential(layers.UnitNormalization()), "UnitNormalization"),
    "rms_scaling": (lambda: sequential(layers.LayerNormalization(rms_scaling=True)), "rms_scaling"),
    "groups": (lambda: sequential(layers.Conv2D(4, 3, groups=2)), "groups"),
    "data_format": (lambda: sequential(layers.MaxPooling2D(data_format="channels_first")), "data_format"),
    "lora": (lambda: changed(layers.Dense(4), lambda layer: layer.enable_lora(2)), "Dense"),
    "frozen bias": (lambda: changed(layers.Dense(4), lambda layer: setattr(layer.bias, "trainable", False)), "frozen"),
    "frozen layer": (lambda: changed(layers.Dense(4), lambda layer: setattr(layer, "trainable", False)), "frozen"),
    "frozen normalization": (
        lambda: changed(layers.BatchNormalization(), lambda layer: setattr(layer, "trainable", False)), "frozen"),
    "trained statistics": (
        lambda: changed(layers.BatchNormalization(), lambda layer: setattr(layer.moving_mean, "trainable", True)),
        "frozen"),
    "own call": (lambda: changed(layers.Dense(4), doubled), "its own class no longer says"),
    "activity regularizer": (lambda: sequential(layers.Dense(4, activity_regularizer="l2")), "activity_regularizer"),
    "kernel regularizer": (lambda: sequential(layers.Dense(4, kernel_regularizer="l2")), "kernel_regularizer"),
    "bias regularizer": (lambda: sequential(layers.Conv2D(4, 1, bias_regularizer="l1")), "bias_regularizer"),
    "gamma regularizer": (lambda: sequential(layers.BatchNormalization(gamma_regularizer="l2")), "gamma_regularizer"),
    "constraint": (lambda: sequential(layers.Dense(4, kernel_constraint="non_neg")), "kernel_constraint"),
    "synchronized": (lambda: sequential(layers.BatchNormalization(synchronized=True)), "synchronized"),
    "renormalized": (lambda: sequential(layers.BatchNormalization(renorm=True)), "BatchNormalization"),
    "own activation": (lambda: sequential(layers.Dense(4, lambda x: x / (1 + abs(x)))), "activation"),
    "activation over images": (lambda: sequential(layers.Activation(lambda x: x - x[:1])), "activation"),
    "softmax over images": (lambda: sequential(layers.Softmax(axis=0)), "axis"),
    "softmax over another axis": (lambda: sequential(layers.Softmax(axis=1)), "axis"),
    "normalization over another axis": (lambda: sequential(layers.BatchNormalization(axis=1)), "axis"),
    "normalization over two axes": (lambda: sequential(layers.LayerNormalization(axis=[-2, -1])), "axis"),
    "joined along the images": (
        lambda: functional(lambda x: layers.Concatenate(axis=1)([x, x])), "Concatenate"),
    "used twice": (lambda: functional(shared), "more than once"),
    "subclass": (lambda: sequential(OwnDense(4)), "Dense"),
    "operator": (lambda: functional(lambda x: layers.ReLU()(x) + layers.ELU()(x)), "Add"),
    "model in a model": (
        lambda: sequential(keras.Sequential([keras.Input(SHAPE), layers.Dropout(0.5)])), "Sequential"),
    "mixed precision": (lambda: sequential(layers.Dense(4, dtype="mixed_bfloat16")), "dtype"),
    "own model": (own_model, "subclass of its own"),
    "own optimizer": (lambda: sequential(optimizer=OwnAdam()), "optimizer Adam is not known"),
    "optimizer of unknown kind": (lambda: sequential(optimizer=optimizers.Lion()), "optimizer Lion is not known"),
    "wrapped optimizer": (
        lambda: sequential(optimizer=optimizers.LossScaleOptimizer(optimizers.SGD())), "LossScaleOptimizer"),
    "clipnorm": (lambda: sequential(optimizer=optimizers.SGD(clipnorm=1.0)), "a clipnorm"),
    "global_clipnorm": (lambda: sequential(optimizer=optimizers.SGD(global_clipnorm=1.0)), "a global_clipnorm"),
    "some weights decay": (lambda: sequential(optimizer=without_decay_of_biases()), "excludes variables"),
    "own schedule": (lambda: sequential(optimizer=optimizers.SGD(OwnSchedule())), "a schedule of its own"),
    "callable as rate": (lambda: sequential(optimizer=optimizers.SGD(lambda: 0.1)), "a schedule of its own"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_a_pack_would_not_compute_is_refused(name: str) -> None:
    make, why = REFUSED[name]
    reason = stackable.unsupported_reason(make())
    assert reason is not None
    assert why in reason


def test_a_model_of_mixed_precision_is_refused() -> None:
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        reason = stackable.unsupported_reason(sequential())
    finally:
        keras.config.set_dtype_policy(before)
    assert reason == "the model computes in mixed_bfloat16"


PLAIN: dict[str, Callable[[], keras.Model]] = {
    "dense": lambda: sequential(layers.Dense(4, "gelu", kernel_initializer="he_normal")),
    "no bias": lambda: sequential(layers.Dense(4, use_bias=False)),
    "convolution": lambda: sequential(layers.Conv2D(4, 3, strides=2, padding="same", activation="relu")),
    "dilated": lambda: sequential(layers.Conv2D(4, 2, dilation_rate=2)),
    "normalization": lambda: sequential(layers.BatchNormalization(momentum=0.8, epsilon=0.01, center=False)),
    "last axis": lambda: sequential(layers.LayerNormalization(axis=3, scale=False)),
    "pooling": lambda: sequential(layers.AveragePooling2D(3, strides=1, padding="same")),
    "dropout": lambda: sequential(layers.Dropout(0.3, seed=4)),
    "sum": lambda: functional(lambda x: layers.Add()([layers.ReLU()(x), layers.ELU()(x)])),
    "joined": lambda: functional(lambda x: layers.Concatenate()([layers.ReLU()(x), x])),
    "schedule": lambda: sequential(optimizer=optimizers.SGD(schedules.CosineDecay(0.1, 10))),
    "options": lambda: sequential(optimizer=optimizers.Adam(amsgrad=True, clipvalue=0.5, use_ema=True)),
}


@pytest.mark.parametrize("name", PLAIN)
def test_what_a_pack_heeds_is_not_refused(name: str) -> None:
    assert stackable.unsupported_reason(PLAIN[name]()) is None


def key(*middle: Any, optimizer: Any = "adam") -> str:
    keras.utils.clear_session()
    return stackable.pack_key(sequential(*(each() for each in middle), optimizer=optimizer))


def test_inputs_of_a_program_do_not_separate_runs_and_all_else_does() -> None:
    plain = key(lambda: layers.Dense(4, "relu"), lambda: layers.Dropout(0.3), optimizer=optimizers.SGD(0.1, 0.9))
    assert plain == key(
        lambda: layers.Dense(4, "relu"), lambda: layers.Dropout(0.4, seed=7), optimizer=optimizers.SGD(0.2, 0.8)
    )
    others = [
        key(lambda: layers.Dense(5, "relu"), lambda: layers.Dropout(0.3), optimizer=optimizers.SGD(0.1, 0.9)),
        key(lambda: layers.Dense(4, "tanh"), lambda: layers.Dropout(0.3), optimizer=optimizers.SGD(0.1, 0.9)),
        key(lambda: layers.Dense(4, "relu"), optimizer=optimizers.SGD(0.1, 0.9)),
        key(lambda: layers.Dense(4, "relu"), lambda: layers.Dropout(0.3), optimizer=optimizers.SGD(0.1)),
        key(
            lambda: layers.Dense(4, "relu"),
            lambda: layers.Dropout(0.3),
            optimizer=optimizers.SGD(schedules.CosineDecay(0.1, 10), 0.9),
        ),
        key(
            lambda: layers.Dense(4, "relu"),
            lambda: layers.Dropout(0.3),
            optimizer=optimizers.SGD(0.1, 0.9, nesterov=True),
        ),
    ]
    assert len({plain, *others}) == 1 + len(others)
