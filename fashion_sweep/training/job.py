"""One run during training: its spec, its recorder, and what an exception does to it."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from fashion_sweep.config.run_spec import RunSpec
from fashion_sweep.data import loading, split
from fashion_sweep.data.dataset import Dataset
from fashion_sweep.errors import DataError, FolderError, UnreadableError, UserError
from fashion_sweep.storage.provenance import versions
from fashion_sweep.storage.reading import open_file
from fashion_sweep.storage.record import RunRecord, Status
from fashion_sweep.storage.run_dir import RunDir
from fashion_sweep.training import interruption, process_settings
from fashion_sweep.training.engines import name_of
from fashion_sweep.training.failures import reason
from fashion_sweep.training.native_output import native_output_to
from fashion_sweep.training.recorder import Recorder

if TYPE_CHECKING:
    from fashion_sweep.training.checkpoint import State

log = logging.getLogger(__name__)


class Job:
    """A run for a trainer, which passes each epoch to ``recorder.epoch`` within ``running`` and calls ``end`` last."""

    def __init__(self, spec: RunSpec) -> None:
        self.config, self.run = spec.config, RunDir(spec.folder)
        self.run.path.mkdir(exist_ok=True)  # but not the sweep's around it, which may be gone
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
        self._engine = name_of(spec.config)
        self.recorder = Recorder(self.run, record, spec.own_log, hide=spec.hidden.in_text, engine=self._engine)
        self._hidden, self._cwd, self._planned_data = spec.hidden, spec.cwd, spec.data
        self.state: State | None = None  # from which the run is continued

    @property
    def is_running(self) -> bool:
        """Whether the run has started and not ended."""
        return self.recorder.record.status is Status.RUNNING

    def dataset(self) -> Dataset:
        """All images and labels of the run, not split. Raises DataError for others than were planned."""
        with loading.from_folder(self._cwd):
            return self._as_planned(loading.load(self.config["data"]))

    @cached_property
    def split(self) -> split.Split:
        """The data, described in the record at first use."""
        with loading.from_folder(self._cwd):
            dataset, split = loading.load_split(self.config["data"])
        self._as_planned(dataset)
        self.recorder.describe_data(dataset, len(split.x_train), len(split.x_val), split.y_val)
        return split

    def _as_planned(self, dataset: Dataset) -> Dataset:
        """Raise DataError where the data is not what the run's identity says: a file or its source has changed."""
        if self._planned_data not in (None, dataset.fingerprint):
            raise DataError(
                f"the data is not what was planned: its fingerprint was {self._planned_data:.10} and is "
                f"{dataset.fingerprint:.10} where the run is trained; start the command again with data that stays"
            )
        return dataset

    def require_readable(self) -> None:
        """Raise UnreadableError where there is a state to go on from, and it or the history cannot be read."""
        if os.path.lexists(self.run.state):  # a link in a circle is there, too
            for path in (self.run.state, self.run.history):
                with suppress(FileNotFoundError):
                    open_file(path).close()

    def start(self) -> None:
        """Start the run, or continue it after the epochs of its saved state.

        Raises UnreadableError where the state or the history is there and cannot be read.
        """
        self.state = self._saved_state()
        self.recorder.start(self.run.read_history()[: self.state.epoch] if self.state else ())

    def _saved_state(self) -> State | None:
        if not self.run.state.exists():
            return None
        from fashion_sweep.training import checkpoint  # imports Keras

        found = checkpoint.read(self.run, self._stamp)
        try:
            return found if found is not None and len(self.run.read_history()) >= found.epoch else None
        except UnreadableError:
            raise
        except FolderError:
            return None

    @property
    def _stamp(self) -> dict[str, Any]:
        """What must not have changed for a saved state to be used."""
        record = self.recorder.record
        return {"identity": record.identity, "code": record.code, "versions": versions(self._engine)}

    def restore(self, model: Any) -> int:
        """Load the saved state into the model and return its number of epochs; 0 if there is none that fits."""
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
        """Save what it takes to continue after the epochs so far. A full disk is logged and does not end the run."""
        from fashion_sweep.training import checkpoint

        now = checkpoint.of(model, callbacks, len(self.recorder.rows))
        # Attributes that hold a hidden value are not saved: the config gives them to the callbacks again.
        now = replace(now, callbacks=[self._hidden.without(each) for each in now.callbacks])
        try:
            checkpoint.save(self.run, self._stamp, now)
        except OSError as error:
            log.warning("The state could not be saved: %s", error)

    def end(self, model: Any) -> None:
        """Save the trained model as the config's ``save`` demands, and write the final record."""
        if self.recorder.is_finite:
            if self.config["save"] != "none":
                self._save(model)
            self.recorder.finish(Status.COMPLETED)
        else:
            epoch = len(self.recorder.rows)
            self.recorder.finish(Status.DIVERGED, f"loss became NaN or infinite in epoch {epoch}")

    def _save(self, model: Any) -> None:
        from fashion_sweep.training.engines.keras_internals import without_tensorflow  # imports Keras

        with without_tensorflow():
            self.recorder.save(model, self.config["save"])


@contextmanager
def running(jobs: Sequence[Job]) -> Iterator[None]:
    """Start the runs; within the block, C++ code writes to the log of the first one. See ``guarded``.

    What code of the runs changes for the whole process is restored after the block.
    """
    with native_output_to(jobs[0].run.log), guarded(jobs), process_settings.restored():
        interruption.check()
        for job in jobs:
            job.start()
        yield


@contextmanager
def guarded(jobs: Sequence[Job]) -> Iterator[None]:
    """Record an exception raised within the block in those of these runs that have not ended, and suppress it.

    A UserError says all there is to know; others are logged with their traceback. KeyboardInterrupt alone is raised
    again, after the runs are recorded as interrupted.
    """
    try:
        yield
    except KeyboardInterrupt:
        for job in jobs:
            if job.is_running:
                job.recorder.finish(Status.INTERRUPTED, f"stopped after epoch {len(job.recorder.rows)}")
        raise
    except GeneratorExit:
        raise
    except BaseException as error:
        if not isinstance(error, UserError):
            log.exception("The run failed")
        for job in jobs:
            if not job.recorder.record.status.is_final:
                job.recorder.finish(Status.FAILED, reason(error, job.recorder.hide))
