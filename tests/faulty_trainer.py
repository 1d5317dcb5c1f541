"""Trainers that train nothing and import nothing heavy: for sweeps of thousands of runs, and for faults."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import faulty_acts
import numpy as np

from fashion_sweep.training import interruption
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


def acting(
    jobs: Sequence[Job], act: str | None = None, seconds: float = 0.0, wait_for: str | None = None, **_options: Any
) -> None:
    """Does something in the first epoch of each run; the losses are a linear model's that is fitted by hand.

    act: of ``faulty_acts``; seconds: that an epoch takes; wait_for: a file without which the first epoch does not end.
    """
    for job in jobs:
        with running([job]):
            images = job.split.x_train.reshape(len(job.split.x_train), -1).astype("float64") / 255
            chance = np.random.default_rng(job.config["seed"])
            weights = chance.normal(size=images.shape[1])
            for epoch in range(job.config["epochs"]):
                time.sleep(seconds)
                if epoch == 0:
                    faulty_acts.act(act)
                    _wait(wait_for)
                weights -= 0.001 * (images.T @ (images @ weights - job.split.y_train)) / len(images)
                loss = float(np.mean((images @ weights - job.split.y_train) ** 2))
                job.recorder.epoch({"loss": loss, "accuracy": 0.5, "val_loss": loss, "val_accuracy": 0.5})
                interruption.check()
            job.end(None)


def _wait(file: str | None) -> None:
    while file is not None and not Path(file).exists():
        time.sleep(0.02)
        interruption.check()


class Nothing(NetworkTrainer):
    """The first one as a class, which has an option."""

    def __init__(self, *, loss: float) -> None:
        self.loss = loss

    def train(self, jobs: Sequence[Job]) -> None:
        for job in jobs:
            with running([job]):
                job.recorder.epoch({"loss": self.loss, "accuracy": 0.75, "val_loss": 0.5, "val_accuracy": 0.5})
                job.end(None)
