"""The compiled trainer: every epoch of a run, or of a pack of runs, is one XLA program.

Keras callbacks work as in model.fit, at epochs: each run of a pack has a Keras model of its own, which gets the run's
weights and optimizer state after every epoch. A run that stops early stays in the program, masked, and the others are
what they would have been.
"""

from __future__ import annotations

import gc
import logging
from collections.abc import Sequence
from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from fashion_sweep.training import callbacks, checkpoint, interruption, keras_fit, model_setup
from fashion_sweep.training.engines import program_cache
from fashion_sweep.training.engines.tensorflow import stacking
from fashion_sweep.training.engines.tensorflow.program import device_arrays
from fashion_sweep.training.failures import OUT_OF_MEMORY, reason
from fashion_sweep.training.job import Job, guarded, running
from fashion_sweep.training.packing import pack_key

log = logging.getLogger(__name__)


def train(jobs: Sequence[Job]) -> None:
    """Train runs, those that fit together in packs."""
    packs: dict[str, list[Job]] = {}
    for job in jobs:
        why = callbacks.batch_callback(job)
        if job.recorder.record.status.is_final:
            continue
        if why:
            log.info("%s: trainer fit instead of compiled: %s", job.run.path.name, why)
            keras_fit.train([job], steps_per_execution=1, jit_compile="auto")
        else:
            packs.setdefault(pack_key(job.config) or job.run.path.name, []).append(job)
    for pack in packs.values():
        _train_packs(pack)


def _train_packs(jobs: Sequence[Job]) -> None:
    """Train jobs whose configs fit together: in one pack, or each alone where a layer of the model forbids it."""
    why = _why_alone(jobs) if len(jobs) > 1 else None
    if why:
        log.info("%d runs are trained one by one, not packed: %s", len(jobs), why)
    for pack in [[job] for job in jobs] if why else [list(jobs)]:
        _train_pack(pack)


def _train_pack(jobs: list[Job]) -> None:
    """Train one pack; where the memory is too small for it, its halves one after the other."""
    is_too_large = False
    with running(jobs):
        try:
            _train(jobs)
        except Exception as error:
            if len(jobs) == 1 or reason(error) != OUT_OF_MEMORY:
                raise
            is_too_large = True
    if is_too_large:
        log.warning("%s with %d runs together; they are trained again in two halves", OUT_OF_MEMORY, len(jobs))
        program_cache.forget()
        gc.collect()
        _train_pack(jobs[: len(jobs) // 2])
        _train_pack(jobs[len(jobs) // 2 :])


def _why_alone(jobs: Sequence[Job]) -> str | None:
    with guarded(jobs[:1]):
        return stacking.unsupported_reason(model_setup.compiled_model(jobs[0]))
    return "the first of them could not be built"


@dataclass
class _Run:
    """A run in a pack."""

    row: int
    job: Job
    model: keras.Model  # its own; gets the run's weights after every epoch
    callbacks: keras.callbacks.CallbackList
    start: int  # epochs that an earlier attempt has done

    @property
    def can_be_saved(self) -> bool:
        """Whether the run can go on after an interruption as if there had been none."""
        return (
            stacking.is_function_of_inputs(self.model)
            and checkpoint.unsupported_reason(self.callbacks.callbacks) is None
        )

    def learning_rates(self, first_step: int, steps: int) -> np.ndarray:
        """Of the steps of an epoch: float32 [steps]. A callback may have changed it since the last epoch."""
        rate = self.model.optimizer._learning_rate
        if isinstance(rate, keras.optimizers.schedules.LearningRateSchedule):
            numbers = tf.range(first_step, first_step + steps)
            return np.asarray(tf.map_fn(rate, numbers, fn_output_signature=tf.float32))
        return np.full(steps, float(rate), "float32")

    def end(self) -> None:
        """The run trains no more: let callbacks finish, keep its model, write its record."""
        self.callbacks.on_train_end()
        self.job.end(self.model)


def _train(jobs: Sequence[Job]) -> None:
    runs = [_started(row, job, len(jobs)) for row, job in enumerate(jobs)]
    parts: dict[tuple[int, str], list[Job]] = {}
    for run in runs:
        parts.setdefault((run.start, program_cache.program_key(run.model, run.job.config)), []).append(run.job)
    if len(parts) > 1:
        log.info("The %d runs are trained in %d parts: one program cannot train them all", len(runs), len(parts))
        for part in parts.values():
            _train(part)
        return
    config, split = jobs[0].config, jobs[0].split
    models = [run.model for run in runs]
    program, validation = program_cache.program(models, config, split), program_cache.validation(models, config, split)
    program.load(models)
    arrays, steps = device_arrays(split), model_setup.steps_per_epoch(jobs[0])
    pace = checkpoint.SaveInterval()
    for epoch in range(runs[0].start, config["epochs"]):
        live = [run for run in runs if run.job.is_running]
        if not live:
            return
        for run in live:
            with guarded([run.job]):
                run.callbacks.on_epoch_begin(epoch)
        trained = program.epoch(
            arrays,
            np.stack([model_setup.order(run.job, epoch) for run in runs]),
            learning_rates=np.stack([run.learning_rates(epoch * steps, steps) for run in runs], axis=1),
            seeds=np.array([run.job.config["seed"] for run in runs]),
            rates=np.array([stacking.dropout_rates(run.model) for run in runs]),
            first_step=epoch * steps,
        )
        validated = validation.measure(program.model, arrays)
        for run in [run for run in runs if run.job.is_running]:
            logs = {"loss": trained.loss, "accuracy": trained.accuracy}
            logs |= {"val_loss": validated.loss, "val_accuracy": validated.accuracy}
            program.store(run.row, run.model)
            with guarded([run.job]):
                run.callbacks.on_epoch_end(epoch, {key: float(value[run.row]) for key, value in logs.items()})
                if run.model.stop_training or epoch + 1 == config["epochs"]:
                    run.end()
        _save([run for run in runs if run.job.is_running], pace)
        interruption.check()


def _save(runs: Sequence[_Run], pace: checkpoint.SaveInterval) -> None:
    """Save the runs' states where it is time, or where they are about to be interrupted."""
    if pace.is_due or interruption.is_requested():
        started = pace.clock()
        for run in [run for run in runs if run.can_be_saved]:
            run.job.save_state(run.model, run.callbacks.callbacks)
        pace.saved(started)


def _started(row: int, job: Job, pack: int) -> _Run:
    model = model_setup.compiled_model(job)
    start = job.restore(model)
    model.stop_training = False
    model_setup.describe(job, model, pack)
    every = keras.callbacks.CallbackList(callbacks.of(job), model=model, epochs=job.config["epochs"])
    with guarded([job]):
        every.on_train_begin()
        if job.state is not None:
            job.state.remind(every.callbacks)
    return _Run(row, job, model, every, start)
