"""What parameters do to the loss, with numbers worked out by hand."""

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
from analysis_folders import record
from hypothesis import given, settings
from hypothesis import strategies as st
from optional import present
from scipy import stats

from fashion_sweep.analysis.effects import COMBINATIONS, SEEDS, gaps, level_effects
from fashion_sweep.analysis.importance import importances
from fashion_sweep.analysis.measure import Measure
from fashion_sweep.analysis.parameters import swept_parameters
from fashion_sweep.analysis.variance import HIGHER, p_value, shares

AB = ["a", "b"]
LOSS = Measure()


def runs(names: Sequence[str], rows: Sequence[tuple[Any, ...]], **columns: Any) -> pd.DataFrame:
    """A table of completed runs; each row has the levels of the parameters, the seed and the loss."""
    frame = pd.DataFrame(rows, columns=[*names, "seed", "best_val_loss"])
    frame = frame.astype({"best_val_loss": "float64"}).assign(status="completed")
    frame = frame.assign(score=frame["best_val_loss"])
    setting = frame[list(names)].astype(str).agg(" ".join, axis=1)
    return frame.assign(run=[f"run{place}" for place in range(len(frame))], setting=setting).assign(**columns)


# Two levels of a and b, two seeds. Means: a0 2.0, a1 5.0; b0 2.5, b1 4.5; of all 3.5.
TABLE = runs(
    AB, [(0, 0, 0, 1), (0, 0, 1, 2), (0, 1, 0, 2), (0, 1, 1, 3), (1, 0, 0, 3), (1, 0, 1, 4), (1, 1, 0, 6), (1, 1, 1, 7)]
)  # fmt: skip


def shares_of(table: pd.DataFrame, names: Sequence[str] = AB) -> dict[str, float]:
    return dict(shares(table, names, LOSS)[["term", "share"]].to_numpy().tolist())


def test_sums_of_squares_of_a_grid_by_hand() -> None:
    found = shares(TABLE, AB, LOSS).set_index("term")
    # a: 8 x 1.5^2. b: 8 x 1.0^2. a x b: the cells 1.5 2.5 3.5 6.5 leave 0.5 each. Seeds: 8 x 0.5^2.
    assert found["sum_of_squares"].to_dict() == pytest.approx({"a": 18, "b": 8, "a x b": 2, "seeds": 2})
    assert found["df"].to_dict() == {"a": 1, "b": 1, "a x b": 1, "seeds": 4}
    assert found["share"].to_dict() == pytest.approx({"a": 0.6, "b": 8 / 30, "a x b": 2 / 30, "seeds": 2 / 30})
    assert found["noise_share"].to_dict() == pytest.approx({"a": 1 / 60, "b": 1 / 60, "a x b": 1 / 60, "seeds": 2 / 30})


def test_what_three_parameters_do_together_is_a_share_of_its_own() -> None:
    signs = list(itertools.product((-1, 1), repeat=3))
    found = shares_of(runs("abc", [(*each, 0, 5 + each[0] * each[1] * each[2]) for each in signs]), list("abc"))
    assert found[HIGHER] == pytest.approx(1)
    found = shares_of(runs("abc", [(*each, 0, 5 + each[0] + each[1] * each[2]) for each in signs]), list("abc"))
    assert (found["a"], found["b x c"], found[HIGHER]) == pytest.approx((0.5, 0.5, 0))


LOSSES = st.lists(st.integers(0, 1000), min_size=12, max_size=12)


@settings(max_examples=50, deadline=None)
@given(LOSSES)
def test_one_parameter_gives_the_f_statistic_of_scipy(losses: list[int]) -> None:
    groups = np.array(losses, dtype="float64").reshape(3, 4) + np.arange(4) / 7
    rows = [(level, seed, groups[level, seed]) for level in range(3) for seed in range(4)]
    found = shares(runs("a", rows), ["a"], LOSS).set_index("term")
    expected = stats.f_oneway(*groups).statistic
    assert found["share"].to_dict()["a"] / found["noise_share"].to_dict()["a"] == pytest.approx(
        expected, rel=1e-6, abs=1e-9
    )


