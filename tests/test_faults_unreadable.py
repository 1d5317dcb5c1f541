"""Files that are there and cannot be read: real I/O errors. Nothing may be trained again or written anew for them."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from fault_table import fault
from fixture_types import Seen
from optional import present
from sweeping import IN_S, QUICK, SMALL, assert_told_briefly, complaint, environment, run, script, started, until, words

from fashion_sweep.storage.run_dir import RunDir
from fashion_sweep.storage.sweep_dir import SweepDir

IO_ERROR = Path("/proc/self/mem")
"""Reading its first byte is an I/O error (EIO), as on a broken disk."""


def runs_of(folder: Path) -> list[RunDir]:
    return SweepDir(folder / "s").run_dirs()


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    """A folder with a sweep ``s`` of two runs."""
    done = run(tmp_path, "-m", "seed=0,1", *QUICK, IN_S)
    assert done.returncode == 0, done.stderr
    return tmp_path


def spoil(path: Path, how: str) -> None:
    """Put something that cannot be read in the place of a file."""
    path.rename(path.with_name(f"kept-{path.name}"))
    if how == "folder":
        path.mkdir()
    else:
        path.symlink_to(IO_ERROR if how == "I/O error" else path)


def contents(folder: Path) -> dict[str, bytes | None]:
    """Every file below a folder, except those of reports."""
    files = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    own = [path for path in files if path.parent.name != "report"]
    return {str(path.relative_to(folder)): path.read_bytes() for path in own}


@fault("a run's record cannot be read")
@pytest.mark.parametrize(
    "how", ["I/O error", *(pytest.param(each, marks=pytest.mark.rare) for each in ("folder", "loop"))]
)
def test_a_record_that_cannot_be_read(trained: Path, seen: Seen, how: str) -> None:
    first, other = runs_of(trained)
    spoil(first.record, how)
    before = contents(trained / "s")
    texts = [complaint(run(trained, "resume=s")), complaint(run(trained, "-m", "seed=0,1,2", *QUICK, IN_S))]
    assert all(f"{first.path.name}/run.json" in text for text in texts)
    assert contents(trained / "s") == before
    assert present(other.read_record()).attempt == 1
    told = texts[0].replace(str(trained), "")
    seen(f'{how}: exit 2: "{told}"; nothing written')


@fault("the record of a single run cannot be read", rare=True)
def test_a_record_of_a_single_run(tmp_path: Path, seen: Seen) -> None:
    assert run(tmp_path, *QUICK, "hydra.run.dir=r").returncode == 0
    spoil(tmp_path / "r" / "run.json", "I/O error")
    texts = [complaint(run(tmp_path, *QUICK, "hydra.run.dir=r")), complaint(run(tmp_path, "resume=r"))]
    assert all("run.json" in text for text in texts)
    seen(f'exit 2: "{texts[0]}"')


@fault("a sweep's plan cannot be read", rare=True)
@pytest.mark.parametrize("how", ["I/O error", pytest.param("folder", marks=pytest.mark.rare)])
def test_a_plan_that_cannot_be_read(trained: Path, seen: Seen, how: str) -> None:
    spoil(trained / "s" / "sweep.json", how)
    before = contents(trained / "s")
    texts = [complaint(run(trained, "resume=s")), complaint(run(trained, "-m", "seed=0,1,2", *QUICK, IN_S))]
    assert all("sweep.json" in text for text in texts)
    assert contents(trained / "s") == before
    seen(f'{how}: exit 2: "{texts[0].replace(str(trained), "")}"; nothing written')


@fault("the report of a sweep whose files cannot be read", rare=True)
def test_a_report_of_what_cannot_be_read(trained: Path, seen: Seen) -> None:
    first, other = runs_of(trained)
    spoil(first.record, "I/O error")
    spoil(other.history, "I/O error")
    done = script(trained, "report", "s")
    assert_told_briefly(done)
    assert done.returncode == 0, done.stderr
    warnings = [line for line in done.stdout.splitlines() if line.startswith("warning ")]
    assert any(f"{first.path.name}/run.json" in line for line in warnings)
    assert any(f"{other.path.name}/history.csv" in line for line in warnings)
    assert script(trained, "report", "s", "--strict").returncode == 1
    seen("2 warnings that name the files; exit 0, with --strict 1")


def interrupted(folder: Path, *more: str) -> RunDir:
    """A run of a sweep that was interrupted and has a saved state."""
    grid = ["-m", "seed=0", *SMALL, "epochs=40", "+callbacks.x={_target_: faulty.Slow, seconds: 0.3}", IN_S, *more]
    with started(folder, *grid) as process:
        until(lambda: list((folder / "s").glob("*/history.csv")), "an epoch")
        process.terminate()
        _, err = process.communicate(timeout=60)
    assert process.returncode == 143, err
    [only] = runs_of(folder)
    assert only.state.exists()
    return only


@fault("the saved state of an interrupted run cannot be read", "the history of an interrupted run cannot be read",
       rare=True)  # fmt: skip
def test_a_state_that_cannot_be_read(tmp_path: Path, seen: Seen) -> None:
    only = interrupted(tmp_path)
    rows = len(only.read_history())
    for path, row in (
        (only.state, "the saved state of an interrupted run cannot be read"),
        (only.history, "the history of an interrupted run cannot be read"),
    ):
        spoil(path, "I/O error")
        done = run(tmp_path, "resume=s")
        assert_told_briefly(done)
        assert done.returncode in (1, 2), done.stdout
        assert path.name in done.stdout + done.stderr
        assert path.is_symlink()
        path.unlink()
        path.with_name(f"kept-{path.name}").rename(path)
        assert len(only.read_history()) == rows
        seen(f"exit {done.returncode}, which names it; nothing is trained again", row)


@fault("a user without the right to read a record", rare=True)
def test_a_record_that_may_not_be_read(trained: Path, seen: Seen) -> None:
    first, _ = runs_of(trained)
    first.record.chmod(0)
    before = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []
    if before and shutil.which(before[0]) is None:
        pytest.skip("no setpriv here, and root reads everything")
    done = subprocess.run([*before, *words("resume=s")], cwd=trained, env=environment(), capture_output=True, text=True,
                          timeout=120, check=False)  # fmt: skip
    text = complaint(done)
    assert f"{first.path.name}/run.json" in text
    assert "Permission denied" in text
    seen(f'exit 2: "{text.replace(str(trained), "")}"')
