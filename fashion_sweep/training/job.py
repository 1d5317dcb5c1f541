"""One run while it is trained: its spec, its recorder, and what happens to it when something is raised."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from fashion_sweep.data import loading, split
from fashion_sweep.data.dataset import Dataset
from fashion_sweep.errors import FolderError
from fashion_sweep.storage.provenance import versions
from fashion_sweep.storage.record import RunRecord, Status
from fashion_sweep.storage.run_dir import RunDir
from fashion_sweep.training import interruption
from fashion_sweep.training.native_output import native_output_to
from fashion_sweep.training.recorder import Recorder

if TYPE_CHECKING:
    from fashion_sweep.training.checkpoint import State

from fashion_sweep.config.run_spec import RunSpec
from fashion_sweep.training.failures import reason

log = logging.getLogger(__name__)


class Job:
    """A run that a trainer trains: within ``running``, it hands each epoch to ``recorder.epoch`` and calls end last."""

    def __init__(self, spec: RunSpec) -> None:
        self.config, self.run = spec.config, RunDir(spec.folder)
        self.run.path.mkdir(parents=True, exist_ok=True)
        record = RunRecord(
            run=spec.folder.name,
            identity=spec.identity,
            seed=spec.config.get("seed"),
            choices=spec.choices,
            overrides=spec.overrides,
            config=spec.hidden.in_config(spec.config),
            git=spec.code.git,
            code=spec.code.fingerprint,
            request=spec.request,
        )
        self.recorder = Recorder(self.run, record, spec.own_log, hide=spec.hidden.in_text)
        self._hidden, self._cwd = spec.hidden, spec.cwd
        self.state: State | None = None  # that the run goes on from

    @property
    def is_running(self) -> bool:
        """Whether the run has begun and not ended."""
        return self.recorder.record.status is Status.RUNNING

    def dataset(self) -> Dataset:
        """All images and labels of the run, not split."""
        with loading.from_folder(self._cwd):
            return loading.load(self.config["data"])

    @cached_property
    def split(self) -> split.Split:
        """The data; noted in the record when it is first asked for."""
        with loading.from_folder(self._cwd):
            dataset, split = loading.load_split(self.config["data"])
        self.recorder.describe_data(dataset, len(split.x_train), len(split.x_val))
        return split

    def begin(self) -> None:
        """The run begins, or goes on after the epochs that its saved state has."""
        self.state = self._saved_state()
        self.recorder.start(self.run.read_history()[: self.state.epoch] if self.state else ())

    def _saved_state(self) -> State | None:
        if not self.run.state.exists():
            return None
        from fashion_sweep.training import checkpoint  # imports Keras

        found = checkpoint.read(self.run, self._stamp)
        with suppress(FolderError):
            if found is not None and len(self.run.read_history()) >= found.epoch:
                return found
        return None

    @property
    def _stamp(self) -> dict[str, Any]:
        """What must be the same for a saved state to count."""
        record = self.recorder.record
        return {"identity": record.identity, "code": record.code, "versions": versions()}

    def restore(self, model: Any) -> int:
        """Give the model what was saved, and return how many epochs that has; 0 where there is nothing that fits."""
        if self.state is None:
            return 0
        try:
            self.state.load_into(model)
        except ValueError as error:
            log.warning("The run starts again: %s", error)
            self.state = None
            self.recorder.start_over()
            return 0
        return self.state.epoch

    def save_state(self, model: Any, callbacks: Sequence[Any]) -> None:
        """Save what it takes to go on after the epochs so far. A full disk does not end a run that may not need it."""
        from fashion_sweep.training import checkpoint

        now = checkpoint.of(model, callbacks, len(self.recorder.rows))
        # Attributes that hold a hidden value are not saved: the config gives them to the callbacks again.
        now = replace(now, callbacks=[self._hidden.without(each) for each in now.callbacks])
        try:
            checkpoint.save(self.run, self._stamp, now)
        except OSError as error:
            log.warning("The state could not be saved: %s", error)

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
        interruption.check()
        for job in jobs:
            job.begin()
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
                job.recorder.finish(Status.INTERRUPTED, f"stopped after epoch {len(job.recorder.rows)}")
        raise
    except (Exception, SystemExit) as error:
        log.exception("The run failed")
        for job in jobs:
            if not job.recorder.record.status.is_final:
                job.recorder.finish(Status.FAILED, reason(error, job.recorder.hide))
