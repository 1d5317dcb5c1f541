"""Line A: the lecture notes' own code, in a loop over the grid. Its inefficiencies are the point: do not tidy them."""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

import keras
from sklearn.model_selection import train_test_split

from benchmarks import grid


def model_fn(dropout: float) -> Any:
    """The notes' network."""
    model = keras.Sequential()
    model.add(keras.Input(shape=(28, 28)))
    model.add(keras.layers.Flatten())
    model.add(keras.layers.Dense(100, activation="relu"))
    if dropout:
        model.add(keras.layers.Dropout(dropout))
    model.add(keras.layers.Dense(10, activation="softmax"))
    return model


def main() -> None:
    """Train the grid; print seconds of all fits and val_accuracy as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, required=True)
    parser.add_argument("--limit", type=int)
    arguments = parser.parse_args()
    train_input, train_target = grid.images_and_labels(arguments.limit)
    train_scaled = train_input / 255.0  # float64
    train_scaled, val_scaled, train_target, val_target = train_test_split(
        train_scaled, train_target, test_size=grid.VALIDATION_FRACTION, random_state=grid.SPLIT_SEED
    )
    seconds, accuracies = 0.0, {}
    for optimizer, dropout in grid.RUNS:
        model = model_fn(dropout)
        model.compile(optimizer=optimizer, loss="sparse_categorical_crossentropy", metrics=["accuracy"])
        started = time.perf_counter()
        history = model.fit(
            train_scaled, train_target, epochs=arguments.epochs, validation_data=(val_scaled, val_target)
        )
        seconds += time.perf_counter() - started
        accuracies[grid.quantity(optimizer, dropout)] = history.history["val_accuracy"][-1]
    per_run_epoch = seconds / (len(grid.RUNS) * arguments.epochs)
    print("\n" + json.dumps({"run_epoch_seconds": per_run_epoch, "fidelity": accuracies}))


if __name__ == "__main__":
    main()
