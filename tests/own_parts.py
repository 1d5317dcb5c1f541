"""Parts of a config that are one's own, most of them wrong, for tests of what is found before the first run."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import keras


class Exits(keras.callbacks.Callback):  # type: ignore[misc]
    def __init__(self) -> None:
        sys.exit(3)


class Crashes(keras.callbacks.Callback):  # type: ignore[misc]
    def __init__(self) -> None:
        os.abort()


class Watches(keras.callbacks.Callback):  # type: ignore[misc]
    def __init__(self, monitor: str) -> None:
        super().__init__()
        self.monitor = monitor


class AddsF1(keras.callbacks.Callback):  # type: ignore[misc]
    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:  # noqa: ARG002 - the library's signature
        if logs is not None:
            logs["f1"] = 1.0


class Writes(keras.callbacks.Callback):  # type: ignore[misc]
    """Writes as it is made, and never when it is called."""

    def __init__(self, filename: str) -> None:
        super().__init__()
        Path(filename).parent.mkdir(parents=True, exist_ok=True)
        Path(filename).write_text("made")

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:  # noqa: ARG002 - the library's signature
        raise AssertionError("no callback of the user's own is called before the first run")


class EarlyStopping(keras.callbacks.EarlyStopping):  # type: ignore[misc]
    """Has the name of Keras' class, and a mind of its own."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.seen = 0.0

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.seen += (logs or {}).get("loss", 0.0)
        super().on_epoch_end(epoch, logs)


class Optimizer(keras.optimizers.SGD):  # type: ignore[misc]
    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)


class FailingOptimizer(keras.optimizers.SGD):  # type: ignore[misc]
    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:  # noqa: ARG002 - the library's signature
        raise RuntimeError("no update")


def number() -> float:
    return 0.1


@keras.saving.register_keras_serializable("own_parts")
class WithTopTwo(keras.Model):  # type: ignore[misc]
    """Has a metric more than it is compiled with."""

    def compile(self, optimizer: Any = None, loss: Any = None, metrics: Any = None, **options: Any) -> None:
        top_two = keras.metrics.SparseTopKCategoricalAccuracy(2, name="top2")
        super().compile(optimizer=optimizer, loss=loss, metrics=[*(metrics or ()), top_two], **options)


@keras.saving.register_keras_serializable("own_parts")
class WithoutLoss(keras.Model):  # type: ignore[misc]
    def test_step(self, data: Any) -> dict[str, Any]:
        return {"mean": keras.ops.mean(self(data[0]))}


@keras.saving.register_keras_serializable("own_parts")
class FailingStep(keras.Model):  # type: ignore[misc]
    def train_step(self, data: Any) -> dict[str, Any]:  # noqa: ARG002 - the library's signature
        raise RuntimeError("no step")


def net(input_shape: tuple[int, ...], num_classes: int, kind: str) -> keras.Model:
    """kind: a class of this module."""
    images = keras.Input(input_shape)
    output = keras.layers.Dense(num_classes, "softmax")(keras.layers.Flatten()(images))
    return globals()[kind](images, output)
