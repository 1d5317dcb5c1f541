"""The epoch loop of a pack of runs, for any engine.

Keras callbacks work as in model.fit, at epochs: each run of a pack has a Keras model of its own, which has the run's
weights and optimizer state after every epoch, and which callbacks may change. A run that stops early leaves the pack
where a smaller program is compiled already; else it stays in the program but is no longer recorded.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from fashion_sweep.errors import ConfigError
from fashion_sweep.training import callbacks, checkpoint, interruption, keras_fit, model_setup
from fashion_sweep.training.engines import base
from fashion_sweep.training.engines.base import Arrays, Engine, Logs, Member, NotOneProgramError
from fashion_sweep.training.job import Job, guarded
from fashion_sweep.training.model_checkpoint import ModelCheckpoint
from fashion_sweep.training.save_interval import SaveInterval

LAST_S = 2.0
"""Seconds in which an interrupted pack begins to save a model: soon its process is killed."""

log = logging.getLogger(__name__)


def train(jobs: Sequence[Job], engine: Engine) -> None:
    """Train running jobs together, or in parts that one program can train each.

    Raises what the engine raises, such as its error for too little memory; an error in a run's own model or callbacks
    ends that run alone.
    """
    arrays = engine.place(jobs[0].split)
    runs = list(_built(jobs, engine, arrays))
    parts = _parts(runs)
    if len(parts) > 1:
        log.info("The %d runs are trained in %d parts: one program cannot train them all", len(runs), len(parts))
    for part in parts:
        if len(part) == 1 < len(jobs):
            train([part[0].job], engine)  # built again: Keras' global state is that of the last model
            continue
        try:
            pack = _Pack(part, engine, arrays)
        except NotOneProgramError as error:
            log.warning("%d runs are trained one by one, not packed: %s", len(part), error)
            for run in part:
                train([run.job], engine)
        else:
            pack.train()


@dataclass
class _Run:
    """A run in a pack."""

    job: Job
    model: keras.Model
    start: int  # epochs that an earlier attempt has trained
    member: Member
    callbacks: keras.callbacks.CallbackList = field(init=False)
    savers: list[ModelCheckpoint] = field(default_factory=list)  # which may have models that are not written yet

    @property
    def seed(self) -> int:
        """The run's seed."""
        return int(self.job.config["seed"])

    def begin(self, pack: int) -> None:
        """Make and call the callbacks. pack: the number of runs in it."""
        job, epochs, steps = self.job, self.job.config["epochs"], model_setup.steps_per_epoch(self.job)
        self.model.stop_training = False
        model_setup.describe(job, self.model, pack)
        with guarded([job]):
            self.callbacks = keras.callbacks.CallbackList(
                callbacks.of(job), add_history=True, model=self.model, verbose=0, epochs=epochs, steps=steps
            )
            self.callbacks.on_train_begin()
            if job.state is not None:
                job.state.restore_callbacks(self.callbacks.callbacks)
            self.savers = checkpoint.put_off_saving(self.callbacks.callbacks, pack)

    def begin_epoch(self, epoch: int) -> None:
        """Call the callbacks. Raises ConfigError where one stops the run here: model.fit would train one more batch."""
        self.callbacks.on_epoch_begin(epoch)
        if self.model.stop_training:
            raise ConfigError("a callback stopped the run at the beginning of an epoch, expected at its end")

    def write_models(self) -> None:
        """Write the models that are to be saved and are not written yet."""
        with guarded([self.job]):
            for saver in self.savers:
                saver.write()

    def end_epoch(self, epoch: int, trained: Logs, validated: Logs) -> None:
        """Call the callbacks; after the last epoch, or if one of them stops the run, save its model and record."""
        self.callbacks.on_test_end(validated)
        logs = {**trained, **{f"val_{name}": value for name, value in validated.items()}}
        self.callbacks.on_epoch_end(epoch, logs)
        if self.model.stop_training or epoch + 1 == self.job.config["epochs"]:
            self.model.optimizer.finalize_variable_values(self.model.trainable_weights)
            self.callbacks.on_train_end(logs)
            self.job.end(self.model)


