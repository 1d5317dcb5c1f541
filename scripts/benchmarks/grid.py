"""What every line of the benchmark trains: the README's sweep."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product

import numpy as np

OPTIMIZERS = ("sgd", "adam", "rmsprop")
DROPOUTS = (0.0, 0.3)
RUNS = tuple(product(OPTIMIZERS, DROPOUTS))
OVERRIDES = ("optimizer=sgd,adam,rmsprop", "model.dropout=0,0.3")
"""RUNS as the command line of fashion_sweep spells them."""

INPUTS, HIDDEN, CLASSES = 784, 100, 10
PARAMETERS = INPUTS * HIDDEN + HIDDEN + HIDDEN * CLASSES + CLASSES
BATCH = 32
IMAGES = 60_000
VALIDATION_FRACTION, SPLIT_SEED = 0.2, 42


@dataclass(frozen=True)
class Settings:
    """How much to train."""

    epochs: int
    limit: int | None = None  # number of images to use, from the first; None: all

    @property
    def validation_images(self) -> int:
        return math.ceil(VALIDATION_FRACTION * (self.limit or IMAGES))  # rounded up, as in scikit-learn

    @property
    def train_images(self) -> int:
        return (self.limit or IMAGES) - self.validation_images

    @property
    def steps(self) -> int:
        """Steps per epoch, including a partial last one."""
        return math.ceil(self.train_images / BATCH)

    @property
    def arguments(self) -> list[str]:
        """Arguments for the programs of this package."""
        return ["--epochs", str(self.epochs), *([] if self.limit is None else ["--limit", str(self.limit)])]

    @property
    def overrides(self) -> list[str]:
        """Overrides for the command line of fashion_sweep."""
        return [f"epochs={self.epochs}", *([] if self.limit is None else [f"data.limit={self.limit}"])]


def quantity(optimizer: str, dropout: float) -> str:
    """The name under which the final val_accuracy of a run is recorded: val_accuracy_adam_0.3."""
    return f"val_accuracy_{optimizer}_{dropout:g}"


FIDELITY = tuple(quantity(*run) for run in RUNS)


def checked_fidelity(found: Mapping[str, float]) -> dict[str, float]:
    """The same, in the order of RUNS. Raises ValueError unless every run has a finite val_accuracy."""
    missing = [name for name in FIDELITY if not math.isfinite(found.get(name, math.nan))]
    if missing:
        raise ValueError(f"no {', '.join(missing)}: a time without its accuracy does not count")
    return {name: float(found[name]) for name in FIDELITY}


def images_and_labels(limit: int | None) -> tuple[np.ndarray, np.ndarray]:
    """The training images and labels of Fashion-MNIST: uint8 [N, 28, 28], int64 [N]."""
    from fashion_sweep.data import fashion_mnist

    dataset = fashion_mnist.load()
    return dataset.images[:limit], dataset.labels[:limit]
