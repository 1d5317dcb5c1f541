"""How long runs may take, from earlier runs of the same kind."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from fashion_sweep.config.run_spec import RunSpec
from fashion_sweep.errors import UserError
from fashion_sweep.storage.record import RunRecord, Status
from fashion_sweep.storage.run_dir import RunDir

PAST_RUNS = 500
"""Records of earlier runs that an estimate reads at most, the newest first."""


@dataclass(frozen=True)
class Estimate:
    """What past runs of the same kind say of those to come."""

    seconds: dict[str, float]  # identity -> of the run by itself or in a pack like the past ones
    memory_mib: float | None  # of the largest process
    based_on: int  # past runs


def past_runs(folder: Path) -> list[RunRecord]:
    """Completed runs that lie near a folder: in it, beside it, and in the usual outputs; the newest first."""
    places = dict.fromkeys(
        path.resolve() for path in (folder, folder.parent, Path("outputs/sweeps"), Path("outputs/runs"))
    )
    found = {path for place in places for pattern in ("*/run.json", "*/*/run.json") for path in place.glob(pattern)}
    newest = sorted(found, key=lambda path: path.stat().st_mtime, reverse=True)
    return [record for record in map(_completed, islice(newest, PAST_RUNS)) if record is not None]


def _completed(path: Path) -> RunRecord | None:
    try:
        record = RunDir(path.parent).read_record()
    except UserError:
        return None
    return record if record is not None and record.status is Status.COMPLETED else None


def estimate(due: Sequence[RunSpec], past: Sequence[RunRecord]) -> Estimate:
    """The median time of an epoch in past runs of the same kind, times the epochs; runs without such are left out.

    A run that has no epochs counts as one.
    """
    seconds: dict[str, float] = {}
    based_on: dict[int, RunRecord] = {}
    for spec in due:
        alike = _alike(spec.config, past)
        if alike:
            epoch = statistics.median(record.seconds / (record.epochs_run or 1) for record in alike if record.seconds)
            seconds[spec.identity] = epoch * int(spec.config.get("epochs", 1))
            based_on |= {id(record): record for record in alike}
    memory = [record.memory_mib for record in based_on.values() if record.memory_mib]
    return Estimate(seconds, max(memory, default=None), len(based_on))


def _alike(config: Mapping[str, Any], past: Sequence[RunRecord]) -> list[RunRecord]:
    """The past runs whose epochs should last as long; else those that differ in optimizer and dropout alone."""
    timed = [record for record in past if record.seconds]
    for kind in (_kind, _rough_kind):
        if found := [record for record in timed if kind(record.config) == kind(config)]:
            return found
    return []


def _kind(config: Mapping[str, Any]) -> Any:
    has_dropout = bool(_node(config, "model").get("dropout"))
    return [has_dropout, _node(config, "optimizer").get("_target_"), _rough_kind(config)]


def _rough_kind(config: Mapping[str, Any]) -> Any:
    model = {key: value for key, value in _node(config, "model").items() if key != "dropout"}
    return [model, *(config.get(key) for key in ("data", "trainer", "batch_size"))]


def _node(config: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    node = config.get(key)
    return node if isinstance(node, Mapping) else {}


def makespan(times: Sequence[float], lanes: int) -> float:
    """Seconds until all packs are done, each given to the lane that is free first."""
    free = [0.0] * lanes
    for seconds in times:
        first = min(range(lanes), key=free.__getitem__)
        free[first] += seconds
    return max(free)
