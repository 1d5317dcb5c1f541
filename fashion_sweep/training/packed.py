"""The epoch loop of a pack of runs, for any engine.

Keras callbacks work as in model.fit, at epochs: each run of a pack has a Keras model of its own, which gets the run's
weights and optimizer state after every epoch. A run that stops early stays in the program but is no longer recorded, so
that the numbers of the other runs do not change.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import keras
import numpy as np

from fashion_sweep.training import callbacks, checkpoint, interruption, model_setup
from fashion_sweep.training.engines.base import Engine, EpochInputs, EpochResult
from fashion_sweep.training.job import Job, guarded

log = logging.getLogger(__name__)


def train(jobs: Sequence[Job], engine: Engine) -> None:
    """Train running jobs of one architecture together, or in parts that one program can train.

    Raises what the engine raises, such as its error for too little memory; an error in a run's own callbacks ends that
    run alone.
    """
    runs = [_started(row, job, len(jobs)) for row, job in enumerate(jobs)]
    parts: dict[tuple[int, str], list[Job]] = {}
    for run in runs:
        parts.setdefault((run.start, engine.program_key(run.model, run.job.config)), []).append(run.job)
    if len(parts) == 1:
        _Pack(runs, engine).train()
        return
    log.info("The %d runs are trained in %d parts: one program cannot train them all", len(runs), len(parts))
    for part in parts.values():
        train(part, engine)


@dataclass
class _Run:
    """A run in a pack."""

    row: int
    job: Job
    model: keras.Model  # its own; gets the run's weights after every epoch
    callbacks: keras.callbacks.CallbackList
    start: int  # epochs that an earlier attempt has trained

    def begin_epoch(self, epoch: int) -> None:
        """Call the callbacks."""
        with guarded([self.job]):
            self.callbacks.on_epoch_begin(epoch)

    def end_epoch(self, epoch: int, logs: dict[str, float]) -> None:
        """Call the callbacks; after the last epoch, or if one of them stops the run, save its model and record."""
        with guarded([self.job]):
            self.callbacks.on_epoch_end(epoch, logs)
            if self.model.stop_training or epoch + 1 == self.job.config["epochs"]:
                self.callbacks.on_train_end()
                self.job.end(self.model)


def _started(row: int, job: Job, pack: int) -> _Run:
    """pack: the number of runs in it."""
    model = model_setup.compiled_model(job)
    start = job.restore(model)
    model.stop_training = False
    model_setup.describe(job, model, pack)
    every = keras.callbacks.CallbackList(callbacks.of(job), model=model, epochs=job.config["epochs"])
    with guarded([job]):
        every.on_train_begin()
        if job.state is not None:
            job.state.restore_callbacks(every.callbacks)
    return _Run(row, job, model, every, start)


class _Pack:
    """Runs that are trained by one program."""

    def __init__(self, runs: Sequence[_Run], engine: Engine) -> None:
        self._runs, self._engine, first = runs, engine, runs[0].job
        models = [run.model for run in runs]
        self._program = engine.program(models, first.config, first.split)
        self._program.load(models)
        self._arrays, self._steps = engine.place(first.split), model_setup.steps_per_epoch(first)
        self._interval = checkpoint.SaveInterval()

    @property
    def _live(self) -> list[_Run]:
        return [run for run in self._runs if run.job.is_running]

    def train(self) -> None:
        """Train epochs until every run has ended."""
        for epoch in range(self._runs[0].start, self._runs[0].job.config["epochs"]):
            if not self._live:
                return
            self._train_epoch(epoch)
            self._save()
            interruption.check()

    def _train_epoch(self, epoch: int) -> None:
        for run in self._live:
            run.begin_epoch(epoch)
        trained = self._program.epoch(self._arrays, self._inputs(epoch))
        validated = self._program.validate(self._arrays)
        for run in self._live:
            self._program.store(run.row, run.model)
            run.end_epoch(epoch, _logs(run.row, trained, validated))

    def _inputs(self, epoch: int) -> EpochInputs:
        first_step, engine = epoch * self._steps, self._engine
        rates = [engine.learning_rates(run.model, first_step, self._steps) for run in self._runs]
        return EpochInputs(
            orders=np.stack([model_setup.order(run.job, epoch) for run in self._runs]),
            learning_rates=np.stack(rates, axis=1),
            dropout_rates=np.array([engine.dropout_rates(run.model) for run in self._runs]),
            seeds=np.array([run.job.config["seed"] for run in self._runs]),
            first_step=first_step,
        )

    def _save(self) -> None:
        """Save the states of the runs when it is time, or when they are about to be interrupted."""
        if self._interval.is_due or interruption.is_requested():
            started = self._interval.clock()
            for run in filter(self._can_be_continued, self._live):
                run.job.save_state(run.model, run.callbacks.callbacks)
            self._interval.saved(started)

    def _can_be_continued(self, run: _Run) -> bool:
        """Whether the run can be continued after an interruption as if there had been none."""
        is_kept = checkpoint.unsupported_reason(run.callbacks.callbacks) is None
        return is_kept and self._engine.is_function_of_inputs(run.model)


def _logs(row: int, trained: EpochResult, validated: EpochResult) -> dict[str, float]:
    """Keras' logs of an epoch of one run."""
    return {
        "loss": float(trained.loss[row]),
        "accuracy": float(trained.accuracy[row]),
        "val_loss": float(validated.loss[row]),
        "val_accuracy": float(validated.accuracy[row]),
    }
