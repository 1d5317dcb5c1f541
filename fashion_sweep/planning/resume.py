"""What a sweep's folder holds already, seen by the command that now owns it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from rich.console import Console

from fashion_sweep.config.run_spec import RunSpec
from fashion_sweep.errors import UserError
from fashion_sweep.planning.plan import Plan
from fashion_sweep.planning.run_spec import Point
from fashion_sweep.storage.provenance import Code
from fashion_sweep.storage.record import RunRecord, Status
from fashion_sweep.storage.run_dir import RunDir
from fashion_sweep.training.train import lost

LOST = "its process ended without a word"
"""Why a run is interrupted whose record says that it is running, though nobody owns the folder."""


def take_over(planned: Plan, code: Code, console: Console) -> list[Point]:
    """The runs that are to be trained. Settles what a dead owner left, and says where finished runs had other code."""
    mark_lost(planned)
    records = {point.identity: record_of(planned, point) for point in planned.runs}
    _tell_of_other_code([record for record in records.values() if record and is_finished(record)], code, console)
    return [point for point in planned.runs if is_due(point, records[point.identity])]


def mark_lost(planned: Plan) -> None:
    """Mark runs whose records say that they are running, though no process trains them."""
    for point in planned.runs:
        record = record_of(planned, point)
        if record is not None and record.status is Status.RUNNING:
            folder = planned.run_dir(point).path
            spec = RunSpec(folder, point.config, point.choices, point.overrides, point.identity)
            with suppress(OSError):  # a full disk: whoever reads the record sees that nobody owns the folder
                lost(spec, Status.INTERRUPTED, LOST)


def record_of(planned: Plan, point: Point) -> RunRecord | None:
    """The record that a point has; None where there is none, or one that cannot be read or is of another run."""
    return _read(planned.run_dir(point), point.identity)


def is_due(point: Point, record: RunRecord | None) -> bool:
    """Whether a point is to be trained."""
    return record is None or not record.is_kept(point.identity, point.config["retry"])


def is_finished(record: RunRecord) -> bool:
    """Whether a run ended by itself."""
    return record.status in (Status.COMPLETED, Status.DIVERGED)


def _read(run: RunDir, identity: str) -> RunRecord | None:
    try:
        record = run.read_record()
    except UserError:
        return None
    return record if record is not None and record.identity == identity else None


def _tell_of_other_code(kept: Sequence[RunRecord], code: Code, console: Console) -> None:
    others = [record for record in kept if record.code not in (None, code.fingerprint)]
    if not others:
        return
    commits = {str((record.git or {}).get("commit") or "no commit")[:10] for record in others}
    now = str((code.git or {}).get("commit") or "no commit")[:10]
    console.print(
        f"Other code: {len(others)} of {len(kept)} finished runs were trained with other source files "
        f"(then {', '.join(sorted(commits))}, now {now}); they are kept as they are",
        markup=False, highlight=False, soft_wrap=True,
    )  # fmt: skip
