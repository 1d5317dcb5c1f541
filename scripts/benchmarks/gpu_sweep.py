"""The whole command line on a GPU: a sweep of many runs of the README's network, from its start to its report."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks.grid import Settings
from benchmarks.processes import run
from fashion_sweep.storage.sweep_dir import SweepDir

RATES = "0.0002,0.0003,0.0005,0.0007,0.001,0.0015,0.002,0.003,0.005,0.007"
DROPOUTS = "0.1,0.2,0.3,0.4,0.5"
GRID = len(RATES.split(",")) * len(DROPOUTS.split(","))


def command(runs: int, epochs: int, limit: int | None, options: Sequence[str], folder: Path) -> list[str]:
    """The command of a sweep of about this many runs: a grid of rates and dropouts, with as many seeds as it takes."""
    seeds = max(1, runs // GRID)
    grid = [f"optimizer.learning_rate={RATES}", f"model.dropout={DROPOUTS}", f"seed=range({seeds})"]
    start = [sys.executable, "-m", "fashion_sweep", "-m", *grid, *Settings(epochs, limit).overrides]
    return [*start, "trainer.engine=jax", *options, f"hydra.sweep.dir={folder / 'sweep'}"]


def measured(
    runs: int, epochs: int, limit: int | None, options: Sequence[str], folder: Path
) -> tuple[dict[str, Any], list[str]]:
    """Seconds of the whole command and of its parts, and the command. folder: an empty one. Raises CommandError."""
    words = command(runs, epochs, limit, options, folder)
    began = time.time()
    finished = run(words, folder)
    records = [found for each in SweepDir(folder / "sweep").run_dirs() if (found := each.read_record()) is not None]
    done = [record for record in records if record.status.value == "completed"]
    histories = [each.read_history() for each in SweepDir(folder / "sweep").run_dirs()]
    starts = sorted(_seconds(record.started) - began for record in records)
    ends = sorted(_seconds(record.ended) - began for record in records)
    trained = [sum(row["seconds"] for row in rows) for rows in histories]
    whole = [record.seconds or 0.0 for record in records]
    size = sum(path.stat().st_size for path in (folder / "sweep").rglob("*") if path.is_file())
    accuracies = [record.last["val_accuracy"] for record in done if record.last]
    return {
        "runs": len(records),
        "completed": len(done),
        "wall_seconds": finished.seconds,
        "cpu_seconds": finished.cpu_seconds,
        "first_start": starts[0],
        "first_end": ends[0],
        "last_end": ends[-1],
        "first_epoch_seconds": statistics.median(rows[0]["seconds"] for rows in histories if rows),
        "later_epoch_seconds": statistics.median(row["seconds"] for rows in histories for row in rows[1:] or rows),
        "all_epochs_seconds": statistics.median(trained),
        "building_and_saving_seconds": statistics.median(whole) - statistics.median(trained),
        "packs": sorted({record.pack or 1 for record in records}),
        "mib_on_disk": size / 2**20,
        "val_accuracy": statistics.mean(value for value in accuracies if value is not None),
    }, words


def _seconds(moment: str | None) -> float:
    return datetime.fromisoformat(moment).timestamp() if moment else float("nan")