def _built(jobs: Sequence[Job], engine: Engine, arrays: Arrays) -> Iterator[_Run]:
    """The runs that could be built; one that its model gives to model.fit is trained before the next is built."""
    for number, job in enumerate(jobs):
        with guarded([job]):
            model = model_setup.compiled_model(job, is_first=number == 0)
            why = model_setup.fit_reason(model)
            if why:
                log.info("%s: trainer fit instead of compiled: %s", job.run.path.name, why)
                job.end(keras_fit.fitted(job, steps_per_execution=1, jit_compile="auto"))
                continue
            model_setup.build(model, job)
            start = job.restore(model)
            run = base.Run(model, job.config["seed"], job.config["batch_size"])
            yield _Run(job, model, start, engine.member(run, arrays, len(jobs)))


def _parts(runs: Sequence[_Run]) -> list[list[_Run]]:
    """Runs that one program can train, each that has to be trained alone by itself."""
    parts: dict[Any, list[_Run]] = {}
    for number, run in enumerate(runs):
        alone = run.member.alone
        if alone:
            log.info("%s is trained alone, not packed: %s", run.job.run.path.name, alone)
        parts.setdefault(number if alone else (run.start, run.member.key), []).append(run)
    return list(parts.values())


class _Pack:
    """Runs that are trained by one program."""

    def __init__(self, runs: Sequence[_Run], engine: Engine, arrays: Arrays) -> None:
        self._runs, self._engine, self._arrays, first = runs, engine, arrays, runs[0]
        self._program = engine.program([run.member for run in runs], arrays)
        self._start, self._epochs = first.start, first.job.config["epochs"]
        self._steps = model_setup.steps_per_epoch(first.job)
        self._interval = SaveInterval()
        self._aside = ThreadPoolExecutor(1, "orders")

    @property
    def _live(self) -> list[int]:
        """The rows of the runs that have not ended."""
        return [row for row, run in enumerate(self._runs) if run.job.is_running]

    def train(self) -> None:
        """Train epochs until every run has ended."""
        for run in self._runs:
            run.begin(len(self._runs))
        with self._aside:
            following = self._orders(self._start)
            for epoch in range(self._start, self._epochs):
                if not self._live:
                    return
                orders, following = following.result(), self._orders(epoch + 1)
                self._train_epoch(epoch, np.stack([orders[run.seed] for run in self._runs]))
                self._save()
                interruption.check()
                self._leave()

    def _orders(self, epoch: int) -> Future[dict[int, np.ndarray]]:
        """The orders of an epoch by seed, found while the epoch before is trained: each takes about a millisecond."""
        jobs = {run.seed: run.job for run in self._runs} if epoch < self._epochs else {}
        return self._aside.submit(lambda: {seed: model_setup.order(job, epoch) for seed, job in jobs.items()})

    def _train_epoch(self, epoch: int, orders: np.ndarray) -> None:
        """orders: int [R, N], of the epoch."""
        self._for_each(lambda _row, run: run.begin_epoch(epoch))
        trained = self._program.train(self._arrays, orders, epoch * self._steps, self._live)
        self._for_each(lambda _row, run: run.callbacks.on_test_begin())
        validated = self._program.validate(self._arrays, self._live)
        self._for_each(lambda row, run: run.end_epoch(epoch, trained[row], validated[row]))

    def _leave(self) -> None:
        """Go on without the runs that have ended, where that saves time."""
        live = [self._runs[row] for row in self._live]
        if live and len(live) < len(self._runs):
            smaller = self._engine.smaller([run.member for run in live], self._program.size)
            if smaller is not None:
                self._runs, self._program = live, smaller

    def _for_each(self, call: Callable[[int, _Run], None]) -> None:
        """Call something of each live run. An error ends that run alone."""
        for row in self._live:
            run = self._runs[row]
            with guarded([run.job]):
                call(row, run)
            if not run.job.is_running:
                run.write_models()

    def _save(self) -> None:
        """Save the states of the runs when it is time, or when they are about to be interrupted; then their models,
        too, as far as there is time: the states have those that are not written yet.
        """
        if self._interval.is_due or interruption.is_requested():
            started = self._interval.clock()
            for run in (self._runs[row] for row in self._live):
                if run.member.can_continue and checkpoint.unsupported_reason(run.callbacks.callbacks) is None:
                    run.job.save_state(run.model, run.callbacks.callbacks)
            self._interval.saved(started)
            for run in (self._runs[row] for row in self._live):
                if interruption.is_requested() and self._interval.clock() - started < LAST_S:
                    run.write_models()