@settings(max_examples=50, deadline=None)
@given(LOSSES, st.permutations(range(12)), st.permutations(["x", "y", "z"]))
def test_shares_add_up_and_know_neither_rows_nor_names(losses: list[int], order: list[int], names: list[str]) -> None:
    keys = list(itertools.product(range(3), range(2), range(2)))
    table = runs(AB, [(*key, loss) for key, loss in zip(keys, losses, strict=True)])
    found = shares_of(table)
    if len(set(losses)) == 1:
        assert found == {}
        return
    assert sum(found.values()) == pytest.approx(1)
    assert min(found.values()) >= 0
    renamed = table.iloc[order].assign(a=lambda frame: frame["a"].map(names.__getitem__))
    assert shares_of(renamed) == pytest.approx(found, abs=1e-9)


def test_incomplete_grids_have_no_shares_and_incomplete_seeds_are_left_out() -> None:
    assert shares(TABLE.iloc[2:], AB, LOSS).empty
    found = shares(TABLE.iloc[:-1], AB, LOSS).set_index("term")  # seed 0 alone: 1 2 3 6
    assert found["sum_of_squares"].to_dict() == pytest.approx({"a": 9, "b": 4, "a x b": 1})
    assert found["noise_share"].isna().all()


def test_the_effect_of_a_level_by_hand() -> None:
    table = runs("a", [(0, 0, 1), (0, 1, 2), (0, 2, 6), (1, 0, 3), (1, 1, 8), (1, 2, 10)])
    low, high = level_effects(table, ["a"], LOSS).to_dict("records")
    assert (low["mean"], low["effect"], high["mean"], high["effect"]) == (3, -2, 7, 2)
    # Half the differences 2, 6, 4: mean 2, sd 1; 4.3027 / sqrt(3) = 2.4842.
    assert (high["low"], high["high"]) == pytest.approx((2 - 2.4842, 2 + 2.4842), abs=1e-4)
    (gap,) = gaps(table, ["a"], LOSS).to_dict("records")
    expected = stats.ttest_rel([3, 8, 10], [1, 2, 6]).confidence_interval()
    assert (gap["best"], gap["worst"], gap["gap"], gap["unit"], gap["units"]) == ("0", "1", 4, SEEDS, 3)
    assert (gap["low"], gap["high"]) == pytest.approx(tuple(expected))


def test_the_gap_of_three_levels_is_corrected_for_three_pairs() -> None:
    losses = [[1.0, 2.0, 2.5, 4.0], [2.0, 4.0, 3.0, 5.0], [5.0, 5.0, 6.0, 9.0]]
    rows = [(level, seed, losses[level][seed]) for level in range(3) for seed in range(4)]
    (gap,) = gaps(runs("a", rows), ["a"], LOSS).to_dict("records")
    expected = stats.ttest_rel(losses[2], losses[0]).confidence_interval(1 - 0.05 / 3)
    assert (gap["low"], gap["high"]) == pytest.approx(tuple(expected))


def test_with_one_seed_the_units_are_combinations() -> None:
    table = TABLE[TABLE["seed"] == 0]
    found = gaps(table, AB, LOSS).set_index("parameter")
    assert found[["gap", "unit", "units", "matched", "combinations"]].to_numpy().tolist() == [
        [3.0, COMBINATIONS, 2, 2, 2],
        [2.0, COMBINATIONS, 2, 2, 2],
    ]


def test_a_level_is_not_better_because_its_hard_cases_diverged() -> None:
    table = TABLE.assign(status=["completed"] * 6 + ["diverged", "failed"])
    low, high = level_effects(table, AB, LOSS).head(2).to_dict("records")
    assert (low["mean"], high["mean"]) == (1.5, 3.5)  # where b is 0
    assert (high["runs"], high["diverged"], high["failed"], high["failure_rate"]) == (2, 1, 1, 0.5)
    (gap,) = [row for row in gaps(table, AB, LOSS).to_dict("records") if row["parameter"] == "a"]
    assert (gap["matched"], gap["combinations"]) == (1, 2)


