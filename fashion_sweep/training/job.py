"""One run while it is trained: its spec, its recorder, and what happens to it when something is raised."""

from __future__ import annotations

import errno
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import cached_property
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
    own_log: Callable[[], AbstractContextManager[None]] = nullcontext
    """Makes a context for what is logged of this run alone, so that a launcher can keep the logs of a pack apart."""


class Job:
    """A run that a trainer trains: within ``running``, it hands each epoch to ``recorder.epoch`` and calls end last."""

    def __init__(self, spec: RunSpec) -> None:
        self.config, self.run = spec.config, RunDir(spec.folder)
        self.run.path.mkdir(parents=True, exist_ok=True)
        record = RunRecord(
            run=spec.folder.name,
            identity=spec.identity,
            seed=spec.config["seed"],
            choices=spec.choices,
            overrides=spec.overrides,
            config=dict(spec.config),
        )
        self.recorder = Recorder(self.run, record, spec.own_log)

    @property
    def is_running(self) -> bool:
        """Whether the run has begun and not ended."""
        return self.recorder.record.status is Status.RUNNING

    @cached_property
    def split(self) -> data.Split:
        """The data; noted in the record when it is first asked for."""
        dataset, split = data.load_split(self.config["data"])
        self.recorder.describe_data(dataset, split)
        return split

    def end(self, model: Any) -> None:
        """Keep what the config asks for of the trained model, and write the final record."""
        if self.recorder.is_finite:
            self.recorder.save(model, self.config["save"])
            self.recorder.finish(Status.COMPLETED)
        else:
            epoch = len(self.recorder.rows)
            self.recorder.finish(Status.DIVERGED, f"loss became NaN or infinite in epoch {epoch}")


@contextmanager
def running(jobs: Sequence[Job]) -> Iterator[None]:
    """Begin the runs; within the block, what C++ code writes goes to the first one's log. See ``guarded``."""
    with native_output_to(jobs[0].run.log), guarded(jobs):
        for job in jobs:
            job.recorder.start()
        yield


@contextmanager
def guarded(jobs: Sequence[Job]) -> Iterator[None]:
    """Whatever is raised within the block ends these runs, as far as they have not ended, and nothing else.

    Only KeyboardInterrupt goes on, after the runs are recorded as interrupted.
    """
    try:
        yield
    except KeyboardInterrupt:
        for job in jobs:
            if job.is_running:
                job.recorder.finish(Status.INTERRUPTED, "interrupted")
        raise
    except (Exception, SystemExit) as error:
        log.exception("The run failed")
        for job in jobs:
            if not job.recorder.record.status.is_final:
                job.recorder.finish(Status.FAILED, reason(error))


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
