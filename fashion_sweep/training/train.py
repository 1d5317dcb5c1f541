"""Training is a function of run specs: folders and configs in, records out, whether runs succeed or fail.

A failure is data: it is written to the run's record and log, and the next run starts. Nothing here reads Hydra's
global state, so that a lane or a cluster task can call it as well as the command line does.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from fashion_sweep.config.redaction import Redaction, redacted_logs
from fashion_sweep.config.run_spec import RunSpec
from fashion_sweep.errors import UnreadableError
from fashion_sweep.storage.record import RunRecord, Status
from fashion_sweep.storage.run_dir import RunDir
from fashion_sweep.training import interruption
from fashion_sweep.training.engines import process
from fashion_sweep.training.job import Job, guarded
from fashion_sweep.training.trainer import trainer_of
from packed_jobs import process_state

__all__ = ["RunSpec", "train"]


def train(specs: Sequence[RunSpec]) -> list[RunRecord]:
    """Train every run and return their records, in the same order.

    A run whose folder holds a completed record with the same identity is not trained again, nor is one that the
    config's ``retry`` excludes; an interrupted one continues from its saved state. Runs with the same ``trainer`` node
    are passed to that trainer together. Raises only KeyboardInterrupt, at the end of the running epoch or at once on a
    second signal, after the unfinished runs that had started are recorded as interrupted.
    """
    found = [_refused(spec) or _kept(spec) or _begun(spec) for spec in specs]
    jobs = [one for one in found if isinstance(one, Job)]
    with redacted_logs(Redaction.all(spec.hidden for spec in specs)), interruption.deferred(lambda: _give_up(jobs)):
        _train(jobs)
    return [one.recorder.record if isinstance(one, Job) else one for one in found]


def _train(jobs: Sequence[Job]) -> None:
    groups: dict[str, list[Job]] = {}
    for job in jobs:
        groups.setdefault(json.dumps(job.config["trainer"], sort_keys=True), []).append(job)
    for group in groups.values():
        with guarded(group):
            trainer = trainer_of(group[0].config)
            with process.prepared(trainer.environment):
                trainer.warm_up()  # what an import sets for the process stays
                with process_state.restored():
                    trainer.train(group)


def _give_up(jobs: Iterable[Job]) -> None:
    """Record runs as interrupted whose epoch takes too long to wait for its end."""
    for job in jobs:
        if job.is_running:
            job.recorder.finish(Status.INTERRUPTED, f"stopped in epoch {len(job.recorder.rows) + 1}")


def lost(spec: RunSpec, status: Status, reason: str) -> None:
    """Record a run whose process died before it could do so itself. reason: for people, made one line.

    Does nothing where the sweep's folder has been renamed or deleted.
    """
    if not spec.folder.parent.is_dir():
        return
    record = record_of(spec)
    if record is None or record.status is not Status.COMPLETED:
        recorder = Job(spec).recorder
        recorder.take_over()
        recorder.finish(status, " ".join(spec.hidden.in_text(reason).split()))


def _kept(spec: RunSpec) -> RunRecord | None:
    record = record_of(spec)
    return record if record is not None and record.is_kept(spec.identity, spec.config["retry"]) else None


def _begun(spec: RunSpec) -> Job | RunRecord:
    """The run to train; its record where what it would go on from cannot be read: it is not to start over for that."""
    job = Job(spec)
    try:
        job.require_readable()
    except UnreadableError as error:
        job.recorder.take_over()
        return job.recorder.finish(Status.FAILED, str(error))
    return job


def _refused(spec: RunSpec) -> RunRecord | None:
    """A record, written nowhere, of a run whose folder is another run's or cannot be read; None where it is not."""
    try:
        record = RunDir(spec.folder).record_before()
        if record is None or record.identity == spec.identity:
            return None
        reason = f"{spec.folder} holds another run; give another folder"
    except UnreadableError as error:
        reason = str(error)
    return RunRecord(spec.name, spec.identity, Status.FAILED, reason)


def record_of(spec: RunSpec) -> RunRecord | None:
    """The run's record in its folder; None if there is none, or one of another run. Raises UnreadableError."""
    record = RunDir(spec.folder).record_before()
    return record if record is not None and record.identity == spec.identity else None
