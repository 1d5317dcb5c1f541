"""The benchmark of growth on real sweeps of a few runs."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "scripts" / "benchmark_growth.py"


@pytest.mark.slow
def test_a_row_for_each_size_with_what_was_measured(tmp_path: Path) -> None:
    numbers = tmp_path / "growth.csv"
    command = [sys.executable, str(SCRIPT), "--sizes", "1,5", "--epochs", "2", "--csv", str(numbers)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    rows = [line.split(" | ") for line in done.stdout.splitlines() if line.startswith("|")]
    assert [row[0] for row in rows[:4]] == ["| runs", "| ---", "| 1", "| 5"]
    with numbers.open() as file:
        found = {(row["runs"], row["step"], row["quantity"]): float(row["value"]) for row in csv.DictReader(file)}
    assert all(value > 0 for value in found.values())
    assert len(found) == 2 * (3 * 3 + 3)
    assert found["5", "files", "files"] > found["1", "files", "files"]


@pytest.mark.parametrize("sizes", ["7", "0", "a", "5,12"])
def test_sizes_that_cannot_be_are_refused(sizes: str) -> None:
    done = subprocess.run([sys.executable, str(SCRIPT), "--sizes", sizes], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "expected numbers of runs, above 5 multiples of 5" in done.stderr
