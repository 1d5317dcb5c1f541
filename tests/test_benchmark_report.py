"""The benchmark of reports, on sweeps of a few copied runs."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import pytest

from fashion_sweep.results import load_sweep

SCRIPTS = Path(__file__).parents[1] / "scripts"
SCRIPT = SCRIPTS / "benchmark_report.py"


@pytest.mark.slow
def test_a_row_for_each_size_with_what_was_measured(tmp_path: Path) -> None:
    numbers = tmp_path / "reports.csv"
    command = [sys.executable, str(SCRIPT), "--sizes", "5,15", "--epochs", "2", "--csv", str(numbers)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    rows = [line.split(" | ") for line in done.stdout.splitlines() if line.startswith("|")]
    assert [row[0] for row in rows[:4]] == ["| runs", "| ---", "| 5", "| 15"]
    with numbers.open() as file:
        found = {(row["runs"], row["step"], row["quantity"]): float(row["value"]) for row in csv.DictReader(file)}
    assert all(value > 0 for value in found.values())
    assert found["15", "report", "wall_seconds"] > found["15", "imports", "wall_seconds"]


@pytest.mark.slow
def test_copies_are_completed_runs_of_settings_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(SCRIPTS))
    from benchmark_growth import command
    from benchmark_report import enlarge

    trained, sweep = tmp_path / "trained", tmp_path / "sweep"
    subprocess.run(command(5, 2, trained, ["summary=false"]), check=True, capture_output=True)
    enlarge(trained, sweep, 15)
    results = load_sweep(sweep)
    assert len(results.runs) == 15
    assert set(results.runs["status"]) == {"completed"}
    assert list(results.settings["seeds"]) == [5, 5, 5]
    assert sorted(results.settings["learning_rate"]) == [0.001, 0.00101, 0.00102]
    assert results.runs["best_val_loss"].nunique() == 15


@pytest.mark.parametrize("sizes", ["1", "7", "a"])
def test_sizes_that_cannot_be_are_refused(sizes: str) -> None:
    done = subprocess.run([sys.executable, str(SCRIPT), "--sizes", sizes], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "multiples of 5" in done.stderr
