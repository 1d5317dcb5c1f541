"""A callback that changes the rate of a model's Dropout layers."""

from __future__ import annotations

from typing import Any

import keras


class SetRate(keras.callbacks.Callback):  # type: ignore[misc]
    """Sets it as training begins."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:  # noqa: ARG002 - Keras' signature
        for layer in self.model.layers:
            if isinstance(layer, keras.layers.Dropout):
                layer.rate = self.rate
