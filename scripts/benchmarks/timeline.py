"""Where the seconds of a sweep go, read from the times that its records and files have."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise

from fashion_sweep.storage.record import RunRecord
from fashion_sweep.storage.run_dir import RunDir
from fashion_sweep.storage.sweep_dir import SweepDir

STEPS = {
    "plan": "start, imports and plan: until `sweep.json` is written",
    "lanes": "lanes start, import TensorFlow and load the dataset: until the first run starts",
    "first_epochs": "runs: what first epochs take longer than others, tracing and compiling",
    "epochs": "runs: all else of the epochs, validation and checkpoints included",
    "around": "runs: building models, records, saving, waiting for the last lane",
    "report": "what is left of the report once the last run has ended: until `index.html` is written",
    "end": "the last tables, and the end of the process",
}
"""Quantity -> what happens in these seconds; together they are the wall time."""


def steps(
    begun: float, seconds: float, sweep: SweepDir, runs: Sequence[tuple[RunRecord, RunDir]], at_once: int
) -> dict[str, float]:
    """Seconds of the wall time by STEPS.

    begun: of the command, in seconds since 1970; seconds: of the whole command; at_once: runs in training at the same
    time, by which seconds of epochs are divided.
    """
    planned = sweep.plan.stat().st_mtime
    started, ended = (_times(each) for each in zip(*((r.started, r.ended) for r, _ in runs), strict=True))
    reported = (sweep.path / "report" / "index.html").stat().st_mtime
    first, later = _epochs([[row["seconds"] for row in run_dir.read_history()] for _, run_dir in runs])
    marks = [begun, planned, min(started), max(ended), max(reported, *ended), begun + seconds]
    plan, lanes, training, report, end = (after - before for before, after in pairwise(marks))
    first, later = first / at_once, later / at_once
    return {
        "plan": plan,
        "lanes": lanes,
        "first_epochs": first,
        "epochs": later,
        "around": training - first - later,
        "report": report,
        "end": end,
    }


def _epochs(runs: Sequence[Sequence[float]]) -> tuple[float, float]:
    """What the first epochs of all runs take longer than the median of the run's others, and all the rest, summed."""
    extra = [seconds[0] - statistics.median(seconds[1:]) for seconds in runs if len(seconds) > 1]
    return sum(extra), sum(map(sum, runs)) - sum(extra)


def _times(texts: Sequence[str | None]) -> list[float]:
    return [datetime.fromisoformat(text).timestamp() for text in texts if text]
