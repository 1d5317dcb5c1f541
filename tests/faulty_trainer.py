"""A trainer that trains nothing and imports nothing heavy, for sweeps of thousands of runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fashion_sweep.training.job import Job, running
from fashion_sweep.training.network_trainer import NetworkTrainer


def nothing(jobs: Sequence[Job], **_options: Any) -> None:
    """Records one epoch for each run, as a trainer does."""
    for job in jobs:
        with running([job]):
            job.recorder.epoch(
                {"loss": 0.5, "accuracy": 0.75, "val_loss": 1 / (1 + job.config["seed"]), "val_accuracy": 0.5}
            )
            job.end(None)


class Nothing(NetworkTrainer):
    """The same as a class, which has an option."""

    def __init__(self, *, loss: float) -> None:
        self.loss = loss

    def train(self, jobs: Sequence[Job]) -> None:
        for job in jobs:
            with running([job]):
                job.recorder.epoch({"loss": self.loss, "accuracy": 0.75, "val_loss": 0.5, "val_accuracy": 0.5})
                job.end(None)
