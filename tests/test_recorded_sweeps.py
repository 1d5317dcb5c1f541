"""Sweeps that an earlier release left behind: their finished runs are known, and not trained again."""

from __future__ import annotations

import shutil
from argparse import Namespace
from pathlib import Path

import planning
import pytest
import sweeping

from fashion_sweep import app
from fashion_sweep.planning import resume
from fashion_sweep.planning.plan import Plan
from fashion_sweep.planning.request import Request
from fashion_sweep.training.train import record_of

RECORDED = Path(__file__).parent / "recorded"
"""Made by commit c1b46de: two sweeps, one with the configs that it kept, and a run. Models and logs are left out."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(RECORDED, tmp_path / "old")
    monkeypatch.chdir(tmp_path)
    return Path("old")


def resumed(*overrides: str) -> Plan:
    arguments = {"config_path": None, "config_dir": None, "config_name": None, "multirun": False}
    return planning.planned(Request.typed(Namespace(overrides=list(overrides), **arguments), app.CONF))


def to_train(planned: Plan) -> list[str]:
    return [spec.name for spec in planned.runs if resume.is_due(spec, record_of(spec))]


@pytest.mark.parametrize(("name", "runs"), [("sweep", 4), ("logistic", 2), ("run", 1)])
def test_nothing_that_is_finished_is_to_be_trained_again(folder: Path, name: str, runs: int) -> None:
    planned = resumed(f"resume={folder / name}")
    assert len(planned.runs) == runs
    assert to_train(planned) == []


def test_a_larger_grid_adds_its_runs_to_the_finished_ones(folder: Path) -> None:
    planned = resumed(f"resume={folder / 'sweep'}", "optimizer=sgd,adam,rmsprop")
    assert [name.partition("_")[0] for name in to_train(planned)] == ["optimizer-rmsprop"] * 2
    assert len(planned.runs) == 6


def test_the_configs_of_today_know_the_runs_as_well(folder: Path) -> None:
    """Not only the copies that the sweep keeps: identities are those of before."""
    shutil.rmtree(folder / "sweep" / "code")
    assert to_train(resumed(f"resume={folder / 'sweep'}")) == []


@pytest.mark.slow
def test_the_command_leaves_every_file_of_a_finished_run_as_it_is(folder: Path) -> None:
    files = {path: path.read_bytes() for path in (folder / "sweep").glob("*/*") if path.parent.name != "code"}
    done = sweeping.run(Path.cwd(), f"resume={folder / 'sweep'}")
    assert (done.returncode, done.stderr) == (0, "")
    assert "4 of 4 runs were completed before" in done.stdout
    assert "4 runs: 4 completed" in done.stdout
    assert {path: path.read_bytes() for path in files} == files
