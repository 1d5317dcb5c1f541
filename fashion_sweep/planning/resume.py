"""What a sweep's folder holds already, seen by the command that now owns it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress

from rich.console import Console

from fashion_sweep.config.run_spec import RunSpec
from fashion_sweep.errors import FolderError, UnreadableError
from fashion_sweep.planning import elsewhere
from fashion_sweep.planning.plan import Plan
from fashion_sweep.storage.plain_text import clean
from fashion_sweep.storage.provenance import Code
from fashion_sweep.storage.record import PROCESS_DIED, RunRecord, Status
from fashion_sweep.training.train import lost, record_of


def take_over(planned: Plan, code: Code, console: Console) -> list[RunSpec]:
    """The runs to train. Marks what a dead owner left running, and reports where finished runs had other code.

    Runs that others train are left to them. Raises UnreadableError for a record that is there and cannot be read, and
    FolderError where nobody can tell what others train.
    """
    records = {spec.identity: record_of(spec) for spec in planned.runs}  # all of them, before anything is written
    others = elsewhere.trained(planned, records)
    for spec in planned.runs:
        if _was_running(records[spec.identity]) and spec.identity not in others:
            _mark_lost(spec)
            records[spec.identity] = record_of(spec)
    _report_others(others, console)
    _report_other_code([record for record in records.values() if record and is_finished(record)], code, console)
    return [spec for spec in planned.runs if spec.identity not in others and is_due(spec, records[spec.identity])]


def mark_lost(planned: Plan) -> None:
    """Mark runs whose records say that they are running, though no process trains them."""
    records = {spec.identity: _readable(spec) for spec in planned.runs}
    with suppress(FolderError):  # where nobody can tell who trains them, they stay as they are
        running = [spec for spec in planned.runs if _was_running(records[spec.identity])]
        others = elsewhere.trained(planned, records) if running else {}
        for spec in running:
            if spec.identity not in others:
                _mark_lost(spec)


def _readable(spec: RunSpec) -> RunRecord | None:
    with suppress(UnreadableError):
        return record_of(spec)
    return None


def _was_running(record: RunRecord | None) -> bool:
    return record is not None and record.status is Status.RUNNING


def _mark_lost(spec: RunSpec) -> None:
    with suppress(OSError, UnreadableError):  # on a full disk, who reads the record sees that nobody owns the folder
        lost(spec, Status.INTERRUPTED, PROCESS_DIED)


def is_due(spec: RunSpec, record: RunRecord | None) -> bool:
    """Whether a run is to be trained."""
    return record is None or not record.is_kept(spec.identity, spec.config["retry"])


def is_finished(record: RunRecord) -> bool:
    """Whether a run ended by itself."""
    return record.status in (Status.COMPLETED, Status.DIVERGED)


def _report_others(others: Mapping[str, str], console: Console) -> None:
    if others:
        by = list(dict.fromkeys(others.values()))
        more = f" and {len(by) - 3} more" if by[3:] else ""
        text = f"{len(others)} runs are queued or trained already, and left to {', '.join(by[:3])}{more}"
        console.print(clean(text), markup=False, highlight=False, soft_wrap=True)


def _report_other_code(kept: Sequence[RunRecord], code: Code, console: Console) -> None:
    others = [record for record in kept if record.code not in (None, code.fingerprint)]
    if not others:
        return
    commits = {clean(str((record.git or {}).get("commit") or "no commit"))[:10] for record in others}
    now = str((code.git or {}).get("commit") or "no commit")[:10]
    console.print(
        f"Other code: {len(others)} of {len(kept)} finished runs were trained with other source files "
        f"(then {', '.join(sorted(commits))}, now {now}); they are kept as they are",
        markup=False, highlight=False, soft_wrap=True,
    )  # fmt: skip
