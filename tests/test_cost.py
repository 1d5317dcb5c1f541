"""What a report says about the cost of a sweep: each figure against one worked out by hand."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from analysis_folders import config, curve, grid, record, run_folder, write_run, write_sweep
from hypothesis import given
from hypothesis import strategies as st

from fashion_sweep.analysis import cost
from fashion_sweep.analysis.load import collect
from fashion_sweep.analysis.measure import Measure
from fashion_sweep.analysis.summary import summarize
from fashion_sweep.reporting import cost as said_of_cost
from fashion_sweep.reporting.report import write_report
from fashion_sweep.reporting.section import Section
from fashion_sweep.storage.record import RunRecord, Status

RECORDED = Path(__file__).parent / "recorded"
MINUTE = "2025-01-02T03:{:02}:00.000+00:00"


def at(started: int, ended: int | None, status: Status = Status.COMPLETED) -> RunRecord:
    """A run that started and ended at these minutes of an hour."""
    end = None if ended is None else MINUTE.format(ended)
    return record({}, curve(), started=MINUTE.format(started), ended=end, status=status)


def test_time_in_which_several_runs_are_running_counts_once() -> None:
    found = cost.clock([at(30, 40), at(0, 10), at(2, 5), at(8, 16)])  # 0 to 16, and 30 to 40
    assert found == cost.Clock(runs=4, covered_s=26 * 60, summed_s=31 * 60, whole_s=40 * 60)


def test_ends_that_were_noticed_later_and_damaged_times_are_left_out() -> None:
    unknown = record({}, curve(), started="yesterday", ended=MINUTE.format(9))
    runs = [at(0, 10), at(0, 59, Status.FAILED), at(0, 59, Status.INTERRUPTED), at(5, None), at(9, 8), unknown]
    assert cost.clock(runs) == cost.Clock(1, 600, 600, 600)
    assert cost.clock(runs[1:]) is None


def lanes(*runs: tuple[list[float], dict[str, Any]]) -> cost.LaneTime:
    """Of runs with these seconds of epochs, and changes of their records."""
    records = {
        str(place): record({}, curve(epochs=len(seconds)), config=config({"epochs": len(seconds)}), **changes)
        if "config" not in changes
        else record({}, curve(epochs=len(seconds)), **changes)
        for place, (seconds, changes) in enumerate(runs)
    }
    rows = [{"run": str(place), "seconds": each} for place, (seconds, _) in enumerate(runs) for each in seconds]
    return cost.lane_time(records, pd.DataFrame(rows, columns=["run", "seconds"]))


def test_a_pack_counts_once() -> None:
    alone: tuple[list[float], dict[str, Any]] = ([4.0, 3.0], {})
    pack: tuple[list[float], dict[str, Any]] = ([10.0, 6.0], {"pack": 4})
    assert lanes(alone, *[pack] * 4) == cost.LaneTime(5, 7.0 + 16.0, is_least=False, left_out=0)


def test_where_a_run_leaves_its_pack_the_rest_is_the_least() -> None:
    whole: tuple[list[float], dict[str, Any]] = ([10.0, 6.0], {"pack": 2})
    early: tuple[list[float], dict[str, Any]] = ([10.0], {"pack": 2, "config": config({"epochs": 2})})
    assert lanes(whole, early) == cost.LaneTime(2, 13.0, is_least=True, left_out=0)  # and not 16


def test_times_that_records_do_not_have_are_left_out() -> None:
    again: tuple[list[float], dict[str, Any]] = ([5.0, 5.0], {"attempt": 2})
    partial: tuple[list[float], dict[str, Any]] = ([5.0, 5.0], {"epochs_run": 3})
    untimed: tuple[list[float], dict[str, Any]] = ([5.0, np.nan], {})
    pending: tuple[list[float], dict[str, Any]] = ([], {"status": Status.PENDING})
    stillborn: tuple[list[float], dict[str, Any]] = ([], {"status": Status.FAILED})
    found = lanes(([5.0, 4.0], {}), again, partial, untimed, pending, stillborn)
    assert found == cost.LaneTime(1, 9.0, is_least=False, left_out=3)


def test_a_classifier_has_the_time_of_its_run() -> None:
    without = {key: value for key, value in config({}).items() if key != "epochs"}
    assert lanes(([], {"config": without, "seconds": 8.5})) == cost.LaneTime(1, 8.5, is_least=False, left_out=0)


def table_of(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """A row of the table of runs for each, with what these leave out."""
    common = {"model": "mlp", "optimizer": "adam", "learning_rate": 0.001, "dropout": 0.0, "seed": 0}
    common |= {"status": "completed", "parameters": 100, "epochs_run": 2}
    frame = pd.DataFrame([common | {"run": f"run{place}"} | row for place, row in enumerate(rows)])
    return frame.assign(score=frame["best_val_loss"])


def test_failures_are_of_the_runs_that_ended() -> None:
    states = ["completed", "failed", "diverged", "interrupted", "completed", "pending"]
    rows = [
        {"setting": name, "status": state, "best_val_loss": 1.0} for name, state in zip("aaaabc", states, strict=True)
    ]
    found = cost.failures(table_of(rows))
    assert found[["setting", "run", "runs", "failed", "diverged"]].to_numpy().tolist() == [
        ["a", "run0", 3, 1, 1],
        ["b", "run4", 1, 0, 0],
    ]
    assert found["failure_rate"].tolist() == pytest.approx([2 / 3, 0])


def test_costs_are_means_over_the_runs_that_count() -> None:
    rows: list[dict[str, Any]] = [
        {"setting": "a", "seed": 0, "epochs_run": 4, "best_val_loss": 0.5},
        {"setting": "a", "seed": 1, "epochs_run": 2, "best_val_loss": 0.3},
        {"setting": "a", "seed": 2, "epochs_run": 1, "best_val_loss": 0.1, "status": "failed"},
        {"setting": "b", "parameters": 50, "epochs_run": 3, "best_val_loss": 0.6},
        {"setting": "c", "parameters": 50, "epochs_run": 3, "best_val_loss": 0.7},
    ]
    found = cost.costs(table_of(rows), [], Measure(), {f"run{place}": 10 for place in range(5)})
    columns = ["parameters", "epochs_run", "training_images", "best_val_loss", "is_on_front"]
    assert found[columns].to_numpy().tolist() == [
        [100, 3, 30, pytest.approx(0.4), True],
        [50, 3, 30, 0.6, True],
        [50, 3, 30, 0.7, False],
    ]


def test_the_front_by_hand() -> None:
    values = [[1, 9], [2, 5], [3, 5], [4, 1], [5, 1], [1, 9], [np.nan, 0]]
    found = cost.on_front(pd.DataFrame(values, dtype="float64"))
    assert found.tolist() == [True, True, False, True, False, True, False]


@given(st.lists(st.tuples(*[st.integers(0, 4)] * 3), max_size=30))
def test_no_row_beats_one_on_the_front_and_some_row_beats_each_other_one(rows: list[tuple[int, int, int]]) -> None:
    def beats(one: tuple[int, ...], other: tuple[int, ...]) -> bool:
        return one != other and all(a <= b for a, b in zip(one, other, strict=True))

    expected = [not any(beats(other, row) for other in rows) for row in rows]
    assert cost.on_front(pd.DataFrame(rows, columns=list("abc"), dtype="float64")).tolist() == expected


def section_of(folder: Path) -> Section | None:
    collected = collect([folder])
    return said_of_cost.section(summarize(collected.runs, collected.histories, collected.measure), collected)


def said(folder: Path) -> str:
    found = section_of(folder)
    assert found
    return " ".join(found.sentences)


def test_a_report_says_what_a_sweep_cost(tmp_path: Path) -> None:
    points = grid(epochs=[2, 4], optimizer=["sgd", "adam"], seed=[0, 1])
    sweep = write_sweep(tmp_path, points)
    for place, point in enumerate(points):
        rows = curve(point["optimizer"], epochs=point["epochs"])
        times = {"started": MINUTE.format(place), "ended": MINUTE.format(place + 2)}
        write_run(run_folder(sweep, point).path, point, rows, pack=2, **times)
    write_run(
        run_folder(sweep, points[0]).path,
        points[0],
        curve("sgd", epochs=1),
        status=Status.FAILED,
        reason="no",
        pack=2,
    )
    output = write_report([tmp_path]).output
    text = (output / "summary.md").read_text()
    assert text.index("## Dynamics") < text.index("## Cost")
    # Seven runs of two minutes, each a minute after the one before.
    assert "For 8.0 min, at least one of the 7 runs that completed or diverged was running" in text
    assert "Their times add up to 14.0 min: on average, 1.8 of them ran at the same time" in text
    # (3 runs of 2 epochs, 4 of 4 and 1 of 1) * 1.25 s / 2.
    assert "The epochs of 8 runs took at least 14.4 s of lane time, each pack counted once (runs that leave" in text
    assert "Of 8 runs that ended, 1 failed and 0 diverged, in 1 of 4 settings." in text
    assert "| sgd, epochs 2 | 2 | 1 | 0 | 50.0% |" in text
    assert "2 of 4 settings are on the front of validation loss against cost" in text
    assert "| adam, epochs 4 |" in text
    assert "| 79,510 | 4 | 192,000 |" in text
    rows_of_file = list(csv.DictReader((output / "cost.csv").open()))
    assert [row["is_on_front"] for row in rows_of_file] == ["False", "True", "False", "True"]
    assert [row["epochs"] for row in rows_of_file] == ["2", "2", "4", "4"]
    assert "Cost" in (output / "index.html").read_text()


def test_pauses_are_said(tmp_path: Path) -> None:
    for name, started in (("a", 0), ("b", 50)):
        write_run(
            tmp_path / name,
            {"seed": started},
            curve(),
            started=MINUTE.format(started),
            ended=MINUTE.format(started + 3),
        )
    assert "For 6.0 min, at least one of the 2 runs" in said(tmp_path)
    assert "From the first start to the last end, with pauses, it was 53.0 min." in said(tmp_path)


def test_settings_of_one_cost_have_no_front_and_single_runs_no_rate(tmp_path: Path) -> None:
    sweep = write_sweep(tmp_path, points := grid(optimizer=["sgd", "adam", "rmsprop"]))
    write_run(run_folder(sweep, points[0]).path, points[0], [], status=Status.DIVERGED, reason="loss became NaN")
    found = section_of(tmp_path)
    assert found
    assert found.tables == []
    assert "front" not in " ".join(found.sentences)
    assert "Of 3 runs that ended, 0 failed and 1 diverged, in 1 of 3 settings." in " ".join(found.sentences)


def test_a_run_alone_has_no_section(tmp_path: Path) -> None:
    write_run(tmp_path / "run", {}, curve())
    assert section_of(tmp_path / "run") is None


def test_classifiers_are_on_no_front(tmp_path: Path) -> None:
    found = section_of(RECORDED / "logistic")
    assert found
    assert found.files["cost.csv"]["is_on_front"].tolist() == [False, False]
    assert "The epochs of 2 runs took" in " ".join(found.sentences)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.04, "0.0 s"), (119.94, "119.9 s"), (120, "2.0 min"), (7199, "120.0 min"), (7200, "2.0 h")]
)
def test_durations_have_the_unit_that_suits_them(seconds: float, text: str) -> None:
    assert said_of_cost.duration(seconds) == text
