"""Realistic run and sweep folders for tests of the analysis, written through run_dir's own functions."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from fashion_sweep.storage.identity import identity, run_name
from fashion_sweep.storage.record import METRICS, RunRecord, Status
from fashion_sweep.storage.run_dir import RunDir
from fashion_sweep.storage.sweep_dir import PlannedRun, SweepDir

FINGERPRINT = "f" * 64
RATES = {"sgd": 0.01, "momentum": 0.01, "nesterov": 0.01, "adam": 0.001, "rmsprop": 0.001, "adagrad": 0.001}
SPEED = {"sgd": 0.25, "momentum": 0.5, "nesterov": 0.55, "adam": 0.9, "rmsprop": 0.8, "adagrad": 0.12}
Row = dict[str, float]


def curve(
    optimizer: str = "adam", dropout: float = 0.0, epochs: int = 5, seed: int = 0, pace: float = 1.0
) -> list[Row]:
    """Synthetic epochs that look like Fashion-MNIST's: fast optimizers overfit, dropout reduces it."""
    speed = SPEED.get(optimizer, 0.5) * pace
    rows = []
    for epoch in range(1, epochs + 1):
        wiggle = 0.006 * math.sin(3.1 * epoch + 1.7 * seed + len(optimizer))
        loss = 0.24 + 0.75 / (1 + speed * epoch) + 0.25 * dropout
        overfit = 0.012 * speed * max(0, epoch - 6) * (1 - 2 * dropout)
        val_loss = 0.275 + 0.7 / (1 + speed * epoch) + 0.02 * dropout + overfit + wiggle
        rows.append(
            {
                "epoch": epoch,
                "loss": round(loss, 6),
                "accuracy": round(1.0 - 0.36 * loss, 6),
                "val_loss": round(val_loss, 6),
                "val_accuracy": round(1.0 - 0.34 * val_loss + overfit / 4, 6),
                "seconds": 1.25,
            }
        )
    return rows


def config(overrides: Mapping[str, Any]) -> dict[str, Any]:
    """A resolved config as the app would have composed it."""
    optimizer = overrides.get("optimizer", "adam")
    composed: dict[str, Any] = {
        "model": {"_target_": "fashion_sweep.models.mlp", "hidden_units": [100], "dropout": 0.0},
        "optimizer": {"_target_": f"keras.optimizers.{optimizer}", "learning_rate": RATES.get(optimizer, 0.01)},
        "callbacks": {},
        "data": {"name": "fashion_mnist", "validation_fraction": 0.2},
        "epochs": 5,
        "batch_size": 32,
        "seed": 0,
    }
    for key, value in overrides.items():
        *parents, leaf = key.split(".")
        node = composed
        for parent in parents:
            node = node[parent]
        if not isinstance(node.get(leaf), dict):
            node[leaf] = value
    return composed


def text(value: Any) -> str:
    return str(value).replace(" ", "")


def planned(overrides: Mapping[str, Any]) -> PlannedRun:
    """The plan's entry for a run with these overrides (key -> value)."""
    digits = identity(config(overrides), FINGERPRINT)
    return PlannedRun(run_name(overrides, digits), [f"{key}={text(value)}" for key, value in overrides.items()], digits)


def metrics(row: Row) -> dict[str, float | None]:
    return {name: value if math.isfinite(value := row[name]) else None for name in ("epoch", *METRICS)}


def record(overrides: Mapping[str, Any], rows: Sequence[Row], **changes: Any) -> RunRecord:
    """The record that training would have left after ``rows``; changes replace fields of it."""
    plan, composed = planned(overrides), config(overrides)
    groups = {"model": "mlp", "optimizer": "adam", "callbacks": "checkpoint", "data": "fashion_mnist", "trainer": "fit"}
    finite = [row for row in rows if math.isfinite(row["val_loss"])]
    fields: dict[str, Any] = {
        "run": plan.run,
        "identity": plan.identity,
        "status": Status.COMPLETED,
        "seed": composed["seed"],
        "choices": {group: str(overrides.get(group, option)) for group, option in groups.items()},
        "overrides": plan.overrides,
        "config": composed,
        "data": {
            "fingerprint": FINGERPRINT,
            "train_samples": 48000,
            "validation_samples": 12000,
            "validation_classes": [1200] * 10,
        },
        "versions": {"python": "3.11.7", "keras": "3.15.1"},
        "git": {"commit": "1234567890abcdef1234567890abcdef12345678", "dirty": False},
        "device": {"kind": "cpu", "name": "a CPU", "host": "host"},
        "started": "2025-01-02T03:04:05+00:00",
        "ended": "2025-01-02T03:05:05+00:00",
        "seconds": 1.25 * len(rows) + 0.5,
        "parameters": 79510,
        "epochs_run": len(rows),
        "best": metrics(min(finite, key=lambda row: row["val_loss"])) if finite else None,
        "last": metrics(rows[-1]) if rows else None,
    }
    return RunRecord(**fields | changes)


def write_run(folder: Path, overrides: Mapping[str, Any], rows: Sequence[Row], **changes: Any) -> RunDir:
    """One run's folder, of any name."""
    run = RunDir(folder)
    run.path.mkdir(parents=True, exist_ok=True)
    run.write_record(record(overrides, rows, **changes))
    if rows:
        run.write_history(rows)
    return run


def grid(**factors: Sequence[Any]) -> list[dict[str, Any]]:
    """All combinations; ``__`` in a name stands for the dot in a key."""
    keys = [name.replace("__", ".") for name in factors]
    return [dict(zip(keys, values, strict=True)) for values in itertools.product(*factors.values())]


def write_sweep(path: Path, points: Sequence[Mapping[str, Any]], epochs: int = 5) -> SweepDir:
    """A sweep's folder with every point completed; change or remove runs afterwards for other states."""
    sweep = SweepDir(path)
    sweep.path.mkdir(parents=True, exist_ok=True)
    sweep.write_plan("python -m fashion_sweep -m " + path.name, [planned(point) for point in points])
    for point in points:
        pace = 1.0 + math.log10(point.get("optimizer.learning_rate", 0.01) / 0.01) / 4
        name = str(point.get("optimizer", "adam"))
        rows = curve(name, point.get("model.dropout", 0.0), epochs, point.get("seed", 0), pace)
        write_run(run_folder(sweep, point).path, point, rows)
    return sweep


def run_folder(sweep: SweepDir, point: Mapping[str, Any]) -> RunDir:
    """The folder of a grid point's run."""
    return RunDir(sweep.path / planned(point).run)


def write_samples(sweep: SweepDir) -> None:
    """Ten synthetic grey images."""
    import numpy as np

    rows, columns = np.mgrid[0:28, 0:28]
    images = np.stack([(np.hypot(rows - 14, columns - 14) < 4 + index) * (80 + 15 * index) for index in range(10)])
    names = np.array(
        ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Boot"]
    )
    sweep.path.mkdir(parents=True, exist_ok=True)
    np.savez(sweep.samples, images=images.astype("uint8"), labels=np.arange(10), class_names=names)
