"""Training is a function of run specs: folders and configs in, records out, whatever becomes of each run.

A failure is data: it is written to the run's record and log, and the next run goes on. Nothing here reads Hydra's
global state, so that a lane or a cluster task can call it as well as the command line does.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from hydra.utils import get_method

from fashion_sweep.errors import UserError
from fashion_sweep.quiet import native_output_to
from fashion_sweep.run_dir import RunDir, RunRecord, Status
from fashion_sweep.training.job import Job, RunSpec, guarded

__all__ = ["RunSpec", "train"]


def train(specs: Sequence[RunSpec]) -> list[RunRecord]:
    """Train every run and return their records, in the same order.

    A run that its folder shows as completed with the same identity is not trained again. Runs of the same trainer are
    handed to it together. Raises only KeyboardInterrupt, after the runs that it met are recorded as interrupted.
    """
    found = [_completed(spec) or Job(spec) for spec in specs]
    groups: dict[str, list[Job]] = {}
    for job in found:
        if isinstance(job, Job):
            groups.setdefault(json.dumps(job.config["trainer"], sort_keys=True), []).append(job)
    for group in groups.values():
        _run_trainer(group)
    return [one.recorder.record if isinstance(one, Job) else one for one in found]


def lost(spec: RunSpec, reason: str) -> None:
    """Record a run whose process died before it could do so itself. reason: in one line, for people."""
    record = _completed(spec)
    if record is None:
        recorder = Job(spec).recorder
        recorder.resume()
        recorder.finish(Status.INTERRUPTED if reason.startswith("interrupted") else Status.FAILED, reason)


def _completed(spec: RunSpec) -> RunRecord | None:
    try:
        record = RunDir(spec.folder).read_record()
    except UserError:  # a damaged record is no proof of a finished run
        return None
    if record is None or record.identity != spec.identity or record.status is not Status.COMPLETED:
        return None
    return record


def _run_trainer(jobs: Sequence[Job]) -> None:
    """Call the trainer that the jobs' config names. Importing it imports TensorFlow, which writes to stderr."""
    options = {**jobs[0].config["trainer"]}
    with guarded(jobs):
        with native_output_to(jobs[0].run.log):
            trainer: Callable[..., Any] = get_method(options.pop("_target_"))
        trainer(jobs, **options)
