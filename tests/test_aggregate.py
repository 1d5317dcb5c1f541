import math
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import pytest
from analysis_folders import Row, grid, write_run, write_sweep
from hypothesis import given
from hypothesis import strategies as st

from fashion_sweep.analysis import summary
from fashion_sweep.analysis.load import collect
from fashion_sweep.analysis.settings import levels
from fashion_sweep.reporting import labels
from fashion_sweep.storage.record import Status

NAN, INF = math.nan, math.inf


def rows(*val_losses: float) -> list[Row]:
    names = ("epoch", "loss", "accuracy", "val_loss", "val_accuracy")
    return [
        dict(zip(names, (epoch, 0.5, 0.75, loss, epoch / 10), strict=True)) for epoch, loss in enumerate(val_losses, 1)
    ]


def summarized(folder: Path) -> pd.DataFrame:
    collected = collect([folder])
    return summary.summarize(collected.runs, collected.histories, collected.measure)


def table(*runs: tuple[str, float]) -> pd.DataFrame:
    """A table of runs given as (status, score)."""
    rows = [{"run": f"run{i}", "status": status, "score": score} for i, (status, score) in enumerate(runs)]
    return pd.DataFrame(rows).astype({"score": "float64"})


def test_the_best_epoch_has_the_lowest_finite_validation_loss(tmp_path: Path) -> None:
    write_run(tmp_path / "run", {}, rows(0.9, NAN, 0.4, 0.4, -INF, 0.6))
    row = summarized(tmp_path).iloc[0]
    assert (row["best_epoch"], row["best_val_loss"], row["best_val_accuracy"]) == (3, 0.4, 0.3)
    assert (row["last_loss"], row["last_accuracy"], row["last_val_loss"], row["last_val_accuracy"]) == (
        0.5,
        0.75,
        0.6,
        0.6,
    )


def test_metrics_come_from_the_history_or_else_from_the_record(tmp_path: Path) -> None:
    stale = {"epoch": 1, "loss": 9.0, "accuracy": 0.1, "val_loss": 9.0, "val_accuracy": 0.1}
    write_run(tmp_path / "a", {}, rows(0.9, 0.5), best=stale, last=stale)
    write_run(tmp_path / "b", {}, [], best=stale, last=stale)
    write_run(tmp_path / "c", {}, rows(NAN), status=Status.DIVERGED, best=stale, last=stale)
    write_run(tmp_path / "d", {}, [])
    found = summarized(tmp_path)
    assert found["best_val_loss"].tolist()[:2] == [0.5, 9.0]
    assert found["last_val_loss"].tolist()[:2] == [0.5, 9.0]
    assert found[["best_val_loss", "last_val_loss"]].iloc[2:].isna().all(axis=None)
    assert found["best_epoch"].tolist() == [2, 1, pd.NA, pd.NA]


def test_the_summary_keeps_columns_types_and_order(tmp_path: Path) -> None:
    write_sweep(tmp_path, grid(optimizer=["sgd", "adam"], batch_size=[32, 64]))
    collected = collect([tmp_path])
    found = summary.summarize(collected.runs, collected.histories, collected.measure)
    assert found.columns.tolist() == [*collected.runs.columns, "at_chance", "score"]
    assert found.dtypes.tolist()[:-2] == collected.runs.dtypes.tolist()
    assert found["run"].tolist() == collected.runs["run"].tolist()


def test_ranked_runs_come_first_and_are_sorted_by_loss() -> None:
    found = summary.ranked(
        table(
            ("pending", NAN),
            ("failed", 0.1),
            ("completed", 0.5),
            ("diverged", 0.2),
            ("running", 0.4),
            ("interrupted", 0.6),
            ("running", NAN),
            ("completed", INF),
        )
    )
    assert found["run"].tolist() == ["run4", "run2", "run5", "run7", "run6", "run3", "run1", "run0"]


def test_a_diverged_run_is_never_the_best() -> None:
    assert summary.best_run(table(("diverged", 0.1), ("failed", 0.2), ("pending", NAN))) is None
    assert summary.best_run(table(("diverged", 0.1), ("completed", 9.0))) == "run1"


RUNS = st.lists(st.tuples(st.sampled_from([s.value for s in Status]), st.floats()), min_size=1, max_size=12)


@given(RUNS)
def test_ranking_loses_no_run_and_starts_with_the_lowest(runs: list[tuple[str, float]]) -> None:
    before = table(*runs)
    after = summary.ranked(before)
    assert sorted(after["run"]) == sorted(before["run"])
    ranked = [v for s, v in runs if s in ("completed", "running", "interrupted") and math.isfinite(v)]
    assert after["score"].tolist()[: len(ranked)] == sorted(ranked)
    completed = [v for s, v in runs if s == "completed" and math.isfinite(v)]
    assert (summary.best_run(before) is None) == (not completed)


