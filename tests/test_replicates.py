import math
from pathlib import Path

import pandas as pd
import pytest
from analysis_folders import curve, grid, run_folder, write_run, write_sweep
from hypothesis import given
from hypothesis import strategies as st

from fashion_sweep.analysis import summary
from fashion_sweep.analysis.load import collect
from fashion_sweep.analysis.replicates import replicates
from fashion_sweep.analysis.statistics import interval
from fashion_sweep.storage.record import Status


def found(folder: Path) -> pd.DataFrame:
    collected = collect([folder])
    return replicates(summary.summarize(collected.runs, collected.histories), collected.swept)


def test_the_interval_of_a_mean_is_students_t() -> None:
    mean, sd, low, high = interval(pd.Series([1.0, 2.0, 3.0, 4.0, 5.0]))
    assert (mean, round(sd, 6)) == (3.0, 1.581139)
    assert (round(low, 4), round(high, 4)) == (1.0368, 4.9632)  # 3 ± 2.77645 * 1.58114 / sqrt(5)


def test_one_value_has_no_interval() -> None:
    assert interval(pd.Series([2.0, math.nan, math.inf]))[0] == 2.0
    assert all(math.isnan(value) for value in interval(pd.Series([2.0]))[1:])
    assert all(math.isnan(value) for value in interval(pd.Series([math.nan])))


@given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=20), st.floats(-1e3, 1e3))
def test_an_interval_is_centred_on_its_mean_and_shifts_with_the_values(values: list[float], shift: float) -> None:
    mean, sd, low, high = interval(pd.Series(values))
    assert low <= mean <= high
    assert mean - low == pytest.approx(high - mean, abs=1e-9)
    moved = interval(pd.Series([value + shift for value in values]))
    assert moved == pytest.approx((mean + shift, sd, low + shift, high + shift), abs=1e-6)


def test_a_setting_is_everything_but_the_seed(tmp_path: Path) -> None:
    write_sweep(tmp_path, grid(optimizer=["sgd", "adam"], batch_size=[32, 64], seed=[0, 1, 2]))
    frame = found(tmp_path)
    assert frame[["optimizer", "batch_size", "seeds", "left_out"]].to_numpy().tolist() == [
        ["adam", 32, 3, 0],
        ["adam", 64, 3, 0],
        ["sgd", 32, 3, 0],
        ["sgd", 64, 3, 0],
    ]
    best = [min(row["val_loss"] for row in curve("adam", seed=seed)) for seed in range(3)]
    assert frame["best_val_loss_mean"][0] == pytest.approx(sum(best) / 3)


def test_without_replicates_the_frame_is_empty(tmp_path: Path) -> None:
    write_sweep(tmp_path / "grid", grid(optimizer=["sgd", "adam"]))
    write_sweep(tmp_path / "empty", [])
    assert found(tmp_path / "grid").empty
    assert found(tmp_path / "empty").empty


def test_runs_that_did_not_complete_are_counted_and_left_out(tmp_path: Path) -> None:
    points = grid(seed=range(5))
    sweep = write_sweep(tmp_path, points)
    for point, status in zip(points, (Status.FAILED, Status.DIVERGED, Status.INTERRUPTED), strict=False):
        write_run(run_folder(sweep, point).path, point, curve(), status=status)
    assert found(tmp_path)[["seeds", "left_out"]].to_numpy().tolist() == [[2, 3]]


def test_the_same_seed_twice_is_not_a_replicate(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_run(tmp_path / name, {}, curve())
    assert found(tmp_path).empty
    write_run(tmp_path / "c", {"seed": 1}, curve(seed=1))
    assert found(tmp_path)[["seeds", "left_out"]].to_numpy().tolist() == [[2, 1]]


def test_a_lucky_single_seed_comes_after_those_with_more(tmp_path: Path) -> None:
    write_sweep(tmp_path, [*grid(optimizer=["sgd"], seed=[0, 1]), {"optimizer": "adam", "seed": 0}])
    assert found(tmp_path)[["optimizer", "seeds"]].to_numpy().tolist() == [["sgd", 2], ["adam", 1]]
