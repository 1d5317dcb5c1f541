"""Overfitting, plateaus and speed of runs."""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from fashion_sweep.analysis.dynamics import dynamics, target
from fashion_sweep.analysis.measure import Measure
from fashion_sweep.analysis.trends import LEAST, critical, rises

FALLING = [1.0 / epoch for epoch in range(1, 41)]


def of(*runs: tuple[Sequence[float], Sequence[float]], **changes: object) -> pd.DataFrame:
    """The dynamics of runs with these validation and training losses."""
    names = [f"run{place}" for place in range(len(runs))]
    rows = [
        {"run": name, "epoch": epoch, "loss": loss, "val_loss": val}
        for name, (vals, losses) in zip(names, runs, strict=True)
        for epoch, (val, loss) in enumerate(zip(vals, losses, strict=False), start=1)
    ]
    best = [min(vals) for vals, _ in runs]
    table = pd.DataFrame({"run": names, "status": "completed", "is_partial": False, "best_val_loss": best} | changes)
    return dynamics(table.assign(score=table["best_val_loss"]), pd.DataFrame(rows), Measure())


def values_of(frame: pd.DataFrame, name: str) -> list[object]:
    return [None if pd.isna(value) else value for value in frame[name]]


def test_gaps_onset_and_target_by_hand() -> None:
    found = of(([0.9, 0.5, 0.6, 0.7, 0.8, 0.9], [0.8, 0.4, 0.3, 0.2, 0.1, 0.05]))
    assert found["gap_at_best"].tolist() == pytest.approx([0.1])
    assert found["gap_at_last"].tolist() == pytest.approx([0.85])
    assert values_of(found, "overfits_after") == [2]
    assert values_of(found, "still_improving") == [False]
    assert values_of(found, "epochs_to_target") == [2]


def test_a_run_does_not_overfit_if_training_gets_worse_too_or_too_little_follows() -> None:
    vals = [0.9, 0.5, 0.6, 0.7, 0.8, 0.9]
    found = of((vals, [0.8, 0.4, 0.5, 0.6, 0.7, 0.8]), (vals[:5], FALLING), (FALLING[:6], FALLING))
    assert values_of(found, "overfits_after") == [None, None, None]


def test_a_run_still_improves_if_it_falls_by_a_hundredth_at_its_end() -> None:
    slow = [0.5 - 0.0001 * epoch for epoch in range(8)]
    flat = [1.0, 0.5, *([0.41, 0.4] * 4)]
    found = of((FALLING[:8], FALLING), (slow, FALLING), (flat, FALLING), (FALLING[:4], FALLING))
    assert values_of(found, "still_improving") == [True, False, False, None]


def test_the_target_is_a_twentieth_above_the_best_completed_run() -> None:
    found = of(([0.9, 0.42, 0.4], FALLING), ([0.9, 0.8, 0.41], FALLING), ([0.5, 0.43, 0.425], FALLING))
    assert values_of(found, "epochs_to_target") == [2, 3, None]
    table = pd.DataFrame(
        {"run": ["a", "b"], "status": ["completed", "running"], "best_val_loss": [0.4, 0.1], "score": [0.4, 0.1]}
    )
    assert target(table, Measure()) == pytest.approx(0.42)


def test_runs_without_a_whole_history_or_a_finite_loss_have_no_row() -> None:
    losses = (FALLING[:6], FALLING)
    found = of(losses, losses, losses, is_partial=[True, False, False], best_val_loss=[0.1, math.nan, 0.1])
    assert found["run"].tolist() == ["run2"]
    assert of(losses, is_partial=True).empty


def trend(values: Sequence[float]) -> bool:
    return bool(rises(pd.DataFrame({"run": "a", "x": values}), "x")["a"])


@settings(max_examples=50, deadline=None)
@given(st.integers(LEAST, 30).flatmap(lambda count: st.permutations(range(count))))
def test_a_trend_is_what_kendalls_exact_test_says(values: list[int]) -> None:
    expected = stats.kendalltau(range(len(values)), values, alternative="greater", method="exact").pvalue
    assert trend(values) == (expected <= 0.05 + 1e-9)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0.1, 1), min_size=1, max_size=60, unique=True), st.booleans())
def test_any_curve_that_only_rises_has_a_trend_and_none_has_two(values: list[float], is_sorted: bool) -> None:
    ordered = sorted(values) if is_sorted else values
    assert not (trend(ordered) and trend([-value for value in ordered]))
    if is_sorted:
        assert trend(ordered) == (len(values) >= LEAST)


@pytest.mark.parametrize("count", [4, 5, 8, 20, 60, 250])
def test_noise_is_rarely_a_trend(count: int) -> None:
    """2,000 curves of noise; the bound is 5% and four standard errors of it."""
    noise = np.random.default_rng(count).standard_exponential((2000, count))
    frame = pd.DataFrame({"run": np.repeat(np.arange(2000), count), "x": noise.ravel()})
    assert rises(frame, "x").mean() < 0.05 + 4 * math.sqrt(0.05 * 0.95 / 2000)


@pytest.mark.parametrize("count", [6, 12, 40])
def test_a_flat_noisy_run_is_rarely_said_to_overfit_or_improve(count: int) -> None:
    noise = 0.5 + 0.1 * np.random.default_rng(count).random((400, count))
    found = of(*((row.tolist(), FALLING) for row in noise))
    most = 0.05 + 4 * math.sqrt(0.05 * 0.95 / 400)
    assert found["overfits_after"].notna().mean() < most
    assert found["still_improving"].eq(True).mean() < most


def test_the_approximation_for_long_curves_meets_the_exact_values() -> None:
    count = 50
    normal = 1.6449 * (count * (count - 1) * (2 * count + 5) / 18) ** 0.5 + 1
    assert critical(count) == pytest.approx(normal, rel=0.02)
