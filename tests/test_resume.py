"""A resumed sweep trains the missing runs and leaves the others untouched: real commands in real folders."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from pathlib import Path

import pytest
from fixture_types import Command
from optional import present

from fashion_sweep.storage.record import Status
from fashion_sweep.storage.run_dir import RunDir
from fashion_sweep.storage.sweep_dir import SweepDir

TINY = ("data=synthetic", "data.samples=320", "data.image_size=8", "epochs=2")
ONE_LANE = "hydra.launcher.lanes=1"
pytestmark = pytest.mark.slow


def contents(folder: Path) -> dict[str, str]:
    """Every file of a folder, with a hash and the time of its last change."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        str(path.relative_to(folder)): f"{hashlib.sha256(path.read_bytes()).hexdigest()} {path.stat().st_mtime_ns}"
        for path in files
    }


def records(sweep: Path) -> dict[int, tuple[str, int]]:
    """Seed -> status and attempt of every run."""
    read = [run.read_record() for run in SweepDir(sweep).run_dirs()]
    return {present(record.seed): (record.status.value, record.attempt) for record in read if record}


@pytest.fixture
def sweep(command: Command, tmp_path: Path) -> Path:
    """A finished sweep of two runs."""
    done = command("-m", "seed=0,1", *TINY, "hydra.sweep.dir=s", ONE_LANE)
    assert done.returncode == 0, done.stderr
    return tmp_path / "s"


def test_a_grid_that_grows_keeps_its_results_byte_for_byte(command: Command, sweep: Path) -> None:
    before = {run.path.name: contents(run.path) for run in SweepDir(sweep).run_dirs()}
    grown = command(
        "-m", *TINY, "seed=2,1,0", "model.dropout=0", "hydra.sweep.dir=s", ONE_LANE
    )  # other words, the same runs
    assert grown.returncode == 0, grown.stderr
    assert grown.stdout.startswith("2 of 3 runs were completed before\n")
    runs = {run.path.name: contents(run.path) for run in SweepDir(sweep).run_dirs()}
    assert len(runs) == 3
    assert {name: runs[name] for name in before} == before


def test_resume_takes_the_grid_and_the_original_configs_from_the_folder(
    command: Command, sweep: Path, tmp_path: Path
) -> None:
    [first, second] = SweepDir(sweep).run_dirs()
    before = contents(first.path)
    shutil.rmtree(second.path)
    resumed = command("resume=s")
    assert resumed.returncode == 0, resumed.stderr
    assert records(sweep) == {0: ("completed", 1), 1: ("completed", 1)}
    assert contents(first.path) == before
    again = command("resume=s")
    assert again.returncode == 0, again.stderr
    assert "2 runs: 2 completed" in again.stdout
    planned = command("resume=s", "seed=0,1,2", "plan=true")
    assert planned.returncode == 0, planned.stderr
    assert "Sweep s: 3 runs, 2 completed, 1 to train" in planned.stdout
    assert "from 2 past runs" in planned.stdout
    one = command(f"resume=s/{second.path.name}")
    assert one.returncode == 0, one.stderr
    assert one.stdout.splitlines()[-1] == f"Folder: s/{second.path.name}"


def test_retry_chooses_what_is_trained_again(command: Command, tmp_path: Path) -> None:
    grid = ["-m", *TINY, "epochs=1", "hydra.sweep.dir=s", ONE_LANE]
    first = command(*grid, "seed=0,1,2,3")
    assert first.returncode == 0, first.stderr
    for run in SweepDir(tmp_path / "s").run_dirs():
        record = present(run.read_record())
        record.status = (Status.COMPLETED, Status.DIVERGED, Status.FAILED, Status.INTERRUPTED)[present(record.seed)]
        run.write_record(record)
    before = {run.path.name: contents(run.path) for run in SweepDir(tmp_path / "s").run_dirs()}
    to_train = {
        retry: [
            int(present(re.search(r"seed=(\d)", line)).group(1))
            for line in command(
                *grid, "seed=0,1,2,3,4", f"retry={retry}", "plan=true", COLUMNS="300"
            ).stdout.splitlines()
            if "to train" in line and "seed=" in line
        ]
        for retry in ("failed", "diverged", "all", "none")
    }
    assert to_train == {"failed": [2, 3, 4], "diverged": [1, 3, 4], "all": [1, 2, 3, 4], "none": [4]}
    again = command(*grid, "seed=0,1,2,3,4", "retry=diverged")
    assert again.returncode == 1, again.stderr
    statuses = {0: ("completed", 1), 1: ("completed", 2), 2: ("failed", 1), 3: ("completed", 2), 4: ("completed", 1)}
    assert records(tmp_path / "s") == statuses
    after = {run.path.name: contents(run.path) for run in SweepDir(tmp_path / "s").run_dirs()}
    assert sum(after[name] == before[name] for name in before) == 2


def test_other_code_is_reported(command: Command, sweep: Path) -> None:
    [first, _] = SweepDir(sweep).run_dirs()
    record = json.loads(first.record.read_text())
    first.record.write_text(json.dumps(record | {"code": "0" * 64, "git": {"commit": "abcdef0123456789"}}))
    again = command("resume=s")
    assert again.returncode == 0, again.stderr
    line = next(line for line in again.stdout.splitlines() if line.startswith("Other code: "))
    assert line.startswith(
        "Other code: 1 of 2 finished runs were trained with other source files (then abcdef0123, now "
    )


def test_a_plan_shows_every_run_and_trains_nothing(command: Command, tmp_path: Path) -> None:
    shown = command("-m", "optimizer=sgd,adam", "optimizer.learning_rate=0.1,0.10", *TINY, "plan=true")
    assert shown.returncode == 0, shown.stderr
    assert list(tmp_path.iterdir()) == []
    assert "2 runs, 2 to train, 2 grid points given twice, trained once" in shown.stdout
    assert "there is no finished run of this kind in or near the folder, so no estimate" in shown.stdout
    wrong = command("-m", "optimizer.learning_rate=0.1,-1", *TINY, "plan=true")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert "1 of 2 grid points are wrong" in wrong.stderr


@pytest.mark.parametrize(
    ("folder", "text"),
    [
        ("nowhere", "resume=nowhere: expected the folder of a sweep (sweep.json) or of a run (run.json)"),
        ("empty", "resume=empty: expected the folder of a sweep"),
        (
            "old",
            "old: sweep.json does not record the command that started the sweep (KeyError); run that command again",
        ),
    ],
)
def test_a_folder_that_cannot_be_resumed_is_named(command: Command, tmp_path: Path, folder: str, text: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "sweep.json").write_text('{"command": "c", "runs": []}')
    done = command(f"resume={folder}")
    assert (done.returncode, done.stdout) == (2, "")
    assert text in done.stderr
    assert "Traceback" not in done.stderr


def test_an_interrupted_single_run_is_resumed(command: Command, tmp_path: Path) -> None:
    done = command(*TINY, "epochs=1", "hydra.run.dir=one run")
    assert done.returncode == 0, done.stderr
    record = present(RunDir(tmp_path / "one run").read_record())
    record.status = Status.RUNNING
    (tmp_path / "one run").mkdir(parents=True, exist_ok=True)
    RunDir(tmp_path / "one run").write_record(record)
    again = command("resume=one run")
    assert again.returncode == 0, again.stderr
    record = present(RunDir(tmp_path / "one run").read_record())
    assert (record.status, record.attempt, record.epochs_run) == (Status.COMPLETED, 2, 1)
