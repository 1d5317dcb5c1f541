"""Lines A to F: the same six runs, each trained its own way in fresh processes."""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

from benchmarks import overhead, timeline
from benchmarks.grid import OVERRIDES, Settings, checked_fidelity, quantity
from benchmarks.processes import program, run, shown
from fashion_sweep.storage.record import RunRecord
from fashion_sweep.storage.run_dir import RunDir
from fashion_sweep.storage.sweep_dir import SweepDir

WHAT = {
    "A": "the notes' code in a loop: float64, default `fit`",
    "B": "Hydra's basic launcher, `trainer=fit`",
    "C": f"joblib launcher, {overhead.WORKERS} workers, `trainer=fit`",
    "D": "the best `fit`, one process",
    "E": "`python -m fashion_sweep -m`, cold",
    "F": "the same as E, steady state",
}
SWEEPS = {
    "B": [*overhead.launcher_overrides("basic"), "trainer=fit"],
    "C": [*overhead.launcher_overrides("joblib"), "trainer=fit"],
    "E": [],
}
"""Overrides of the lines that are sweeps of fashion_sweep; F is the steady state of E."""

Found = dict[str, dict[str, float]]
"""Line -> quantities of a sample."""


def skip_reason(line: str) -> str:
    """Why a line cannot be measured here; empty if it can."""
    return overhead.why_not("joblib") if line == "C" else ""


def measure(line: str, settings: Settings) -> tuple[Found, str]:
    """Measure a line: its quantities and its command; E also gives F.

    Raises CommandError, and ValueError if an accuracy is missing.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if line in SWEEPS:
            return _sweep(line, settings, folder)
        command = program("notes", *settings.arguments) if line == "A" else _best_fit(settings, folder)
        finished = run(command, folder)
        seconds = {"run_epoch_seconds": finished.result["run_epoch_seconds"]}
        found = finished.costs | seconds | checked_fidelity(finished.result["fidelity"])
        return {line: found}, shown(command)


def _sweep(line: str, settings: Settings, folder: Path) -> tuple[Found, str]:
    grid = [*OVERRIDES, *settings.overrides, *SWEEPS[line]]
    command = [sys.executable, "-m", "fashion_sweep", "-m", *grid, f"hydra.sweep.dir={folder / 'sweep'}"]
    begun = time.time()
    finished = run(command, folder)
    runs = [(each.read_record(), each) for each in SweepDir(folder / "sweep").run_dirs()]
    known = [(record, run_dir) for record, run_dir in runs if record is not None]
    fidelity = checked_fidelity({_quantity(record): _last_accuracy(record) for record, _ in known})
    steady = _steady(known)
    if line == "E":
        at_once = int(steady["at_once"])
        where = timeline.steps(begun, finished.seconds, SweepDir(folder / "sweep"), known, at_once)
        return {"E": finished.costs | fidelity | where, "F": steady | fidelity}, shown(command, folder)
    return {line: finished.costs | steady | fidelity}, shown(command, folder)


def _quantity(record: RunRecord) -> str:
    return quantity(record.choices["optimizer"], record.config["model"]["dropout"])


def _last_accuracy(record: RunRecord) -> float:
    value = (record.last or {}).get("val_accuracy")
    return float("nan") if value is None else value


def _steady(runs: Sequence[tuple[RunRecord, RunDir]]) -> dict[str, float]:
    """Seconds of machine time per run-epoch, over all runs and by optimizer.

    An epoch's wall time, callbacks included, is divided by the number of runs that trained at the same time, in lanes
    or packs. The first epoch of a run, which may compile, is left out if there are others.
    """
    at_once = most_at_once([(record.started or "", record.ended or "") for record, _ in runs])
    seconds: dict[str, list[float]] = {}
    for record, run_dir in runs:
        epochs = [row["seconds"] for row in run_dir.read_history()]
        seconds.setdefault(record.choices["optimizer"], []).extend(epochs[1:] or epochs)
    everything = [each for some in seconds.values() for each in some]
    by_optimizer = {f"run_epoch_seconds_{name}": statistics.mean(some) / at_once for name, some in seconds.items()}
    return {"run_epoch_seconds": statistics.mean(everything) / at_once, "at_once": at_once, **by_optimizer}


def most_at_once(spans: Sequence[tuple[str, str]]) -> int:
    """The highest number of runs in training at the same time. spans: start and end of each, ISO 8601 in UTC."""
    changes = sorted([(start, 1) for start, _ in spans] + [(end, -1) for _, end in spans])  # at a tie, ends come first
    return max(accumulate(change for _, change in changes))


def _best_fit(settings: Settings, folder: Path) -> list[str]:
    best = best_fit_options(settings.limit, folder)
    jit = ["--jit"] if best["jit"] else []
    return program("best_fit", *settings.arguments, "--steps-per-execution", str(best["steps_per_execution"]), *jit)


probes: dict[int | None, dict[str, Any]] = {}
"""Results of best_fit_options: number of images -> what best_fit.py --probe prints."""


def best_fit_options(limit: int | None, folder: Path) -> dict[str, Any]:
    """steps_per_execution and jit of the fastest fit, and all that was tried; probed once for each limit."""
    if limit not in probes:
        probes[limit] = run(program("best_fit", *Settings(1, limit).arguments, "--probe"), folder).result
    return probes[limit]
