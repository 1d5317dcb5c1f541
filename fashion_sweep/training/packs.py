"""Which runs are trained together, and what happens when they cannot be."""

from __future__ import annotations

import gc
import logging
from collections.abc import Sequence

from fashion_sweep.training import callbacks, keras_fit, model_setup, packed
from fashion_sweep.training.engines import default_engine
from fashion_sweep.training.failures import OUT_OF_MEMORY, reason
from fashion_sweep.training.job import Job, guarded, running
from fashion_sweep.training.packing import pack_key

log = logging.getLogger(__name__)


def train(jobs: Sequence[Job]) -> None:
    """Train runs, those that fit together in packs, and those with callbacks on batches with model.fit."""
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
        _train_together(pack)


def _train_together(jobs: list[Job]) -> None:
    """Train jobs with equal pack keys: in one pack, or each alone if their model cannot be packed."""
    why = _unsupported_reason(jobs) if len(jobs) > 1 else None
    if why:
        log.info("%d runs are trained one by one, not packed: %s", len(jobs), why)
    for pack in [[job] for job in jobs] if why else [jobs]:
        _train_pack(pack)


def _unsupported_reason(jobs: Sequence[Job]) -> str | None:
    with guarded(jobs[:1]):
        return default_engine().unsupported_reason(model_setup.compiled_model(jobs[0]))
    return "the first of them could not be built"


def _train_pack(jobs: list[Job]) -> None:
    """Train one pack; if memory is too small for it, its halves one after the other."""
    is_too_large = False
    with running(jobs):
        try:
            packed.train(jobs, default_engine())
        except Exception as error:
            if len(jobs) == 1 or reason(error) != OUT_OF_MEMORY:
                raise
            is_too_large = True
    if is_too_large:
        log.warning("%s with %d runs together; they are trained again in two halves", OUT_OF_MEMORY, len(jobs))
        default_engine().forget()
        gc.collect()
        _train_pack(jobs[: len(jobs) // 2])
        _train_pack(jobs[len(jobs) // 2 :])
