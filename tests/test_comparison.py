"""Two sweeps compared: settings are matched, differences paired by seed, and changes named."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import pytest
from analysis_folders import curve, grid, run_folder, write_run, write_sweep
from sweeping import script

from fashion_sweep.analysis.comparison import Comparison, compare
from fashion_sweep.analysis.load import collect
from fashion_sweep.errors import FolderError
from fashion_sweep.storage.record import Objective, Status
from fashion_sweep.storage.run_dir import RunDir

Losses = dict[str, dict[int, float]]
BEFORE: Losses = {"sgd": {0: 1.0, 1: 2.0, 2: 4.0}, "adam": {0: 0.5, 1: 0.6, 2: 0.7}}


def sweep(folder: Path, losses: Losses, **changes: Any) -> Path:
    """A sweep with these losses by optimizer and seed; its runs' records have these changes."""
    points: list[dict[str, Any]] = [
        {"optimizer": name, "seed": seed} for name, by_seed in losses.items() for seed in by_seed
    ]
    written = write_sweep(folder, points)
    for point in points:
        loss = losses[point["optimizer"]][point["seed"]]
        run = run_folder(written, point)
        write_run(
            run.path, point, [row | {"val_loss": loss, "val_accuracy": 1 / (1 + loss)} for row in curve(epochs=1)]
        )
        _change(run, changes)
    return folder


def _change(run: RunDir, changes: dict[str, Any]) -> None:
    record = run.read_record()
    assert record is not None
    merged: dict[str, Any] = {key: {**getattr(record, key), **value} if isinstance(value, dict) else value
              for key, value in changes.items()}  # fmt: skip
    run.write_record(dataclasses.replace(record, **merged))


def compared(before: Path, after: Path, metric: Objective = "val_loss") -> Comparison:
    return compare(collect([before], metric), collect([after], metric))


def row_of(found: Comparison, setting: str) -> dict[str, Any]:
    (row,) = found.settings[found.settings["setting"] == setting].to_dict("records")
    return {str(key): value for key, value in row.items()}


def test_differences_are_paired_by_seed(tmp_path: Path) -> None:
    """sgd's differences are 0.1, 0.2 and 0.3: mean 0.2, sd 0.1, t = 2 sqrt(3) with 2 degrees of freedom."""
    after = {"sgd": {0: 1.1, 1: 2.2, 2: 4.3}, "adam": BEFORE["adam"]}
    found = compared(sweep(tmp_path / "a", BEFORE), sweep(tmp_path / "b", after))
    row = row_of(found, "optimizer=sgd")
    assert (row["seeds_before"], row["seeds_after"], row["shared"]) == (3, 3, 3)
    assert row["mean_before"] == pytest.approx(7 / 3)
    assert row["difference"] == pytest.approx(0.2)
    half = 4.302653 * 0.1 / math.sqrt(3)  # the 97.5th percentile of t with 2 degrees of freedom
    assert (row["low"], row["high"]) == pytest.approx((0.2 - half, 0.2 + half))
    assert row["percent_worse"] == pytest.approx(100 * 0.2 / (7 / 3))
    t = 2 * math.sqrt(3)
    assert row["p_value"] == pytest.approx(2 * (1 - t / math.sqrt(t**2 + 2)))  # of two settings
    same = row_of(found, "optimizer=adam")
    assert (same["difference"], same["percent_worse"], same["p_value"]) == (0, 0, 1)
    assert (found.only_before, found.only_after, found.changes) == ([], [], {})


def test_a_lower_accuracy_is_worse(tmp_path: Path) -> None:
    after = {name: {seed: loss + 1 for seed, loss in losses.items()} for name, losses in BEFORE.items()}
    found = compared(sweep(tmp_path / "a", BEFORE), sweep(tmp_path / "b", after), "val_accuracy")
    assert (found.settings["difference"] < 0).all()
    assert (found.settings["percent_worse"] > 0).all()


def test_only_shared_seeds_count_for_the_difference(tmp_path: Path) -> None:
    after = {"sgd": {1: 2.5, 2: 4.7, 9: 99.0}}
    row = row_of(compared(sweep(tmp_path / "a", {"sgd": BEFORE["sgd"]}), sweep(tmp_path / "b", after)), "the defaults")
    assert (row["seeds_before"], row["seeds_after"], row["shared"]) == (3, 3, 2)
    assert row["difference"] == pytest.approx(0.6)


