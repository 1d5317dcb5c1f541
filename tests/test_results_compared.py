"""Two settings compared in notebooks, with hand-computed statistics, and other measures."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from analysis_folders import curve, grid, run_folder, write_run, write_sweep
from hypothesis import given
from hypothesis import strategies as st
from result_sweeps import CLEAR, GRID, by_seed, loaded

from fashion_sweep import UserError, load_sweep
from fashion_sweep.analysis.measure import Measure
from fashion_sweep.reporting.report import write_report
from fashion_sweep.results.answers import compare
from fashion_sweep.storage.record import Status

losses_of = st.lists(st.floats(0.01, 10), min_size=4, max_size=4)


def p_value(t: float) -> float:
    """Two-sided, of Student's t with two degrees of freedom."""
    return 1 - t / math.sqrt(t**2 + 2)


def test_two_settings_are_compared_by_seed(tmp_path: Path) -> None:
    found = loaded(tmp_path / "s", CLEAR).compare("rmsprop", {"optimizer": "adam"})
    assert (found.a, found.b) == ("rmsprop", "adam")
    assert found.by_seed.to_dict() == pytest.approx({0: 0.1, 1: 0.2, 2: 0.3})
    half = 4.302653 * 0.1 / math.sqrt(3)  # of Student's t with two degrees of freedom
    assert (found.mean, found.low, found.high) == pytest.approx((0.2, 0.2 - half, 0.2 + half))
    assert found.p_value == pytest.approx(p_value(2 * math.sqrt(3)))
    assert found.corrected == pytest.approx(2 * found.p_value)  # by Holm, the second of three pairs, as in the report
    assert repr(found) == (
        "rmsprop minus adam: lowest validation loss +0.2000 (95% interval -0.0484 to +0.4484; "
        "t-test paired by 3 seeds, p 0.074; 0.15 if the results chose the two). Neither can be told from the other."
    )


def test_a_pair_without_the_best_is_corrected_for_all_pairs(tmp_path: Path) -> None:
    """The differences are 0.9, 0.9 and 0.8: their mean is 26 standard errors (0.1 / 3)."""
    found = loaded(tmp_path / "s", {**CLEAR, "sgd": by_seed(2.0, 3.1, 5.1)}).compare("sgd", "rmsprop")
    assert found.p_value == pytest.approx(p_value(26))
    assert found.corrected == pytest.approx(3 * found.p_value)
    assert repr(found).endswith("rmsprop is better.")


def test_a_difference_that_only_a_pair_chosen_before_shows_is_said_to_be_one(tmp_path: Path) -> None:
    """Differences of 0.2, 0.25 and 0.3 are 5 sqrt(3) standard errors, p 0.013; by Holm 0.039 of three pairs. With two
    further settings it is one of ten.
    """
    more = {name: by_seed(9.0, 9.5, 8.5) for name in ("sgd", "adagrad", "momentum")}
    losses = {"adam": by_seed(1.0, 2.0, 4.0), "rmsprop": by_seed(1.2, 2.25, 4.3), **more}
    found = loaded(tmp_path / "s", losses).compare("adam", "rmsprop")
    assert found.p_value == pytest.approx(p_value(5 * math.sqrt(3)))
    assert found.corrected > 0.05
    assert repr(found).endswith("adam is better if these two were chosen before the results were seen; otherwise that "
                                "is no claim.")  # fmt: skip


def test_settings_without_shared_seeds_are_compared_by_welch(tmp_path: Path) -> None:
    """Means 2 and 5, variances 1 and 4: t = 3 / sqrt(5 / 3) with 50 / 17 degrees of freedom."""
    losses = {"adam": by_seed(1.0, 2.0, 3.0), "sgd": {7: 3.0, 8: 5.0, 9: 7.0}}
    found = loaded(tmp_path / "s", losses).compare("sgd", "adam")
    assert not found.is_paired
    assert found.by_seed.empty
    assert found.mean == 3
    assert found.p_value == pytest.approx(0.1045, abs=5e-5)
    assert math.isnan(found.low)
    assert repr(found) == (
        "sgd minus adam: lowest validation loss +3.0000 (Welch's t-test, p 0.1). Neither can be told from the other."
    )


def test_too_few_seeds_are_not_tested(tmp_path: Path) -> None:
    found = loaded(tmp_path / "s", {"adam": by_seed(0.3), "sgd": by_seed(0.5, 0.6)}).compare("adam", "sgd")
    assert math.isnan(found.p_value)
    assert math.isnan(found.low)
    assert found.mean == pytest.approx(0.3 - 0.55)
    assert repr(found).endswith("Too few seeds for a test: it takes 2 of each setting.")


