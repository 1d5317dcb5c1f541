"""Training is a function of run specs: folders and configs in, records out, whatever becomes of each run.

A failure is data: it is written to the run's record and log, and the next run goes on. Nothing here reads Hydra's
global state, so that a lane or a cluster task can call it as well as the command line does.
"""

from __future__ import annotations

import errno
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fashion_sweep import data
from fashion_sweep.errors import UserError
from fashion_sweep.quiet import native_output_to
from fashion_sweep.run_dir import RunDir, RunRecord, Status
from fashion_sweep.training.recording import Recorder

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunSpec:
    """What it takes to train one run."""

    folder: Path
    config: Mapping[str, Any]  # resolved
    choices: dict[str, str]  # config group -> choice
    overrides: list[str]
    identity: str


def train(specs: Sequence[RunSpec]) -> list[RunRecord]:
    """Train every run and return their records, in the same order.

    A run that its folder shows as completed with the same identity is not trained again. Raises only
    KeyboardInterrupt, after the run that it met is recorded as interrupted.
    """
    return [_finished(spec) or _train_one(spec) for spec in specs]


def _finished(spec: RunSpec) -> RunRecord | None:
    try:
        record = RunDir(spec.folder).read_record()
    except UserError:  # a damaged record is no proof of a finished run
        return None
    same = record is not None and record.identity == spec.identity
    return record if same and record is not None and record.status is Status.COMPLETED else None


def _train_one(spec: RunSpec) -> RunRecord:
    run = RunDir(spec.folder)
    run.path.mkdir(parents=True, exist_ok=True)
    recorder = Recorder(
        run,
        RunRecord(
            run=spec.folder.name,
            identity=spec.identity,
            seed=spec.config["seed"],
            choices=spec.choices,
            overrides=spec.overrides,
            config=dict(spec.config),
        ),
    )
    with native_output_to(run.log):
        try:
            recorder.start()
            _run_trainer(spec.config, run, recorder)
        except KeyboardInterrupt:
            recorder.finish(Status.INTERRUPTED, "interrupted")
            raise
        except (Exception, SystemExit) as error:
            log.exception("The run failed")
            return recorder.finish(Status.FAILED, reason(error))
        if not recorder.is_finite:
            return recorder.finish(Status.DIVERGED, f"loss became NaN or infinite in epoch {len(recorder.rows)}")
        return recorder.finish(Status.COMPLETED)


def _run_trainer(config: Mapping[str, Any], run: RunDir, recorder: Recorder) -> None:
    """Load the data, train, keep the weights that the config asks for."""
    from hydra.utils import get_method

    trainer: Callable[..., Any] = get_method(config["trainer"]["_target_"])
    options = {key: value for key, value in config["trainer"].items() if key != "_target_"}
    dataset, split = data.load_split(config["data"])
    recorder.describe_data(dataset, split)
    model = trainer(config, split, run, recorder.epoch, recorder.describe_model, **options)
    if recorder.is_finite:
        recorder.save(model, config["save"])


def reason(error: BaseException) -> str:
    """Why a run failed, in one line for people."""
    if isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError":
        return "out of memory"
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "disk full"
    if isinstance(error, SystemExit):
        return f"the run called sys.exit({error.code})"
    text = " ".join(str(error).split())
    return text if isinstance(error, UserError) else f"{type(error).__name__}: {text}"[:500]