def test_one_seed_makes_no_claim(tmp_path: Path) -> None:
    found = compared(sweep(tmp_path / "a", {"sgd": {0: 1.0}}), sweep(tmp_path / "b", {"sgd": {0: 1.5}}))
    (row,) = found.settings.to_dict("records")
    assert row["difference"] == pytest.approx(0.5)
    assert math.isnan(row["p_value"])
    assert math.isnan(row["low"])


def test_settings_of_one_sweep_alone_and_changes_are_named(tmp_path: Path) -> None:
    old, new = {"python": "3.10", "keras": "3.1"}, {"python": "3.10", "keras": "3.2"}
    before = sweep(tmp_path / "a", BEFORE, versions=old, code="1" * 64, device={"kind": "CPU", "host": "x"})
    after = sweep(
        tmp_path / "b", {"adam": BEFORE["adam"], "rmsprop": {0: 1.0}},
        versions=new, code="2" * 64, device={"kind": "GPU", "host": "y"},
    )  # fmt: skip
    found = compared(before, after)
    assert found.only_before == ["optimizer=sgd"]
    assert found.only_after == ["optimizer=rmsprop"]
    assert found.changes == {
        "code": (["11111111"], ["22222222"]),
        "device kind": (["CPU"], ["GPU"]),
        "version keras": (["3.1"], ["3.2"]),
    }


def test_a_default_that_has_changed_is_named(tmp_path: Path) -> None:
    before = sweep(tmp_path / "a", BEFORE, config={"batch_size": 32})
    found = compared(before, sweep(tmp_path / "b", BEFORE, config={"batch_size": 64}))
    assert len(found.settings) == 2
    assert found.changes == {"config batch_size": (["32"], ["64"])}


def test_other_data_cannot_be_compared(tmp_path: Path) -> None:
    before = sweep(tmp_path / "a", BEFORE)
    with pytest.raises(FolderError, match="different datasets"):
        compared(before, sweep(tmp_path / "b", BEFORE, data={"fingerprint": "e" * 64}))


def test_runs_that_failed_are_no_results(tmp_path: Path) -> None:
    before, after = sweep(tmp_path / "a", BEFORE), sweep(tmp_path / "b", BEFORE)
    for run in after.iterdir():
        if "sgd" in run.name:
            _change(RunDir(run), {"status": Status.FAILED})
    assert row_of(compared(before, after), "optimizer=sgd")["percent_worse"] == math.inf
    assert math.isnan(row_of(compared(after, before), "optimizer=sgd")["percent_worse"])


@pytest.mark.parametrize(("percent", "code"), [("9", 0), ("8", 1), ("0", 1)])
def test_the_exit_code_guards_a_baseline(tmp_path: Path, percent: str, code: int) -> None:
    sweep(tmp_path / "a", BEFORE)
    sweep(tmp_path / "b", {"sgd": {0: 1.1, 1: 2.2, 2: 4.3}, "adam": BEFORE["adam"]})
    done = script(tmp_path, "report", "a", "b", "--compare", "--fail-if-worse", percent, "--output", "out")
    assert done.returncode == code, done.stderr
    assert done.stderr == ("" if code == 0 else "worse: optimizer=sgd: worse by 8.6%, no claim, p 0.15\n")
    assert "optimizer=sgd" in done.stdout
    assert "worse by 8.6%" in (tmp_path / "out" / "comparison.md").read_text("utf-8")
    assert len((tmp_path / "out" / "comparison.csv").read_text("utf-8").splitlines()) == 3


def test_a_setting_that_is_gone_is_worse(tmp_path: Path) -> None:
    sweep(tmp_path / "a", BEFORE)
    sweep(tmp_path / "b", {"adam": BEFORE["adam"]})
    assert script(tmp_path, "report", "a", "b", "--compare").returncode == 0
    done = script(tmp_path, "report", "a", "b", "--compare", "--fail-if-worse", "50")
    assert (done.returncode, done.stderr) == (1, "worse: optimizer=sgd: gone\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["a", "--compare"], "--compare takes two folders"),
        (["a", "a", "--fail-if-worse", "1"], "give it with --compare"),
        (["a", "a", "--compare", "--fail-if-worse", "nan"], "expected a number of percent"),
        (["a", "missing", "--compare"], "no such folder"),
    ],
)
def test_mistakes_are_said_in_a_line(tmp_path: Path, arguments: list[str], said: str) -> None:
    write_sweep(tmp_path / "a", grid(optimizer=["sgd"]))
    done = script(tmp_path, "report", *arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
