"""Splits a dataset into training and validation images, and scales images for a network."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from fashion_sweep.data.dataset import Dataset, read_only
from fashion_sweep.errors import ConfigError, DataError

SPLIT_KEYS = ("validation_fraction", "split_seed", "limit")
"""Keys of the config node ``data`` that belong to ``split``; all others are passed to the source."""


@dataclass(frozen=True, eq=False)
class Split:
    """Training and validation sets of a dataset. Images keep the source's dtype, labels are int64; all read-only."""

    x_train: np.ndarray  # [N, ...]
    y_train: np.ndarray  # [N]
    x_val: np.ndarray  # [M, ...]
    y_val: np.ndarray  # [M]
    class_names: tuple[str, ...]

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one image."""
        return tuple(self.x_train.shape[1:])

    @property
    def num_classes(self) -> int:
        """Number of class names."""
        return len(self.class_names)


def scale(images: np.ndarray) -> np.ndarray:
    """Images as a model's float32 input: integers are divided by 255, so 0..255 becomes 0..1; floats are only cast."""
    scaled = images.astype(np.float32)
    scaled /= divisor(images)
    return scaled


def divisor(images: np.ndarray) -> np.float32:
    """What ``scale`` divides by: 255 for integers, 1 for floats."""
    return np.float32(255 if np.issubdtype(images.dtype, np.integer) else 1)


def check_size(dataset: Dataset, validation_fraction: float, limit: int | None) -> None:
    """Raise DataError if the first ``limit`` images (None: all) are too few for both sets. Copies nothing."""
    count = len(dataset.images[:limit])
    if math.ceil(validation_fraction * count) >= count:  # rounded up, as in scikit-learn
        raise DataError(
            f"{count} images are too few for a training and a validation set "
            f"with data.validation_fraction={validation_fraction} and data.limit={'null' if limit is None else limit}"
        )


def split(dataset: Dataset, *, validation_fraction: float, split_seed: int, limit: int | None) -> Split:
    """Split the first ``limit`` images (None: all) as scikit-learn's ``train_test_split`` does with this seed.

    The last few splits are cached.

    Raises:
        ConfigError: validation_fraction is not inside (0, 1), split_seed not in 0..2**32-1, or limit below 1.
        DataError: too few images for a training and a validation set.
    """
    if not 0 < validation_fraction < 1:
        raise ConfigError(f"data.validation_fraction={validation_fraction}: must be above 0 and below 1")
    if not 0 <= split_seed < 2**32:
        raise ConfigError(f"data.split_seed={split_seed}: must be a whole number from 0 to 4294967295")
    if limit is not None and limit < 1:
        raise ConfigError(f"data.limit={limit}: must be at least 1, or null for all images")
    check_size(dataset, validation_fraction, limit)
    return _split(dataset, validation_fraction, split_seed, limit)


@lru_cache(maxsize=4)
def _split(dataset: Dataset, validation_fraction: float, split_seed: int, limit: int | None) -> Split:
    """Cached: datasets compare by identity, and ``load`` returns the same one for the same node."""
    images, labels = dataset.images[:limit], dataset.labels[:limit]
    from sklearn.model_selection import train_test_split

    sides = train_test_split(images, labels, test_size=validation_fraction, random_state=split_seed)
    x_train, x_val, y_train, y_val = map(read_only, sides)
    return Split(x_train, y_train, x_val, y_val, dataset.class_names)
