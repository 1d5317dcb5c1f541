"""The comparison of an engine with plain Keras on this machine, and what a sweep says where it was never made."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from fashion_sweep.cli import check_engine, conclude
from fashion_sweep.storage import checked_devices
from fashion_sweep.storage.record import RunRecord, Status
from fashion_sweep.storage.run_dir import RunDir
from fashion_sweep.storage.sweep_dir import SweepDir
from fashion_sweep.training import equality, zoo

SCRIPT = Path(__file__).parent.parent / "scripts/check_engine.py"
GPU: dict[str, Any] = {"kind": "GPU", "name": "NVIDIA H100", "host": "here", "threads": 4}
VERSIONS = {"python": "3.11.7", "keras": "3.15.1", "jax": "0.9.2", "jaxlib": "0.9.2", "numpy": "2.4.6"}
STAMP = "keras 3.15.1, jax 0.9.2, jaxlib 0.9.2 on NVIDIA H100"


@pytest.fixture(autouse=True)
def state_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state"


def test_a_comparison_is_for_a_gpu_and_the_versions_that_decide_what_it_computes() -> None:
    assert checked_devices.stamp(VERSIONS, GPU) == STAMP
    assert checked_devices.stamp({**VERSIONS, "jax": "0.9.1"}, GPU) != STAMP
    assert checked_devices.stamp(VERSIONS, {"kind": "CPU", "name": "x86_64"}) is None
    assert checked_devices.stamp(VERSIONS, {}) is None


def test_comparisons_are_kept_and_a_damaged_file_is_none(state_home: Path) -> None:
    assert not checked_devices.is_checked(STAMP)
    checked_devices.add(STAMP)
    checked_devices.add("another")
    assert checked_devices.is_checked(STAMP)
    [path] = state_home.rglob("*.json")
    assert json.loads(path.read_text()) == ["another", STAMP]
    for text in ('["a', '{"a": 1}', "[1]"):
        path.write_text(text)
        assert not checked_devices.is_checked(STAMP)
    checked_devices.add(STAMP)
    assert checked_devices.is_checked(STAMP)


def said(folder: Path) -> str:
    stream = StringIO()
    conclude._say_unchecked(SweepDir(folder), Console(file=stream))
    return stream.getvalue()


def test_a_sweep_says_once_that_its_device_was_never_compared(tmp_path: Path) -> None:
    for number, device in enumerate((GPU, GPU, {"kind": "CPU", "name": "x86_64"})):
        run = RunDir(tmp_path / f"run_0000000{number}")
        run.path.mkdir()
        run.write_record(RunRecord(run.path.name, f"{number}" * 64, Status.COMPLETED, versions=VERSIONS, device=device))
    expected = f"Never compared with plain Keras here: {STAMP}. fashion-sweep-check-engine does it in a minute.\n"
    assert said(tmp_path) == expected
    checked_devices.add(STAMP)
    assert said(tmp_path) == ""


def test_what_differs_is_named_and_not_kept_as_equal(capsys: pytest.CaptureFixture[str]) -> None:
    assert check_engine._concluded(["dense", "recurrent"], VERSIONS, GPU) == 1
    assert "dense, recurrent differ by more than 0.001" in capsys.readouterr().err
    assert not checked_devices.is_checked(STAMP)
    assert check_engine._concluded([], VERSIONS, GPU) == 0
    assert checked_devices.is_checked(STAMP)


def test_a_difference_counts_whichever_of_the_two_it_is() -> None:
    assert equality.Equality("dense", 3, 1e-7, 0.5).largest == 0.5
    assert equality.Equality("dense", 3, 0.5, 1e-7).largest == 0.5


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["tensorflow", "jax"])
def test_the_engines_equal_plain_keras_here(engine: str) -> None:
    if not importlib.util.find_spec(engine):
        pytest.skip(f"{engine} is not installed")
    words = [sys.executable, str(SCRIPT), "--engine", engine]
    done = subprocess.run(words, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stderr
    assert all(model.__name__ in done.stdout for model, _ in zoo.CASES)
    assert "Equal to plain Keras" in done.stdout
