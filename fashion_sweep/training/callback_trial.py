"""Tries the callbacks of a run before the first run: what they monitor, and Keras' own for an epoch.

Those of the user's own are not called: what they do may be seen outside.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import keras

from fashion_sweep.data.dataset import one_line
from fashion_sweep.errors import UserError

FIND_THE_DIRECTION = (
    keras.callbacks.EarlyStopping, keras.callbacks.ModelCheckpoint, keras.callbacks.ReduceLROnPlateau
)  # fmt: skip
"""With mode=auto these look up whether a lower or a higher value is better, at the end of the first epoch."""

SET_THE_RATE = (keras.callbacks.ReduceLROnPlateau, keras.callbacks.LearningRateScheduler)
"""Keras refuses that where there is a schedule, at the epoch when they do it."""

CALL_OTHERS = (keras.callbacks.LambdaCallback, keras.callbacks.RemoteMonitor)
"""Keras' callbacks that call the user's own code, or another machine."""


def is_from_keras(callback: keras.callbacks.Callback) -> bool:
    """Whether all that the callback does is Keras' code, or ours."""
    is_known = type(callback).__module__.partition(".")[0] in ("keras", "fashion_sweep")
    return is_known and not isinstance(callback, CALL_OTHERS)


class CallbackTrial:
    """An epoch of a model that has been compiled and fitted."""

    def __init__(self, model: keras.Model, logs: dict[str, float]) -> None:
        """logs: the metrics of the epoch."""
        self._model, self._logs = model, logs
        self._may_grow = False  # whether a callback of the user's own may have added metrics

    def problems(self, callbacks: Mapping[str, keras.callbacks.Callback]) -> Iterator[str]:
        """What is wrong with the callbacks, name -> callback in their order, at most one line each."""
        for name, callback in callbacks.items():
            problem = self._problem(name, callback)
            if problem:
                yield problem
            hook = getattr(callback.on_epoch_end, "__func__", None)
            is_idle = hook is keras.callbacks.Callback.on_epoch_end
            self._may_grow |= not (is_from_keras(callback) or is_idle)

    def _problem(self, name: str, callback: keras.callbacks.Callback) -> str | None:
        key, monitor = f"callbacks.{name}", getattr(callback, "monitor", None)
        if isinstance(monitor, str) and not (monitor in self._logs or self._may_grow):
            return f"{key}.monitor={monitor}: no such metric; expected one of {', '.join(self._logs)}"
        if isinstance(callback, FIND_THE_DIRECTION) and not self._has_direction(callback):
            what = f"{key}.mode={callback.mode}: Keras cannot tell whether a higher or a lower {monitor} is better"
            return f"{what}; give {key}.mode=max or {key}.mode=min"
        if isinstance(callback, SET_THE_RATE) and not self._can_set_the_rate():
            what = f"{key} ({type(callback).__name__}) sets the learning rate, which a schedule does already"
            return f"{what}; give {key}=null or schedule=constant"
        return self._called(key, callback) if is_from_keras(callback) else None

    def _has_direction(self, callback: Any) -> bool:
        if callback.monitor_op is not None:  # a class of the user's own has set it
            return True
        probe = keras.callbacks.EarlyStopping(monitor=callback.monitor, mode=callback.mode)
        probe.set_model(self._model)
        try:
            probe.on_epoch_end(0, dict(self._logs))
        except ValueError:
            return False
        return True

    def _can_set_the_rate(self) -> bool:
        optimizer = self._model.optimizer
        try:
            optimizer.learning_rate = float(optimizer.learning_rate)
        except TypeError:
            return False
        return True

    def _called(self, key: str, callback: keras.callbacks.Callback) -> str | None:
        """Call the callback as in an epoch of one step. Returns what it raises."""
        of_batch = {name: value for name, value in self._logs.items() if not name.startswith("val_")}
        try:
            callback.set_params({"epochs": 1, "steps": 1, "verbose": 0})
            callback.set_model(self._model)
            callback.on_train_begin()
            callback.on_epoch_begin(0)
            callback.on_train_batch_begin(0)
            callback.on_train_batch_end(0, of_batch)
            callback.on_test_begin()
            callback.on_test_end(self._logs)
            callback.on_epoch_end(0, self._logs)
            callback.on_train_end(self._logs)
        except UserError as error:
            return str(error)
        except Exception as error:
            what = f"{key} ({type(callback).__name__}) fails in its first epoch"
            return f"{what}: {type(error).__name__}: {one_line(error)}"
        return None
