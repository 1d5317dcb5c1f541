"""Trains R runs of Adam in one pack, seeds 0 to R - 1, through fashion_sweep.training; see gpu.py."""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Sequence
from pathlib import Path

from hydra import compose, initialize_config_dir

from benchmarks.processes import wait_for_others
from fashion_sweep import app
from fashion_sweep.planning import run_spec
from fashion_sweep.storage.record import RunRecord, Status
from fashion_sweep.storage.run_dir import RunDir
from fashion_sweep.training.train import RunSpec, train


def main() -> None:
    """Print mean seconds of an epoch of the pack, and mean val_accuracy, as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    for name in ("--epochs", "--runs", "--number", "--count"):
        parser.add_argument(name, type=int, required=True)
    parser.add_argument("--limit", type=int)
    arguments = parser.parse_args()
    limit = [] if arguments.limit is None else [f"data.limit={arguments.limit}"]
    folder = arguments.folder / f"process_{arguments.number}"
    _trained(folder / "warm", arguments.runs, ["epochs=1", *limit])  # imports and compiles
    wait_for_others(arguments.folder, "trained", arguments.number, arguments.count)
    records = _trained(folder / "timed", arguments.runs, [f"epochs={arguments.epochs}", *limit])
    print("\n" + json.dumps(_summary(folder / "timed", records)))


def _trained(folder: Path, runs: int, overrides: Sequence[str]) -> list[RunRecord]:
    """The records of the runs. Raises RuntimeError unless all completed, in a single pack."""
    common = ["model.dropout=0", "callbacks=none", "save=none", "trainer=compiled", *overrides]
    folder.mkdir(parents=True)
    records = train([_spec(folder / str(seed), [*common, f"seed={seed}"]) for seed in range(runs)])
    for record in records:
        if record.status is not Status.COMPLETED or record.pack != runs:
            raise RuntimeError(f"{record.run}: {record.status.value}, {record.reason}, in a pack of {record.pack}")
    return records


def _spec(folder: Path, overrides: list[str]) -> RunSpec:
    with initialize_config_dir(str(app.CONF), version_base="1.3"):
        config = compose("config", overrides, return_hydra_config=True)
    resolved = run_spec.resolved(config)
    choices = run_spec.group_choices(config.hydra)
    return RunSpec(folder, resolved, choices, overrides, run_spec.identity_of(resolved))


def _summary(folder: Path, records: Sequence[RunRecord]) -> dict[str, float]:
    histories = [RunDir(folder / record.run).read_history() for record in records]
    steady = [row["seconds"] for rows in histories for row in (rows[1:] or rows)]
    accuracies = [rows[-1]["val_accuracy"] for rows in histories]
    return {"epoch_seconds": statistics.mean(steady), "val_accuracy": statistics.mean(accuracies)}


if __name__ == "__main__":
    main()
