"""A trainer that runs model.fit with the engine that its node names, and notes what its process has imported."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from fashion_sweep.training.engines import engine_named
from fashion_sweep.training.engines.base import Engine
from fashion_sweep.training.fit import Fit
from fashion_sweep.training.job import Job


class FitWith(Fit):
    """``trainer=fit`` with any engine."""

    def __init__(self, *, engine: str) -> None:
        super().__init__(steps_per_execution=2, jit_compile="auto")
        self._engine = engine

    @property
    def engine(self) -> Engine:
        return engine_named(self._engine)

    def train(self, jobs: Sequence[Job]) -> None:
        super().train(jobs)
        for job in jobs:
            (job.run.path / "imported").write_text(" ".join(sorted({"jax", "tensorflow"} & set(sys.modules))))
