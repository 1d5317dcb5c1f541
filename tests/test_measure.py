"""What runs are ranked by: the metric, at the best epoch, the last, or over the last few."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from analysis_folders import curve, grid, run_folder, write_run, write_sweep
from hypothesis import given, settings
from hypothesis import strategies as st
from sweeping import IN_S, QUICK, TINY, complaint, records, run, script

from fashion_sweep import task
from fashion_sweep.analysis import summary
from fashion_sweep.analysis.load import Collected, collect
from fashion_sweep.analysis.measure import Measure, Place
from fashion_sweep.analysis.replicates import replicates
from fashion_sweep.reporting.table import among_the_best
from fashion_sweep.reporting.verdict import verdict
from fashion_sweep.storage.record import OBJECTIVES, Objective, RunRecord, Status, best_row

LOSSES = {"sgd": (0.5, 0.2, 0.36), "adam": (0.3, 0.3, 0.3)}
ACCURACIES = {"sgd": (0.6, 0.7, 0.9), "adam": (0.8, 0.8, 0.8)}


def two_settings(folder: Path) -> None:
    """Three seeds each; the seed is added to the losses and subtracted from the accuracies, in hundredths."""
    points = grid(optimizer=["sgd", "adam"], seed=[0, 1, 2])
    sweep = write_sweep(folder, points)
    for point in points:
        name, shift = point["optimizer"], point["seed"] / 100
        rows = [
            row | {"val_loss": loss + shift, "val_accuracy": accuracy - shift}
            for row, loss, accuracy in zip(curve(epochs=3), LOSSES[name], ACCURACIES[name], strict=True)
        ]
        write_run(run_folder(sweep, point).path, point, rows)


def judged(folder: Path, metric: Objective | None, at: Place | int) -> tuple[pd.DataFrame, pd.DataFrame, Collected]:
    collected = collect([folder], metric, at)
    table = summary.summarize(collected.runs, collected.histories, collected.measure)
    return table, replicates(table, collected.swept, collected.measure), collected


@pytest.mark.parametrize(
    ("metric", "at", "first", "means"),
    [
        ("val_loss", "best", "sgd", (0.21, 0.69)),
        ("val_loss", "last", "adam", (0.31, 0.79)),
        ("val_loss", 2, "sgd", (0.29, 0.79)),
        ("val_accuracy", "best", "sgd", (0.37, 0.89)),
        ("val_accuracy", "last", "sgd", (0.37, 0.89)),
        ("val_accuracy", 3, "adam", (0.31, 0.79)),
        ("val_accuracy", 99, "adam", (0.31, 0.79)),
    ],
)
def test_settings_are_ranked_by_the_measure(
    tmp_path: Path, metric: Objective, at: Place | int, first: str, means: tuple[float, float]
) -> None:
    two_settings(tmp_path)
    table, settings, collected = judged(tmp_path, metric, at)
    measure = collected.measure
    (best, _) = settings.to_dict("records")
    assert best["optimizer"] == first
    assert [best[f"{name}_mean"] for name in measure.columns] == pytest.approx(means)
    assert summary.best_run(table) == table["run"][int(table[measure.column].mul(measure.sign).argmin())]
    said = verdict(table, settings, collected.swept, measure)
    noun = "loss" if metric == "val_loss" else "accuracy"
    rank = "Lowest" if metric == "val_loss" else "Highest"
    assert said.startswith(f"{rank} mean validation {noun}{measure.when}: {first}: {means[noun == 'accuracy']:.4f} (")
    assert ("chose the setting," in said) == (at != "best")


def test_what_cannot_be_told_from_the_best_is_marked_like_it(tmp_path: Path) -> None:
    points = grid(optimizer=["adam", "rmsprop", "sgd"], seed=[0, 1, 2])
    sweep = write_sweep(tmp_path, points)
    for point in points:
        seed, name = point["seed"], point["optimizer"]
        loss = {"adam": 0.3 + seed / 100, "rmsprop": 0.301 + seed / 90, "sgd": 0.9 + seed / 100}[name]
        write_run(run_folder(sweep, point).path, point, [row | {"val_loss": loss} for row in curve(epochs=1)])
    _, settings, collected = judged(tmp_path, "val_loss", "best")
    assert settings["optimizer"].tolist() == ["adam", "rmsprop", "sgd"]
    assert among_the_best(settings, collected.measure) == [True, True, False]


def test_a_higher_accuracy_is_better_in_comparisons(tmp_path: Path) -> None:
    two_settings(tmp_path)
    table, settings, collected = judged(tmp_path, "val_accuracy", "best")
    assert settings["difference"][1] == pytest.approx(-0.1)  # adam's 0.79 minus sgd's 0.89
    assert settings["effect"][1] < 0
    assert settings["p_value"][1] < 0.001
    assert "It is better than the other setting" in verdict(table, settings, collected.swept, collected.measure)
    assert table["best_epoch"].tolist() == [3] * 3 + [1] * 3


@settings(deadline=None)
@given(st.lists(st.tuples(st.floats(0, 9), st.floats(0, 1)), min_size=1, max_size=8), st.integers(2, 9))
def test_a_run_is_measured_as_numpy_would(tmp_path_factory: pytest.TempPathFactory, rows, epochs: int) -> None:  # type: ignore[no-untyped-def]
    folder = tmp_path_factory.mktemp("run")
    write_run(
        folder / "r",
        {},
        [
            {"epoch": number, "loss": 1.0, "accuracy": 0.5, "val_loss": loss, "val_accuracy": accuracy}
            for number, (loss, accuracy) in enumerate(rows, 1)
        ],
    )
    losses, accuracies = np.array(rows).T
    for metric in OBJECTIVES:
        best = int(losses.argmin() if metric == "val_loss" else accuracies.argmax())
        expected: dict[Any, tuple[float, float]] = {"best": (losses[best], accuracies[best]), "last": rows[-1],
                    epochs: (losses[-epochs:].mean(), accuracies[-epochs:].mean())}  # fmt: skip
        for at, values in expected.items():
            (row,) = judged(folder, metric, at)[0].to_dict("records")
            assert [row[name] for name in Measure(metric, at).columns] == pytest.approx(list(values))
            assert row["best_epoch"] == best + 1


def test_an_average_over_an_epoch_that_is_not_finite_does_not_count(tmp_path: Path) -> None:
    rows = [row | {"val_loss": loss} for row, loss in zip(curve(epochs=3), (0.1, math.nan, 0.3), strict=True)]
    write_run(tmp_path / "r", {}, rows)
    (row,) = judged(tmp_path, "val_loss", 2)[0].to_dict("records")
    assert math.isnan(row["mean_val_loss"])
    assert judged(tmp_path, "val_loss", 1)[0]["score"].notna().all()


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_the_record_has_the_best_epoch_of_the_objective(objective: Objective) -> None:
    values = [(1, 0.2, 0.7), (2, 0.3, 0.9), (3, math.nan, 0.9), (4, 0.2, math.nan)]
    rows = [{"epoch": epoch, "val_loss": loss, "val_accuracy": accuracy} for epoch, loss, accuracy in values]
    best = best_row(rows, objective)
    assert best is not None
    assert best["epoch"] == {"val_loss": 1, "val_accuracy": 2}[objective]
    assert best_row([{objective: math.nan}], objective) is None


@pytest.mark.slow
def test_one_objective_is_meant_by_everything(tmp_path: Path) -> None:
    """Checkpoint, record, progress line, report and its option; other runs than those of another objective."""
    arguments = ["-m", "seed=0,1", *TINY, "epochs=6", "optimizer.learning_rate=0.05", IN_S]
    done = run(tmp_path, *arguments, "objective=val_accuracy")
    assert done.returncode == 0, done.stderr
    for record in records(tmp_path / "s").values():
        rows = pd.read_csv(tmp_path / "s" / record.run / "history.csv")
        assert record.best is not None
        assert record.best["epoch"] == rows["epoch"][int(rows["val_accuracy"].argmax())]
        assert f"{record.run} completed: best val_accuracy {record.best['val_accuracy']:.4f}, val_loss" in done.stdout
        measured = script(tmp_path, "evaluate", f"s/{record.run}")
        assert f"recorded  identical in epoch {record.best['epoch']:g} of 6" in measured.stdout
    assert "Mean validation accuracy: " in done.stdout
    again = run(tmp_path, *arguments, "objective=val_loss", "plan=true")
    assert "2 to train" in again.stdout.replace("\n", " "), again.stdout
    by_loss = script(tmp_path, "report", "s", "--measure", "val_loss", "--at", "last")
    assert "Mean validation loss in the last epoch: " in by_loss.stdout


def test_plots_say_which_epoch_is_marked(tmp_path: Path) -> None:
    done = run(tmp_path, "-m", "seed=0,1", *QUICK, "objective=val_accuracy", IN_S)
    assert done.returncode == 0, done.stderr
    said = (tmp_path / "s" / "report" / "index.html").read_text("utf-8")
    assert "The dot marks each line's epoch of highest validation accuracy." in said.replace("&#39;", "'")


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_sweepers_that_search_get_the_objective(objective: Objective) -> None:
    best: dict[str, float | None] = {"val_loss": 0.25, "val_accuracy": 0.75}
    record = RunRecord("r", "1", Status.COMPLETED, config={"objective": objective}, best=best)
    assert task._value(record) == best[objective]


@pytest.mark.parametrize("at", ["0", "-1", "worst", "1.5", "²"])
def test_epochs_that_are_none_are_refused(tmp_path: Path, at: str) -> None:
    write_run(tmp_path / "r", {}, curve())
    done = script(tmp_path, "report", "r", "--at", at)
    assert done.returncode == 2
    assert "expected best, last or a number of epochs, at least 1" in done.stderr


def test_an_objective_that_there_is_not_is_refused(tmp_path: Path) -> None:
    assert "objective" in complaint(run(tmp_path, "objective=f1", "plan=true"))
