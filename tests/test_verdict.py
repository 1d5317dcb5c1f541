"""Which settings the verdict tells apart: hand-computed tests, and how often it claims what is not so."""

import itertools
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from analysis_folders import curve, grid, run_folder, write_run, write_sweep

from fashion_sweep.analysis import summary
from fashion_sweep.analysis.chance import guessed_accuracy
from fashion_sweep.analysis.load import Collected, collect
from fashion_sweep.analysis.replicates import replicates
from fashion_sweep.analysis.verdict import comparisons, optimism, pairs, seeds_needed
from fashion_sweep.reporting.verdict import verdict
from fashion_sweep.storage.record import Status

NAN = math.nan
LOSSES = {"adam": (0.30, 0.31, 0.32, 0.33), "rmsprop": (0.31, 0.30, 0.33, 0.34), "sgd": (0.5, 0.51, 0.52, 0.54)}


def compared(*rows: tuple[float, ...]) -> pd.DataFrame:
    return comparisons(pd.DataFrame(list(rows)))


def test_differences_are_paired_by_seed_and_corrected_for_all_pairs() -> None:
    """With 2 degrees of freedom, p = 1 - t / sqrt(t^2 + 2); t = mean / (sd / sqrt(3))."""
    best = (1.0, 2.0, 4.0)
    frame = compared(best, (1.1, 2.2, 4.3), (2.0, 3.1, 5.2))
    assert frame["difference"].tolist() == pytest.approx([0, 0.2, 1.1])
    assert frame["effect"].tolist()[1:] == pytest.approx([2, 11])
    t = 2 * math.sqrt(3), 11 * math.sqrt(3)
    one, two = (1 - each / math.sqrt(each**2 + 2) for each in t)
    assert (round(one, 5), round(two, 6)) == (0.07418, 0.002743)
    assert math.isnan(frame["p_value"][0])
    assert frame["p_value"].tolist()[1:] == pytest.approx([2 * one, 3 * two])  # of three pairs, the smallest first


def test_only_shared_seeds_are_paired() -> None:
    frame = compared((1.0, 2.0, 4.0, 9.0, NAN), (1.1, 2.2, 4.3, NAN, 7.0))
    assert frame["p_value"][1] == pytest.approx(1 - math.sqrt(12 / 14))


def test_without_shared_seeds_it_is_welchs_test() -> None:
    """Means 2 and 5, variances 1 and 4, three seeds each: t = 3 / sqrt(5 / 3) with 25 / 17 * 2 degrees of freedom."""
    frame = compared((1.0, 2.0, 3.0, NAN, NAN, NAN), (NAN, NAN, NAN, 3.0, 5.0, 7.0))
    assert frame["p_value"][1] == pytest.approx(0.1045, abs=5e-5)
    assert frame["effect"][1] == pytest.approx(3 / math.sqrt(5))


def test_one_seed_is_not_tested() -> None:
    assert compared((1.0, NAN), (2.0, 3.0))["p_value"].isna().all()
    assert compared((1.0, 2.0), (3.0, NAN), (4.0, 4.5))["p_value"].isna().tolist() == [True, True, False]


def test_where_the_seed_changes_nothing_a_difference_is_certain() -> None:
    assert compared((1.0, 1.0), (1.0, 1.0), (2.0, 2.0))["p_value"].tolist()[1:] == [1, 0]


def test_no_settings_have_no_comparisons() -> None:
    assert comparisons(pd.DataFrame([], columns=[0, 1])).empty


def test_pairs_are_those_with_two_seeds() -> None:
    assert [pairs(pd.Series(seeds)) for seeds in ([5, 5, 5], [5, 1, 2, 0], [1, 1], [])] == [3, 1, 1, 1]


@pytest.mark.parametrize(("effect", "seeds"), [(1.0, 10), (0.5, 34), (0.8, 15), (-1.0, 10), (0.01, None)])
def test_seeds_needed_are_those_of_tables_of_power(effect: float, seeds: int | None) -> None:
    assert seeds_needed(effect, 1) == seeds