def test_levels_that_never_meet_have_means_and_no_effects() -> None:
    table = runs(AB, [(0, 0, 0, 1), (0, 1, 0, 3), (1, 2, 0, 2), (1, 3, 0, 9)])
    found = level_effects(table, AB, LOSS)
    assert found["mean"].tolist()[:2] == [2, 5.5]
    assert found["effect"].isna().all()
    assert gaps(table, AB, LOSS)["gap"].isna().all()


def test_a_level_without_any_result_is_still_counted() -> None:
    table = runs("a", [(0, 0, 1), (0, 1, 2), (1, 0, 2), (1, 1, 3), (2, 0, math.nan)])
    table["status"] = table["status"].where(table["a"] < 2, "diverged")
    found = level_effects(table, ["a"], LOSS)
    assert found["runs"].tolist() == [2, 2, 0]
    assert found["failure_rate"].tolist() == [0, 0, 1]
    assert found["effect"].tolist()[:2] == [-0.5, 0.5]


def test_one_run_a_level_says_nothing_and_neither_does_one_level() -> None:
    assert level_effects(runs("a", [(0, 0, 1), (1, 0, 2)]), ["a"], LOSS).empty
    assert gaps(runs("a", [(0, 0, 1), (0, 1, 2)]), ["a"], LOSS).empty
    assert level_effects(runs("a", []), ["a"], LOSS).empty


@settings(max_examples=50, deadline=None)
@given(LOSSES, st.permutations(range(12)))
def test_effects_add_up_to_nothing_and_do_not_know_the_order(losses: list[int], order: list[int]) -> None:
    keys = list(itertools.product(range(3), range(2), range(2)))
    table = runs(AB, [(*key, loss) for key, loss in zip(keys, losses, strict=True)])
    found = level_effects(table, AB, LOSS)
    assert found.groupby("parameter")["effect"].sum().abs().max() < 1e-9
    pd.testing.assert_frame_equal(level_effects(table.iloc[order], AB, LOSS), found)


def test_the_forest_finds_the_parameter_that_matters_in_a_random_search() -> None:
    rng = np.random.default_rng(0)
    rates, kinds = 10 ** rng.uniform(-4, -1, 60), rng.choice(["x", "y"], 60)
    table = runs(AB, [(rate, kind, 0, math.log10(rate) ** 2) for rate, kind in zip(rates, kinds, strict=True)])
    found = present(importances(table, AB, LOSS))
    assert found.rows["term"].tolist() == AB
    assert found.r2 > 0.9
    assert found.p_value < 0.001
    assert found.rows["importance"][0] > 1
    assert abs(found.rows["importance"][1]) < 0.05
    assert importances(table.head(19), AB, LOSS) is None


def test_the_forest_rarely_claims_anything_of_noise() -> None:
    """100 searches without an effect: the bound is 5% and four standard errors of it."""
    rng = np.random.default_rng(1)
    points = [(place / 20, "xyz"[place % 3], 0) for place in range(20)]
    searches = [
        runs(AB, [(*point, loss) for point, loss in zip(points, rng.normal(size=20), strict=True)]) for _ in range(100)
    ]
    claims = [found.r2 > 0 and found.p_value < 0.05 for each in searches if (found := importances(each, AB, LOSS))]
    assert len(claims) == 100
    assert np.mean(claims) < 0.05 + 4 * math.sqrt(0.05 * 0.95 / 100)


def test_the_f_test_of_shares_by_hand() -> None:
    # Terms 28 over 3 degrees of freedom, seeds 2 over 4: F = 18.667.
    assert p_value(shares(TABLE, AB, LOSS)) == pytest.approx(stats.f.sf(28 / 3 / 0.5, 3, 4))
    # One seed: a and b are 13 over 2, what they do together 1 over 1.
    assert p_value(shares(TABLE[TABLE["seed"] == 0], AB, LOSS)) == pytest.approx(stats.f.sf(6.5, 2, 1))
    assert math.isnan(p_value(shares(runs("a", [(0, 0, 1), (1, 0, 2), (2, 0, 4)]), ["a"], LOSS)))


