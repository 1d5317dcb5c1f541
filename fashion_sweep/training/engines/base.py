"""What an engine is to the epoch loop: it compiles programs that train and validate packs of runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Arrays:
    """The data of a program on its device."""

    x_train: Any  # [N, ...], uint8 or float32
    y_train: Any  # int32 [N]
    x_val: Any  # [M, ...]
    y_val: Any  # int32 [M]


@dataclass(frozen=True)
class EpochResult:
    """Means over the images of one epoch, one number a run: float64 [R]."""

    loss: np.ndarray
    accuracy: np.ndarray

    @classmethod
    def of_sums(cls, sums: Sequence[Any], count: int) -> EpochResult:
        """From losses and right answers, each summed over ``count`` images: [R]."""
        loss, right = (np.asarray(total, "float64") / count for total in sums)
        return cls(loss, right)
