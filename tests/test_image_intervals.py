"""Intervals over images, against values computed by hand and exact distributions."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import binom, norm

from fashion_sweep.analysis import image_intervals
from fashion_sweep.analysis.image_intervals import ImageResults


def results(losses: object, correct: object) -> ImageResults:
    return ImageResults(np.array(losses, float), np.array(correct, bool))


def test_wilson_by_hand() -> None:
    """8 of 10: the centre is (0.8 + z^2 / 20) / (1 + z^2 / 10), half the width as in his formula, z = 1.959964."""
    found = image_intervals.wilson(np.arange(10) < 8)
    assert (found.value, found.low, found.high) == pytest.approx((0.8, 0.4901625, 0.9433178), abs=1e-6)


def test_a_model_that_gets_everything_right_may_err_on_other_images() -> None:
    """The lower end of n of n is n / (n + z^2)."""
    for models in (1, 3):
        found = image_intervals.figures(results([[0.1] * 20] * models, [[True] * 20] * models))
        assert found.accuracy.low == pytest.approx(20 / (20 + norm.ppf(0.975) ** 2))
        assert found.accuracy.high == 1
    assert (found.loss.low, found.loss.high) == pytest.approx((0.1, 0.1))


def test_resampled_means_are_distributed_as_the_binomial() -> None:
    """Resampling k ones and n - k zeros draws from Binomial(n, k / n) exactly."""
    n, k = 400, 100
    losses = np.arange(n) < k
    found = image_intervals.figures(results([losses], [losses]))
    low, high = (binom.ppf(share, n, k / n) / n for share in (0.025, 0.975))
    assert found.loss.value == k / n
    assert found.loss.low == pytest.approx(low, abs=2 / n)
    assert found.loss.high == pytest.approx(high, abs=2 / n)


def test_two_images_give_all_that_they_can() -> None:
    """Of losses 0 and 1 a quarter of resamples has the mean 0, and a quarter 1."""
    found = image_intervals.figures(results([[0, 1]], [[True, False]]))
    assert (found.loss.value, found.loss.low, found.loss.high) == (0.5, 0, 1)


def test_models_are_averaged_image_by_image() -> None:
    """Two models that err on opposite images are right by half on every image: no other images would change that."""
    right = np.arange(50) % 2 == 0
    found = image_intervals.figures(results([right, ~right], [right, ~right]))
    assert found.accuracy == found.loss
    assert (found.accuracy.value, found.accuracy.low, found.accuracy.high) == (0.5, 0.5, 0.5)


def test_twice_the_same_model_is_no_more_evidence_than_once() -> None:
    chance = np.random.default_rng(1)
    losses = chance.exponential(size=300)
    once = image_intervals.figures(results([losses], [losses < 1]))
    twice = image_intervals.figures(results([losses] * 2, [losses < 1] * 2))
    assert (twice.loss.low, twice.loss.high) == pytest.approx((once.loss.low, once.loss.high))
    assert twice.accuracy.low == pytest.approx(once.accuracy.low, abs=0.01)  # a bootstrap beside Wilson's


def test_a_difference_varies_with_the_images_of_both() -> None:
    """Its variance is the sum of both variances of a mean: 0.09 / 400 + 0.25 / 100."""
    losses, others = [np.arange(400) % 10 == 0], [np.arange(100) % 2 == 0]
    found = image_intervals.difference(results(losses, losses), results(others, others))
    half = norm.ppf(0.975) * math.sqrt(0.09 / 400 + 0.25 / 100)
    assert found.loss.value == pytest.approx(0.1 - 0.5)
    assert found.loss.low == pytest.approx(-0.4 - half, abs=0.01)
    assert found.loss.high == pytest.approx(-0.4 + half, abs=0.01)


def test_a_difference_may_have_no_interval() -> None:
    one, two = (image_intervals.figures(results([[loss]], [[True]])) for loss in (0.75, 0.5))
    found = image_intervals.without_interval(one, two)
    assert found.loss.value == 0.25
    assert math.isnan(found.loss.low)
    assert math.isnan(found.loss.high)


def test_a_loss_that_is_no_number_has_no_interval() -> None:
    found = image_intervals.figures(results([[math.nan, 1.0]], [[False, True]]))
    assert math.isnan(found.loss.value)
    assert math.isnan(found.loss.low)
    assert found.accuracy.value == 0.5