def test_of_accuracies_the_highest_level_is_best() -> None:
    accuracy = Measure("val_accuracy")
    table = runs("a", [(0, 0, 1), (0, 1, 1), (1, 0, 1), (1, 1, 1)], best_val_accuracy=[0.7, 0.8, 0.8, 0.92])
    table["score"] = -table["best_val_accuracy"]
    (gap,) = gaps(table, ["a"], accuracy).to_dict("records")
    assert (gap["best"], gap["worst"], gap["gap"]) == ("1", "0", pytest.approx(0.11))
    expected = stats.ttest_rel([0.8, 0.92], [0.7, 0.8]).confidence_interval()
    assert (gap["low"], gap["high"]) == pytest.approx(tuple(expected))
    assert level_effects(table, ["a"], accuracy)["effect"].tolist() == pytest.approx([-0.055, 0.055])


def test_gaps_are_corrected_for_the_pairs_of_all_parameters() -> None:
    found = gaps(TABLE, AB, LOSS).set_index("parameter")
    varied = TABLE.assign(best_val_loss=TABLE["best_val_loss"] + TABLE["seed"] * TABLE["a"] * 0.1)
    (row,) = gaps(varied, AB, LOSS).query("parameter == 'a'").to_dict("records")
    expected = stats.ttest_rel([4.5, 5.6], [1.5, 2.5]).confidence_interval(1 - 0.05 / 2)
    assert (row["low"], row["high"]) == pytest.approx(tuple(expected))
    assert found["gap"].to_dict() == {"a": 3, "b": 2}


def test_intervals_of_levels_are_corrected_as_gaps_are() -> None:
    varied = TABLE.assign(best_val_loss=TABLE["best_val_loss"] + TABLE["seed"] * TABLE["a"] * 0.1)
    (gap,) = gaps(varied, AB, LOSS).query("parameter == 'a'").to_dict("records")
    found = level_effects(varied, AB, LOSS).query("parameter == 'a' and level == '1'")
    assert found[["low", "high"]].to_numpy()[0] == pytest.approx([gap["low"] / 2, gap["high"] / 2])


@given(st.lists(st.lists(st.integers(0, 20), min_size=3, max_size=3), min_size=2, max_size=5))
def test_levels_whose_intervals_lie_apart_differ(losses: list[list[int]]) -> None:
    table = runs("a", [(level, seed, float(loss)) for level, row in enumerate(losses) for seed, loss in enumerate(row)])
    found = level_effects(table, ["a"], LOSS).set_index("level")
    (gap,) = gaps(table, ["a"], LOSS).to_dict("records")
    if found["low"][gap["worst"]] > found["high"][gap["best"]] + 1e-9:
        assert gap["low"] > 0


def parameters_of(*points: dict[str, Any]) -> list[str]:
    records = [record(point, []) for point in points]
    rows = [
        {
            "status": "completed",
            "setting": str(place),
            "model": "mlp",
            "optimizer": each.choices["optimizer"],
            "learning_rate": each.config["optimizer"]["learning_rate"],
            "dropout": each.config["model"]["dropout"],
        }
        for place, each in enumerate(records)
    ]
    return swept_parameters(pd.DataFrame(rows), [], records)


def test_a_default_rate_that_comes_with_an_optimizer_is_no_parameter() -> None:
    assert parameters_of({"optimizer": "sgd"}, {"optimizer": "adam"}) == ["optimizer"]
    rates = [{"optimizer": name, "optimizer.learning_rate": rate} for name in ("sgd", "adam") for rate in (0.1, 0.2)]
    assert parameters_of(*rates) == ["optimizer", "learning_rate"]
    assert parameters_of({"model.dropout": 0}, {"model.dropout": 0}) == []
