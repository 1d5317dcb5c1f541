import itertools
import math
import shutil
from pathlib import Path

import pandas as pd
import pytest
from analysis_folders import curve, grid, record, run_folder, write_run, write_sweep
from hypothesis import given
from hypothesis import strategies as st

from fashion_sweep.analysis import summary
from fashion_sweep.analysis.columns import COUNTS
from fashion_sweep.analysis.load import collect
from fashion_sweep.analysis.replicates import over_seeds, replicates
from fashion_sweep.analysis.settings import label
from fashion_sweep.analysis.statistics import interval
from fashion_sweep.storage.record import Status
from fashion_sweep.storage.run_dir import RunDir


def found(folder: Path) -> pd.DataFrame:
    collected = collect([folder])
    return replicates(
        summary.summarize(collected.runs, collected.histories, collected.measure), collected.swept, collected.measure
    )


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
    assert frame[["optimizer", "batch_size", "seeds", "failed"]].to_numpy().tolist() == [
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
    (row,) = found(tmp_path).to_dict("records")
    assert {name: row[name] for name in COUNTS if row[name]} == {
        "seeds": 2,
        "failed": 1,
        "diverged": 1,
        "interrupted": 1,
    }


def test_a_setting_all_of_whose_runs_failed_is_listed_last(tmp_path: Path) -> None:
    points = grid(optimizer=["adam", "sgd"], seed=[0, 1])
    sweep = write_sweep(tmp_path, points)
    for point in points[:2]:
        write_run(run_folder(sweep, point).path, point, curve(), status=Status.FAILED)
    frame = found(tmp_path)
    assert frame[["optimizer", "seeds", "failed"]].to_numpy().tolist() == [["sgd", 2, 0], ["adam", 0, 2]]
    assert math.isnan(frame["best_val_loss_mean"][1])


def test_a_run_that_has_not_started_belongs_to_the_setting_of_its_overrides(tmp_path: Path) -> None:
    points = grid(optimizer=["adam", "sgd"], seed=[0, 1, 2])
    sweep = write_sweep(tmp_path, points)
    shutil.rmtree(run_folder(sweep, points[1]).path)
    assert found(tmp_path).set_index("optimizer")["pending"].to_dict() == {"adam": 1, "sgd": 0}


def test_settings_none_of_whose_runs_has_started_are_no_replicates(tmp_path: Path) -> None:
    points = grid(optimizer=["adam", "sgd"], seed=[0, 1])
    sweep = write_sweep(tmp_path, points)
    for point in points:
        shutil.rmtree(run_folder(sweep, point).path)
    assert found(tmp_path).empty


def test_settings_are_told_apart_by_their_configs_and_not_by_overrides(tmp_path: Path) -> None:
    """As where an override sets a whole group, or a default has changed between two commands."""
    for name, activation in (("a", "relu"), ("b", "tanh")):
        for seed in (0, 1):
            made = record({"seed": seed}, curve(seed=seed))
            made.config["model"]["activation"] = activation
            made.config["model"]["hidden_units"] = [100, 10]
            RunDir(tmp_path / f"{name}{seed}").path.mkdir()
            RunDir(tmp_path / f"{name}{seed}").write_record(made)
            RunDir(tmp_path / f"{name}{seed}").write_history(curve(seed=seed))
    frame = found(tmp_path)
    assert frame[["model.activation", "seeds"]].to_numpy().tolist() == [["relu", 2], ["tanh", 2]]
    assert "model.hidden_units" not in frame


@pytest.mark.parametrize("change", [{"code": "c" * 64}, {"data": {"fingerprint": "d" * 64}}])
def test_other_code_or_data_is_another_setting(tmp_path: Path, change: dict[str, object]) -> None:
    for seed in (0, 1):
        write_run(tmp_path / f"a{seed}", {"seed": seed}, curve(seed=seed))
        write_run(tmp_path / f"b{seed}", {"seed": seed}, curve(seed=seed), **change)
    frame = found(tmp_path)
    assert frame["seeds"].tolist() == [2, 2]
    column = "code" if "code" in change else "dataset"
    assert sorted(map(label, frame[column])) in (["cccccccc", "none"], ["dddddddd", "ffffffff"])


def test_what_interpolates_the_seed_is_no_setting(tmp_path: Path) -> None:
    for seed in (0, 1, 2):
        made = record({"seed": seed}, curve(seed=seed))
        made.config["data"]["split_seed"] = seed
        made.config["data"]["classes"] = 2  # as one of the seeds is
        run = RunDir(tmp_path / f"{seed}")
        run.path.mkdir()
        run.write_record(made)
        run.write_history(curve(seed=seed))
    assert found(tmp_path)["seeds"].tolist() == [3]


def test_equal_settings_of_two_sweeps_are_one_and_a_repeated_seed_counts_once(tmp_path: Path) -> None:
    for name, seeds in (("one", [0, 1]), ("two", [1, 2])):
        write_sweep(tmp_path / name, grid(seed=seeds))
    collected = collect([tmp_path / "one", tmp_path / "two"])
    frame = replicates(
        summary.summarize(collected.runs, collected.histories, collected.measure), collected.swept, collected.measure
    )
    assert frame[["seeds", "repeated"]].to_numpy().tolist() == [[3, 1]]


def test_the_same_seed_twice_is_not_a_replicate(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_run(tmp_path / name, {}, curve())
    assert found(tmp_path).empty
    write_run(tmp_path / "c", {"seed": 1}, curve(seed=1))
    assert found(tmp_path)[["seeds", "repeated"]].to_numpy().tolist() == [[2, 1]]


def test_settings_are_ranked_by_their_mean_and_not_by_their_number_of_seeds(tmp_path: Path) -> None:
    write_sweep(tmp_path, [*grid(optimizer=["sgd"], seed=[0, 1]), {"optimizer": "adam", "seed": 0}])
    assert found(tmp_path)[["optimizer", "seeds"]].to_numpy().tolist() == [["adam", 1], ["sgd", 2]]


def test_intervals_end_where_the_measure_does(tmp_path: Path) -> None:
    assert interval(pd.Series([0.5, 0.9]), (0.0, 1.0))[2:] == (0.0, 1.0)


def test_the_best_epoch_of_a_mean_curve_is_one_that_all_seeds_reached(tmp_path: Path) -> None:
    """Where early stopping ends seeds at different epochs, a mean over the survivors is that of others."""
    for seed, losses in enumerate([(0.5, 0.4), (0.7, 0.6, 0.1)]):
        rows = [row | {"val_loss": loss} for row, loss in zip(curve(epochs=3), losses, strict=False)]
        write_run(tmp_path / f"{seed}", {"seed": seed}, rows)
    collected = collect([tmp_path])
    table = summary.summarize(collected.runs, collected.histories, collected.measure)
    averaged, means = over_seeds(table, collected.histories, "val_loss", collected.measure)
    assert means[["epoch", "seeds"]].to_numpy().tolist() == [[1, 2], [2, 2], [3, 1]]
    assert averaged[["best_epoch", "runs"]].to_numpy().tolist() == [[2, 2]]
    assert averaged["best_val_loss"].tolist() == [pytest.approx(0.5)]


def test_a_seed_that_two_sweeps_trained_counts_once_in_a_mean_curve(tmp_path: Path) -> None:
    points = grid(seed=[0, 1])
    first, second = (write_sweep(tmp_path / name, points, epochs=2) for name in ("first", "second"))
    write_run(run_folder(first, points[0]).path, points[0], curve(epochs=1), status=Status.INTERRUPTED)
    collected = collect([first.path, second.path])
    table = summary.summarize(collected.runs, collected.histories, collected.measure)
    lines, means = over_seeds(table, collected.histories, "val_loss", collected.measure)
    assert lines["runs"].tolist() == [2]
    assert means[["epoch", "seeds"]].to_numpy().tolist() == [[1, 2], [2, 2]]  # the completed run of seed 0


@pytest.mark.parametrize("key", ["effect", "failed", "seeds", "setting", "status", "runs", "best_val_loss_mean"])
def test_a_key_with_the_name_of_a_column_does_not_break_the_frame(tmp_path: Path, key: str) -> None:
    for value, seed in itertools.product((1, 2), (0, 1)):
        made = record({"seed": seed}, curve(seed=seed))
        made.overrides = [f"+{key}={value}", f"seed={seed}"]
        made.config[key] = value
        run = RunDir(tmp_path / f"{value}{seed}")
        run.path.mkdir()
        run.write_record(made)
        run.write_history(curve(seed=seed))
    frame = found(tmp_path)
    assert frame["seeds"].tolist() == [2, 2]
    assert frame.columns.is_unique
