"""Which runs are trained together, and what happens when they cannot be."""

from __future__ import annotations

import gc
import logging
from collections.abc import Sequence

from fashion_sweep.training import callbacks, keras_fit, packed
from fashion_sweep.training.engines import engine_of
from fashion_sweep.training.failures import OUT_OF_MEMORY, reason
from fashion_sweep.training.job import Job, running

log = logging.getLogger(__name__)


def train(jobs: Sequence[Job]) -> None:
    """Train runs, those that may fit together in packs, and those with callbacks on batches with model.fit."""
    packs: dict[str, list[Job]] = {}
    for job in jobs:
        why = callbacks.batch_callback(job)
        if job.recorder.record.status.is_final:
            continue
        if why:
            log.info("%s: trainer fit instead of compiled: %s", job.run.path.name, why)
            keras_fit.train([job], steps_per_execution=1, jit_compile="auto")
        else:
            packs.setdefault(engine_of(job.config).pack_key(job.config), []).append(job)
    for pack in packs.values():
        _train_pack(pack)


def _train_pack(jobs: list[Job]) -> None:
    """Train one pack; if memory is too small for it, its halves one after the other."""
    engine, is_too_large = engine_of(jobs[0].config), False
    with running(jobs):
        try:
            packed.train(jobs, engine)
        except Exception as error:
            if len(jobs) == 1 or reason(error) != OUT_OF_MEMORY:
                raise
            is_too_large = True
    if is_too_large:
        rest = [job for job in jobs if job.is_running]
        log.warning("%s with %d runs together; they are trained again in smaller packs", OUT_OF_MEMORY, len(jobs))
        engine.forget()
        gc.collect()
        half = -(-len(rest) // 2)
        for some in filter(None, (rest[:half], rest[half:])):
            _train_pack(some)