def test_statuses_are_counted_in_their_order() -> None:
    counts = summary.status_counts(table(("failed", NAN), ("completed", 1), ("pending", NAN), ("completed", 1)))
    assert list(counts.items()) == [("pending", 1), ("completed", 2), ("failed", 1)]


def test_levels_are_sorted_numbers_then_none() -> None:
    assert levels(pd.Series([0.3, None, 0, 0.05], dtype=object)) == ["0", "0.05", "0.3", "none"]
    assert levels(pd.Series(["sgd", None, "adam", "sgd"], dtype=object)) == ["sgd", "adam", "none"]
    assert levels(pd.Series([10, "Decay(x=1)", 2], dtype=object)) == ["10", "Decay(x=1)", "2"]


def factors(folder: Path, points: list[dict[str, Any]]) -> list[str]:
    write_sweep(folder, points)
    collected = collect([folder])
    return labels.panel_factors(collected.runs, collected.swept)


def test_default_rates_that_differ_by_optimizer_make_no_panels(tmp_path: Path) -> None:
    assert factors(tmp_path, grid(optimizer=["sgd", "adam"], model__dropout=[0, 0.3], seed=[0, 1])) == []


def test_swept_rates_and_everything_else_swept_make_panels(tmp_path: Path) -> None:
    points = grid(optimizer=["sgd", "adam"], optimizer__learning_rate=[0.1, 0.01], batch_size=[32, 64])
    assert factors(tmp_path, points) == ["learning_rate", "batch_size"]


def test_a_run_that_has_not_started_makes_no_panel(tmp_path: Path) -> None:
    sweep = write_sweep(tmp_path, grid(optimizer=["sgd", "adam"]))
    sweep.path.joinpath(collect([tmp_path]).runs["run"][1], "run.json").unlink()
    collected = collect([tmp_path])
    assert labels.panel_factors(collected.runs, collected.swept) == []
    assert labels.constant_factors(collected.runs)["model"] == "mlp"


def test_a_label_says_what_sets_a_run_apart(tmp_path: Path) -> None:
    write_sweep(
        tmp_path / "a", grid(optimizer=["sgd", "adam"], model__dropout=[0.3], model__hidden_units=[[100], [50]])
    )
    collected = collect([tmp_path / "a"])
    assert list(labels.run_labels(collected.runs, collected.swept).values()) == [
        "sgd, hidden units [100]",
        "sgd, hidden units [50]",
        "adam, hidden units [100]",
        "adam, hidden units [50]",
    ]
    write_run(tmp_path / "b", {}, [])
    alone = collect([tmp_path / "b"])
    assert labels.run_labels(alone.runs, alone.swept) == {"b": "b"}


def curves(**runs: list[float]) -> pd.DataFrame:
    return pd.DataFrame([{"run": run, "value": value} for run, values in runs.items() for value in values])


@pytest.mark.parametrize(
    ("runs", "expected"),
    [
        ({"a": [0.9, 0.5, 0.4], "b": [1.2, 0.8, 0.6]}, (0.4, 1.2)),  # an ordinary sweep is shown whole
        ({"a": [0.9, 0.5, 0.4], "b": [1.2, 0.8, 0.6], "c": [2000.0, 3000.0]}, (0.4, 1.2)),
        ({"a": [0.5, 0.4], "b": [50.0, 60.0]}, (0.4, 0.5)),
        ({"a": [7.0]}, (7.0, 7.0)),
    ],
)
def test_outlying_losses_do_not_stretch_the_axis(runs: dict[str, list[float]], expected: tuple[float, float]) -> None:
    assert labels.inner_range(curves(**runs), "high") == expected


def test_outlying_accuracies_do_not_stretch_the_axis() -> None:
    assert labels.inner_range(curves(a=[0.8, 0.87, 0.88], b=[0.7, 0.85, 0.86], c=[0.1, 0.1]), "low") == (0.7, 0.88)


@given(
    st.dictionaries(st.sampled_from("abcd"), st.lists(st.floats(0, 1e6), min_size=1, max_size=5), min_size=1),
    st.sampled_from(["low", "high"]),
)
def test_an_axis_always_reaches_the_best_value(runs: dict[str, list[float]], bad_end: Literal["low", "high"]) -> None:
    low, high = labels.inner_range(curves(**runs), bad_end)
    values = [value for run in runs.values() for value in run]
    assert low <= high
    assert (low == min(values)) if bad_end == "high" else (high == max(values))
    assert {low, high} <= set(values)
