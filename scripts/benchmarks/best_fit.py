"""Line D: the fastest that Keras' own fit can be in one process, with nothing written and no callback but a timer.

The arrays are float32, loaded once, and validated in large batches. ``--probe`` finds the fastest number of steps
per call and whether to compile them with XLA; the grid is trained with these options.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from dataclasses import dataclass
from itertools import product
from typing import Any

import keras
import numpy as np
from sklearn.model_selection import train_test_split

from benchmarks import grid

STEPS_TRIED = (100, 500, 1500)
PROBE_EPOCHS = 3
"""The first one compiles and is not counted."""
VALIDATION_BATCH = 2000


@dataclass(frozen=True)
class Arrays:
    """Images float32 [N, 784] and labels [N], of both sides."""

    x_train: np.ndarray
    x_val: np.ndarray
    y_train: np.ndarray
    y_val: np.ndarray


class _Clock(keras.callbacks.Callback):  # type: ignore[misc]
    """Seconds of every epoch, its validation included."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: list[float] = []
        self._last = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:  # noqa: ARG002 - Keras' signature
        """Note the time."""
        now = time.perf_counter()
        self.seconds.append(now - self._last)
        self._last = now


def main() -> None:
    """Probe, or train the grid; print what was found as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, required=True)
    parser.add_argument("--limit", type=int)
    parser.add_argument("--probe", action="store_true")
    parser.add_argument("--steps-tried", default=",".join(map(str, STEPS_TRIED)), help="by --probe")
    parser.add_argument("--jit-tried", choices=["yes", "both"], default="both", help="by --probe")
    parser.add_argument("--steps-per-execution", type=int, default=100)
    parser.add_argument("--jit", action="store_true")
    arguments = parser.parse_args()
    arrays = _load(arguments.limit)
    found = _probed(arrays, arguments) if arguments.probe else _trained(arrays, arguments)
    print("\n" + json.dumps(found))


def _load(limit: int | None) -> Arrays:
    images, labels = grid.images_and_labels(limit)
    flat = (images.reshape(len(images), -1) / np.float32(255)).astype("float32")
    sides = train_test_split(flat, labels, test_size=grid.VALIDATION_FRACTION, random_state=grid.SPLIT_SEED)
    return Arrays(*sides)


def _probed(arrays: Arrays, arguments: argparse.Namespace) -> dict[str, Any]:
    """Options -> seconds of an epoch, and the fastest options."""
    steps = -(-len(arrays.x_train) // grid.BATCH)
    numbers = sorted({min(int(each), steps) for each in arguments.steps_tried.split(",")})
    tried, accuracies = {}, {}
    for options in product(numbers, (True,) if arguments.jit_tried == "yes" else (False, True)):
        at_once, jit = options
        seconds, accuracy = _fit(arrays, "adam", 0.3, epochs=PROBE_EPOCHS, steps_per_execution=at_once, jit=jit)
        tried[options], accuracies[options] = statistics.mean(seconds[1:]), accuracy
    best = min(tried, key=lambda options: tried[options])
    lines = [{"steps_per_execution": at_once, "jit": jit, "s": tried[at_once, jit]} for at_once, jit in tried]
    return {
        "steps_per_execution": best[0],
        "jit": best[1],
        "tried": lines,
        "s": tried[best],
        "val_accuracy": accuracies[best],
    }


def _trained(arrays: Arrays, arguments: argparse.Namespace) -> dict[str, Any]:
    how = {"epochs": arguments.epochs, "steps_per_execution": arguments.steps_per_execution, "jit": arguments.jit}
    steady, accuracies = [], {}
    for optimizer, dropout in grid.RUNS:
        seconds, accuracy = _fit(arrays, optimizer, dropout, **how)
        steady += seconds[1:] or seconds
        accuracies[grid.quantity(optimizer, dropout)] = accuracy
    return {"run_epoch_seconds": statistics.mean(steady), "fidelity": accuracies}


def _fit(
    arrays: Arrays, optimizer: str, dropout: float, *, epochs: int, steps_per_execution: int, jit: bool
) -> tuple[list[float], float]:
    """Seconds of each epoch, and the last val_accuracy."""
    keras.utils.clear_session()
    hidden = [keras.layers.Dense(grid.HIDDEN, "relu"), *([keras.layers.Dropout(dropout)] if dropout else [])]
    model = keras.Sequential([keras.Input((grid.INPUTS,)), *hidden, keras.layers.Dense(grid.CLASSES, "softmax")])
    model.compile(
        optimizer=optimizer,
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
        steps_per_execution=steps_per_execution,
        jit_compile=jit,
    )
    clock = _Clock()
    history = model.fit(
        arrays.x_train,
        arrays.y_train,
        batch_size=grid.BATCH,
        epochs=epochs,
        validation_data=(arrays.x_val, arrays.y_val),
        validation_batch_size=VALIDATION_BATCH,
        callbacks=[clock],
        verbose=0,
    )
    return clock.seconds, float(history.history["val_accuracy"][-1])


if __name__ == "__main__":
    main()