def test_more_pairs_need_more_seeds() -> None:
    assert 10 < (seeds_needed(1.0, 15) or 0) < (seeds_needed(1.0, 1770) or 0)


@pytest.mark.parametrize("count", [2, 6, 18, 60])
@pytest.mark.parametrize("spread", [1.0, 5.0])
def test_differences_that_do_not_exist_are_rarely_claimed(count: int, spread: float) -> None:
    """In at most 5% of sweeps, also where one setting varies five times as much as another."""
    chance = np.random.default_rng(count)
    claims = 0
    for _ in range(400):
        values = chance.normal(size=(count, 5)) * np.linspace(1, spread, count)[:, None] + chance.normal(size=5)
        found = comparisons(pd.DataFrame(values[np.argsort(values.mean(axis=1))]))
        claims += bool(found["p_value"].min() < 0.05)
    assert claims <= 0.05 * 400 + 3 * math.sqrt(400 * 0.05 * 0.95)


def test_each_seed_judges_what_the_others_choose() -> None:
    """Without the first seed the second setting is chosen, without the others the first one."""
    scores = pd.DataFrame([(1.0, 5.0, 6.0), (9.0, 2.0, 3.0)])
    assert optimism(scores) == pytest.approx(((9 - 2.5) + (5 - 3.5) + (6 - 3)) / 3)


def test_a_seed_that_leaves_no_choice_judges_nothing() -> None:
    scores = pd.DataFrame([(1.0, 3.0, NAN), (2.0, 5.0, 9.0), (0.0, NAN, NAN)])
    assert optimism(scores) == pytest.approx(((1 - 3) + (3 - 1)) / 2)
    assert math.isnan(optimism(pd.DataFrame([(1.0, 2.0)])))
    assert math.isnan(optimism(pd.DataFrame([(1.0, NAN), (NAN, 2.0)])))


def test_the_verdict_says_by_how_much_the_choice_flatters(tmp_path: Path) -> None:
    text = said(tmp_path, {"adam": (0.1, 0.5, 0.6), "sgd": (0.9, 0.2, 0.3)})
    assert text.endswith("choosing among 2 settings alone flatters the mean by about 0.37 (leaving out each seed).")


def test_the_optimism_of_equal_settings_is_about_right() -> None:
    """The lowest of six standard normal means of five seeds is expected at -1.267 / sqrt(5)."""
    chance = np.random.default_rng(0)
    found = [optimism(pd.DataFrame(chance.normal(size=(6, 5)))) for _ in range(400)]
    assert np.mean(found) == pytest.approx(1.267 / math.sqrt(4), abs=0.08)  # four of five seeds choose


def verdict_of(collected: Collected) -> str:
    table = summary.summarize(collected.runs, collected.histories, collected.measure)
    return verdict(table, replicates(table, collected.swept, collected.measure), collected.swept, collected.measure)


def said(folder: Path, losses: Mapping[str, Sequence[float]], **changes: Status) -> str:
    """The verdict on a sweep whose runs have these losses in their one epoch; changes: statuses of last runs."""
    points = [{"optimizer": name, "seed": seed} for name, each in losses.items() for seed in range(len(each))]
    sweep = write_sweep(folder, points, epochs=1)
    for point, loss in zip(points, itertools.chain(*losses.values()), strict=True):
        rows = [curve(epochs=1)[0] | {"val_loss": loss, "val_accuracy": 1 - loss}]
        is_last = point["seed"] == len(losses[str(point["optimizer"])]) - 1
        status = changes.get(str(point["optimizer"]), Status.COMPLETED) if is_last else Status.COMPLETED
        write_run(run_folder(sweep, point).path, point, rows, status=status)
    collected = collect([folder])
    return verdict_of(collected)


