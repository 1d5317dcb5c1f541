"""scripts/benchmark_gpu.py, rehearsed tiny on a CPU: every section is there, and its numbers are those of real runs."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[1] / "scripts"
sys.path.insert(0, str(SCRIPTS))

from benchmarks import gpu  # noqa: E402
from benchmarks.grid import Settings  # noqa: E402


def script(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPTS / "benchmark_gpu.py"), *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=900, check=False)


def test_the_bound_is_that_of_the_memory() -> None:
    assert gpu.bound_seconds(3.35e12, Settings(1)) == pytest.approx(1500 * 79510 * 40 / 3.35e12)


def test_parts_have_the_sizes_that_were_asked_for() -> None:
    found = {part.what: list(part.sizes) for part in gpu.parts([1, 32])}
    assert found["as it is"] == [1, 32]
    assert found["TF32"] == found["4 processes at once"] == [1]
    assert found["cnn"] == [1, 32]
    assert "cnn" not in {part.what for part in gpu.parts([256])}


def test_without_time_every_part_is_named_as_not_measured(tmp_path: Path) -> None:
    ended = script(tmp_path, "--only", "packs,sweep", "--minutes", "0", "--output", "page.md")
    assert ended.returncode == 0, ended.stderr
    page = (tmp_path / "page.md").read_text()
    assert page.count("Not measured: no time was left.") == len(gpu.parts(gpu.SIZES)) + 2


@pytest.mark.slow
def test_every_section_on_a_cpu(tmp_path: Path) -> None:
    tiny = ["--limit", "500", "--sizes", "1,8", "--epochs", "1", "--runs", "50", "--sweep-epochs", "2"]
    options = ["--steps-tried", "1,2", "--option", "hydra.launcher.pack_size=25", "--minutes", "12"]
    left_out = ["--leave-out", "loop as a command buffer,no command buffers,TF32,unroll 4"]
    ended = script(tmp_path, *tiny, *options, *left_out, "--only", "packs,fit,sweep", "--csv", "numbers.csv")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "Failed" not in ended.stdout
    rows = list(csv.DictReader((tmp_path / "numbers.csv").open()))
    packs = {(row["section"], row["runs"]): row for row in rows}
    for section in ("as it is", "cnn"):
        for runs in ("1", "8"):
            assert 0.1 < float(packs[section, runs]["val_accuracy"]) <= 1
            assert float(packs[section, runs]["run_epoch_seconds"]) > 0
    assert ("4 processes at once", "1") in packs
    assert ("Keras' fit", "1") in packs
    sweeps = [row for row in rows if row["section"].startswith("The whole command")]
    assert [(row["runs"], row["completed"]) for row in sweeps] == [("50", "50")] * 2
    assert all(float(row["first_start"]) < float(row["last_end"]) < float(row["wall_seconds"]) for row in sweeps)
    assert float(sweeps[0]["mib_on_disk"]) > float(sweeps[1]["mib_on_disk"])
    assert [path.name for path in tmp_path.iterdir()] == ["numbers.csv"]
