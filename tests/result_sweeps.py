"""Sweep folders with given losses, for tests of results."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from analysis_folders import curve, grid, run_folder, write_run, write_sweep

from fashion_sweep import Results, load_sweep

GRID = grid(optimizer=["sgd", "adam"], model__dropout=[0, 0.3], seed=[0, 1, 2])


def loaded(folder: Path, losses: Mapping[str, Mapping[int, float]]) -> Results:
    """The results of a sweep whose runs have these losses in their one epoch: optimizer -> seed -> loss."""
    points: list[dict[str, Any]] = [{"optimizer": name, "seed": seed} for name, each in losses.items() for seed in each]
    sweep = write_sweep(folder, points, epochs=1)
    for point in points:
        row = curve(epochs=1)[0] | {"val_loss": losses[point["optimizer"]][point["seed"]]}
        write_run(run_folder(sweep, point).path, point, [row])
    return load_sweep(folder)


def by_seed(*losses: float) -> dict[int, float]:
    return dict(enumerate(losses))


CLEAR = {"adam": by_seed(1.0, 2.0, 4.0), "rmsprop": by_seed(1.1, 2.2, 4.3), "sgd": by_seed(2.0, 3.1, 5.2)}
"""Paired differences from adam: 0.1, 0.2, 0.3 (t = 2 sqrt(3)) and 1, 1.1, 1.2 (t = 11 sqrt(3))."""