def test_the_verdict_names_what_cannot_be_told_from_the_best(tmp_path: Path) -> None:
    assert said(tmp_path, LOSSES) == (
        "Lowest mean validation loss: adam: 0.3150 (4 seeds, 95% interval 0.2945 to 0.3355), "
        "accuracy 0.6850. It cannot be told from rmsprop (t-tests paired by seed, Holm-corrected for 3 pairs). "
        "1 other setting is worse. About 45 seeds each would separate it from rmsprop with 80% power, if they differ "
        "as much as they seem to. The validation images chose epoch and setting, so expect somewhat worse figures on "
        "new images."
    )


def test_the_verdict_says_where_the_best_is_better_than_all(tmp_path: Path) -> None:
    text = said(tmp_path, {name: LOSSES[name] for name in ("adam", "sgd")})
    assert "It is better than the other setting (t-tests paired by seed, p < 0.001)." in text


def test_settings_are_ranked_by_their_mean_and_not_by_their_number_of_seeds(tmp_path: Path) -> None:
    text = said(tmp_path, {"adam": (0.3, 0.31), "sgd": (0.25,)})
    assert text.startswith("Lowest mean validation loss: sgd: 0.2500 (1 seed), accuracy 0.7500. ")
    assert "It has one seed, so nothing says that it is better than the others." in text


def test_few_seeds_and_failed_runs_are_named(tmp_path: Path) -> None:
    text = said(tmp_path, LOSSES, adam=Status.DIVERGED)
    assert "An interval from 3 seeds is weak evidence." in text
    assert "1 of its 4 runs failed or diverged." in text


def test_one_run_each_is_no_claim(tmp_path: Path) -> None:
    text = said(tmp_path, {"adam": (0.3,), "sgd": (0.25,)})
    assert text == (
        "Lowest validation loss: sgd: 0.2500, accuracy 0.7500 in epoch 1. "
        "One run each does not say which setting is best; several seeds would, as with seed=0,1,2,3,4."
    )


def test_an_interrupted_run_is_never_the_best(tmp_path: Path) -> None:
    assert said(tmp_path, {"adam": (0.3,), "sgd": (0.25,)}, sgd=Status.INTERRUPTED).startswith(
        "Lowest validation loss: adam"
    )
    assert said(tmp_path / "none", {"sgd": (0.25,)}, sgd=Status.INTERRUPTED) == ""


def test_what_is_no_better_than_guessing_is_said(tmp_path: Path) -> None:
    """One of ten classes of 1,200 images each: up to 0.1 + 2 * sqrt(0.1 * 0.9 / 12000) = 0.1055."""
    text = "That is no better than always naming the most frequent class."
    assert text in said(tmp_path / "runs", {"adam": (0.8946,)})
    assert text not in said(tmp_path / "better", {"adam": (0.8944,)})
    assert text in said(tmp_path / "seeds", {"adam": (0.9, 0.91)})
    assert "1 of the 2 seeds end no better than guessing." in said(tmp_path / "some", {"adam": (0.9, 0.8)})


@pytest.mark.parametrize(
    ("counts", "expected"),
    [([50, 50], 0.6), ([90, 10], 0.96), ([7], 1.0), ([0, 0], None), ([], None), (None, None), ([1.5], None),
     ([True], None), ([-1, 3], None), ("12", None)],
)  # fmt: skip
def test_guessing_reaches_the_most_frequent_class_and_two_standard_errors(
    counts: object, expected: float | None
) -> None:
    assert guessed_accuracy({"validation_classes": counts}) == (expected and pytest.approx(expected))


def test_where_accuracy_disagrees_the_verdict_says_so(tmp_path: Path) -> None:
    points = grid(optimizer=["sgd", "adam"], seed=[0, 1])
    sweep = write_sweep(tmp_path, points, epochs=1)
    for point in points:
        is_best = point["optimizer"] == "adam"
        row = {"val_loss": 0.3 if is_best else 0.4, "val_accuracy": 0.8 if is_best else 0.9}
        write_run(run_folder(sweep, point).path, point, [curve(epochs=1)[0] | row])
    collected = collect([tmp_path])
    text = verdict_of(collected)
    assert "By mean accuracy sgd is ahead, 0.9000." in text
