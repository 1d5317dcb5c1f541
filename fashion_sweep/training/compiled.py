"""The trainer ``compiled``: each epoch of a run, or of a pack of runs, is one program of the engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fashion_sweep.errors import ConfigError
from fashion_sweep.training.engines import AUTO, NAMES, TENSORFLOW, choice, engine_named, engine_of
from fashion_sweep.training.network_trainer import NetworkTrainer, importing

if TYPE_CHECKING:
    from fashion_sweep.training.engines.base import Engine
    from fashion_sweep.training.job import Job


class Compiled(NetworkTrainer):
    """Trains whole epochs as one program, and runs that fit together in packs."""

    def __init__(self, *, engine: str = TENSORFLOW) -> None:
        """The option is described in conf/trainer/compiled.yaml; configs of old records lack it."""
        if engine not in (AUTO, *NAMES):
            raise ConfigError(f"trainer.engine is {engine}, expected {AUTO}, {' or '.join(NAMES)}")
        self._engine = engine

    @property
    def engine(self) -> Engine:
        """The engine that the config names. Raises ConfigError for ``auto``, in whose place planning puts a name."""
        return engine_named(self._engine)

    def variants(self, config: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        """With each engine that the config's may stand for."""
        if self._engine != AUTO:
            return super().variants(config)
        return [{**config["trainer"], "engine": name} for name in choice.best_first()]

    def pack_key(self, config: Mapping[str, Any]) -> str | None:
        """See ``engines.base.Engine.pack_key``."""
        return engine_of(config).pack_key(config)

    def train(self, jobs: Sequence[Job]) -> None:
        """Train runs, those that fit together in packs."""
        with importing(jobs[0].run.log, self.environment):
            from fashion_sweep.training import packs

        packs.train(jobs)


compiled = Compiled  # the name in conf/, which is part of every run's identity
