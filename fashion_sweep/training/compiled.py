"""The trainer ``compiled``: each epoch of a run, or of a pack of runs, is one program of the engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fashion_sweep.training.engines import engine_of
from fashion_sweep.training.network_trainer import NetworkTrainer, importing

if TYPE_CHECKING:
    from fashion_sweep.training.job import Job


class Compiled(NetworkTrainer):
    """Trains whole epochs as one program, and runs that fit together in packs."""

    def pack_key(self, config: Mapping[str, Any]) -> str | None:
        """See ``engines.base.Engine.pack_key``."""
        return engine_of(config).pack_key(config)

    def train(self, jobs: Sequence[Job]) -> None:
        """Train runs, those that fit together in packs."""
        with importing(jobs[0].run.log):
            from fashion_sweep.training import packs

        packs.train(jobs)


compiled = Compiled  # the name in conf/, which is part of every run's identity
