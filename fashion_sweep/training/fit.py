"""The trainer ``fit``: Keras' own model.fit, the reference that the others are compared with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from fashion_sweep.errors import ConfigError
from fashion_sweep.training.network_trainer import NetworkTrainer, importing

if TYPE_CHECKING:
    from fashion_sweep.training.job import Job


class Fit(NetworkTrainer):
    """Trains runs one after another with model.fit."""

    def __init__(self, *, steps_per_execution: int, jit_compile: bool | str) -> None:
        """The options are described in conf/trainer/fit.yaml. Raises ConfigError for values that Keras rejects."""
        if not (isinstance(steps_per_execution, int) and steps_per_execution >= 1):
            raise ConfigError(f"trainer.steps_per_execution is {steps_per_execution}, expected at least 1")
        if jit_compile not in (True, False, "auto"):
            raise ConfigError(f"trainer.jit_compile is {jit_compile}, expected true, false or auto")
        self._steps_per_execution, self._jit_compile = steps_per_execution, jit_compile

    def train(self, jobs: Sequence[Job]) -> None:
        """Train runs one after another."""
        with importing(jobs[0].run.log, self.environment):
            from fashion_sweep.training import keras_fit

        keras_fit.train(jobs, self._steps_per_execution, self._jit_compile)


fit = Fit  # the name in conf/, which is part of every run's identity
