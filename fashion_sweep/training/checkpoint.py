"""What it takes to continue an interrupted run as if nothing had happened: weights, optimizer, callbacks, epoch.

Data order and dropout are functions of seed, epoch and step and need not be saved. The file is a NumPy archive without
pickled objects, written rarely enough to cost about a hundredth of the training time.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from fashion_sweep.storage.archive import read_arrays
from fashion_sweep.storage.atomic import replacing
from fashion_sweep.storage.reading import parse_json
from fashion_sweep.storage.run_dir import RunDir
from fashion_sweep.training.callbacks import EpochReporter, LearningRateLog, ModelCheckpoint

log = logging.getLogger(__name__)

_MONITORS = ("best", "wait")
_CHECKPOINT = ("best", "_batches_seen_since_last_saving", "_last_batch_seen")
KEPT: Mapping[type, Sequence[str]] = {
    keras.callbacks.EarlyStopping: (*_MONITORS, "stopped_epoch", "best_epoch", "best_weights"),
    keras.callbacks.ModelCheckpoint: _CHECKPOINT,
    ModelCheckpoint: (*_CHECKPOINT, "pending"),
    keras.callbacks.ReduceLROnPlateau: (*_MONITORS, "cooldown_counter"),
    keras.callbacks.LearningRateScheduler: (),
    keras.callbacks.TerminateOnNaN: (),
    keras.callbacks.TensorBoard: (),
    LearningRateLog: (),
    EpochReporter: (),
}
"""The attributes that callbacks carry from epoch to epoch, by class. Of any other class, even if it is derived from one
of these, all attributes are saved, if they are plain values."""

_KERAS_OWN = ("params", "model", "_model", "validation_data")
_PLAIN = (bool, int, float, str, np.generic, type(None))


@dataclass(frozen=True)
class State:
    """A run after one of its epochs."""

    epoch: int  # epochs trained so far
    variables: list[np.ndarray]  # of the model, then of the optimizer
    callbacks: list[dict[str, Any]]  # of each callback: attribute -> value

    def load_into(self, model: keras.Model) -> None:
        """Restore weights and optimizer of a compiled model. Raises ValueError for one of another architecture."""
        own = _variables(model)
        shapes = [tuple(variable.shape) for variable in own], [value.shape for value in self.variables]
        if shapes[0] != shapes[1]:
            raise ValueError(f"the saved state has variables of other shapes: {shapes[1]}, expected {shapes[0]}")
        for variable, value in zip(own, self.variables, strict=True):
            variable.assign(value)

    def restore_callbacks(self, callbacks: Sequence[keras.callbacks.Callback]) -> None:
        """Restore the attributes of the callbacks. Call it after their on_train_begin, which resets them."""
        for callback, saved in zip(callbacks, self.callbacks, strict=True):
            vars(callback).update(saved)


def of(model: keras.Model, callbacks: Sequence[keras.callbacks.Callback], epoch: int) -> State:
    """The state of a compiled model and its callbacks after ``epoch`` epochs."""
    variables = [np.asarray(variable) for variable in _variables(model)]
    return State(epoch, variables, [_attributes(each) for each in callbacks])


def unsupported_reason(callbacks: Sequence[keras.callbacks.Callback]) -> str | None:
    """Which callback has attributes that cannot be saved, in a few words; None if none has."""
    lost = (each for each in callbacks if not _is_plain(_attributes(each)))
    return next((f"callback {type(each).__name__} cannot be kept" for each in lost), None)


def put_off_saving(callbacks: Sequence[keras.callbacks.Callback], together: int) -> list[ModelCheckpoint]:
    """Let the callbacks that save models put it off, unless there is one that may look for their files.

    together: runs that are trained at once. Returns those that were let.
    """
    known = (*KEPT, keras.callbacks.History)
    savers = [each for each in callbacks if type(each) is ModelCheckpoint and each.save_freq == "epoch"]
    if not all(type(each) in known for each in callbacks):
        return []
    for saver in savers:
        saver.put_off(together)
    return savers


def save(run: RunDir, stamp: Mapping[str, Any], state: State) -> None:
    """Write a run's state. stamp: what must not have changed for the state to be used again, JSON."""
    arrays: list[np.ndarray] = list(state.variables)
    callbacks = [{key: _pack(value, arrays) for key, value in each.items()} for each in state.callbacks]
    note = {"stamp": stamp, "epoch": state.epoch, "variables": len(state.variables), "callbacks": callbacks}
    with replacing(run.state) as path:
        np.savez(path, np.array(json.dumps(note)), *arrays)


def read(run: RunDir, stamp: Mapping[str, Any]) -> State | None:
    """A run's state; None if there is none, if it is damaged, or if its stamp differs.

    Raises UnreadableError where it cannot be read: then nobody knows what starting again would throw away.
    """
    try:
        first, *arrays = read_arrays(run.state, _in_order).values()
        note = parse_json(str(first))
        if note["stamp"] != stamp:
            log.info("The interrupted run cannot be continued: versions or config have changed. It starts again")
            return None
        callbacks = [{key: _unpack(value, arrays) for key, value in each.items()} for each in note["callbacks"]]
        return State(int(note["epoch"]), arrays[: note["variables"]], callbacks)
    except FileNotFoundError:
        return None
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        log.warning("%s cannot be read (%s); the run starts again", run.state.name, error)
        return None


def _in_order(names: Sequence[str]) -> list[str]:
    """The names of the arrays as np.savez gives them to arrays without."""
    return [f"arr_{number}" for number in range(len(names))]


def _variables(model: keras.Model) -> list[Any]:
    """Everything that training changes: weights, states of random generators, optimizer variables."""
    if not model.optimizer.built:  # building once more adds variables to some, such as LossScaleOptimizer
        model.optimizer.build(model.trainable_variables)
    return [*model.variables, *model.optimizer.variables]


def _attributes(callback: keras.callbacks.Callback) -> dict[str, Any]:
    """The attributes to save, as they are now."""
    names = KEPT.get(type(callback), [name for name in vars(callback) if name not in _KERAS_OWN])
    return {name: vars(callback)[name] for name in names if name in vars(callback)}


def _is_plain(value: Any) -> bool:
    """Whether a callback's attributes, or a value in them, can be saved without pickling."""
    if isinstance(value, (list, tuple)):
        return all(_is_plain(item) for item in value)
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_plain(item) for key, item in value.items())
    return isinstance(value, _PLAIN) or (isinstance(value, np.ndarray) and not value.dtype.hasobject)


def _pack(value: Any, arrays: list[np.ndarray]) -> Any:
    """A value as JSON, with arrays and NumPy's numbers moved to ``arrays`` and replaced by their index there."""
    if isinstance(value, (np.ndarray, np.generic)) or hasattr(value, "numpy"):
        arrays.append(np.asarray(value))
        return {"array": len(arrays) - 1}
    if isinstance(value, dict):
        return {"dict": {key: _pack(item, arrays) for key, item in value.items()}}
    return [_pack(item, arrays) for item in value] if isinstance(value, (list, tuple)) else value


def _unpack(value: Any, arrays: Sequence[np.ndarray]) -> Any:
    if isinstance(value, dict):
        if "array" in value:
            return arrays[value["array"]]
        return {key: _unpack(item, arrays) for key, item in value["dict"].items()}
    return [_unpack(item, arrays) for item in value] if isinstance(value, list) else value
