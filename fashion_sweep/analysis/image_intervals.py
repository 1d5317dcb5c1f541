"""How far figures of trained models would vary with the images that they are measured on.

Images are resampled, models are not: the intervals say nothing of other seeds. All models are measured on the same
images, so each resample takes an image with the results of all of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.stats import binomtest

from fashion_sweep.analysis.statistics import LEVEL
from fashion_sweep.storage.looks import Estimate, Figures

RESAMPLES = 2000
SEED = 0
BLOCK = 100
"""Resamples that are in memory at a time."""


@dataclass(frozen=True)
class ImageResults:
    """Of one or several models. losses: [models, images]; correct: [models, images] of bool."""

    losses: np.ndarray
    correct: np.ndarray

    @property
    def by_image(self) -> np.ndarray:
        """Means over models of loss and accuracy [images, 2]."""
        return np.stack([self.losses.mean(axis=0), self.correct.mean(axis=0)], axis=1)


def figures(results: ImageResults) -> Figures:
    """Mean loss and accuracy with percentile bootstrap intervals over images.

    The interval of a single model's accuracy is Wilson's (Journal of the American Statistical Association 22, 1927),
    which does not shrink to a point at 0 and 1; so is that of several models which agree on all images to be right, or
    wrong, as resamples of these are all the same.
    """
    values = results.by_image
    loss, accuracy = _estimates(values.mean(axis=0), _means(values))
    is_one = len(results.correct) == 1 or np.all(results.correct == results.correct.flat[0])
    return Figures(loss, wilson(results.correct[0]) if is_one else accuracy)


def difference(test: ImageResults, validation: ImageResults) -> Figures:
    """The figures on test images minus those on validation images, both of which are resampled."""
    one, two = test.by_image, validation.by_image
    return Figures(*_estimates(one.mean(axis=0) - two.mean(axis=0), _means(one) - _means(two, SEED + 1)))


def without_interval(test: Figures, validation: Figures) -> Figures:
    """The differences alone, for models that were not validated on the same images."""
    return Figures(
        Estimate(test.loss.value - validation.loss.value), Estimate(test.accuracy.value - validation.accuracy.value)
    )


def wilson(correct: np.ndarray) -> Estimate:
    """Share of correct images [images] and its interval by Wilson's score method."""
    found = binomtest(int(correct.sum()), len(correct)).proportion_ci(LEVEL, method="wilson")
    return Estimate(float(correct.mean()), float(found.low), float(found.high))


def _estimates(values: np.ndarray, resampled: np.ndarray) -> Iterator[Estimate]:
    """values: [figures]; resampled: [RESAMPLES, figures]."""
    lows, highs = np.quantile(resampled, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    for value, low, high in zip(values, lows, highs, strict=True):
        yield Estimate(float(value), float(low), float(high))


def _means(values: np.ndarray, seed: int = SEED) -> np.ndarray:
    """Means [RESAMPLES, figures] of resamples of images. values: [images, figures]."""
    chance = np.random.default_rng(seed)
    shape = (BLOCK, len(values))
    return np.concatenate(
        [values[chance.integers(0, len(values), shape)].mean(axis=1) for _ in range(RESAMPLES // BLOCK)]
    )