@given(losses_of, losses_of)
def test_comparing_the_other_way_round_turns_the_signs(one: list[float], two: list[float]) -> None:
    values = pd.DataFrame([one, two], columns=["0", "1", "2", "3"], index=["a", "b"])
    there, back = compare(values, Measure(), None, 1), compare(values.iloc[::-1], Measure(), None, 1)
    assert there.mean == -back.mean
    assert (there.low, there.high) == pytest.approx((-back.high, -back.low))
    assert there.p_value == back.p_value
    assert (there.p_value < 0.05) == (there.low > 0 or there.high < 0) or abs(there.p_value - 0.05) < 1e-9


@pytest.mark.parametrize(
    ("a", "b", "why"),
    [
        ("nadam", "adam", "'nadam': no such setting; expected one of: adam; rmsprop; sgd"),
        ({"optimizer": "nadam"}, "adam", "no such setting"),
        ({"model": "mlp"}, "adam", "3 settings have that; expected one of: adam; rmsprop; sgd"),
        ({"colour": 1}, "adam", "'colour': settings have no such column; expected model, optimizer, learning_rate"),
        ("adam", {"optimizer": "adam"}, "'adam' twice"),
    ],
)  # fmt: skip
def test_what_is_no_pair_of_settings_is_told(tmp_path: Path, a: str, b: str, why: str) -> None:
    with pytest.raises(UserError) as raised:
        loaded(tmp_path / "s", CLEAR).compare(a, b)
    assert why in str(raised.value)


def test_a_setting_without_results_cannot_be_compared(tmp_path: Path) -> None:
    sweep = write_sweep(tmp_path / "s", grid(optimizer=["adam", "sgd"], seed=[0, 1]))
    for seed in (0, 1):
        point = {"optimizer": "sgd", "seed": seed}
        write_run(run_folder(sweep, point).path, point, [], status=Status.FAILED, reason="no luck")
    with pytest.raises(UserError, match="'sgd' has no completed run with a result"):
        load_sweep(sweep.path).compare("adam", "sgd")


def test_another_measure_ranks_by_itself(tmp_path: Path) -> None:
    """Of accuracies, higher is better: 0.7 and 0.9 at seed 0, 0.8 and 0.9 at seed 1."""
    sweep = write_sweep(tmp_path / "s", grid(optimizer=["adam", "sgd"], seed=[0, 1]))
    accuracies = {("adam", 0): 0.7, ("adam", 1): 0.8, ("sgd", 0): 0.9, ("sgd", 1): 0.9}
    for (name, seed), accuracy in accuracies.items():
        point, losses = {"optimizer": name, "seed": seed}, curve(name, epochs=2)
        write_run(run_folder(sweep, point).path, point, [losses[0], losses[1] | {"val_accuracy": accuracy}])
    results = load_sweep(sweep.path, measure="val_accuracy", at="last")
    report = write_report([sweep.path], metric="val_accuracy", at="last")
    assert results.best().setting == "sgd"
    assert results.verdict() in (report.output / "summary.md").read_text()
    assert results.settings["last_val_accuracy_mean"].tolist() == pytest.approx([0.9, 0.75])
    found = results.compare("adam", "sgd")
    assert found.mean == pytest.approx(-0.15)
    assert repr(found).startswith("adam minus sgd: highest validation accuracy in the last epoch -0.1500 ")
    assert "last_val_loss_mean" in load_sweep(sweep.path, at=1).settings
    assert "mean_val_loss_mean" in load_sweep(sweep.path, at=2).settings


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"measure": "loss"}, "measure is 'loss', expected val_loss or val_accuracy"),
        ({"at": "first"}, "at is 'first', expected 'best', 'last' or a number of epochs, at least 1"),
        ({"at": 0}, "at is 0"),
        ({"at": True}, "at is True"),
    ],
)
def test_what_is_no_measure_is_told(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    write_sweep(tmp_path / "s", GRID[:1])
    with pytest.raises(UserError) as raised:
        load_sweep(tmp_path / "s", **options)
    assert message in str(raised.value)


def test_the_better_setting_is_the_one_of_the_higher_accuracy() -> None:
    values = pd.DataFrame([[0.70, 0.71, 0.72], [0.90, 0.911, 0.92]], columns=list("012"), index=["a", "b"])
    assert repr(compare(values, Measure("val_accuracy"), None, 1)).endswith("b is better.")
    assert repr(compare(values, Measure("val_loss"), None, 1)).endswith("a is better.")
