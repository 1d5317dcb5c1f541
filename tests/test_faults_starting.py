"""Lanes that cannot start, limits of the system, and what fails between the plan and the training."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest
from fault_table import fault
from fixture_types import Seen
from optional import present
from sweeping import (
    IN_S,
    QUICK,
    alive,
    assert_told_briefly,
    children,
    environment,
    records,
    run,
    site,
    started,
    statuses,
)

from fashion_sweep.storage.record import Status
from fashion_sweep.storage.sweep_dir import SweepDir

IN_LANES = """
import os, sys, time
def first(name):
    try:
        os.close(os.open(os.path.join({folder!r}, name), os.O_CREAT | os.O_EXCL))
        return True
    except FileExistsError:
        return False
if any("worker_main" in word for word in sys.orig_argv):
    {act}
"""
"""Run by every Python process as it starts; lanes act."""


def in_lanes(folder: Path, act: str) -> dict[str, str]:
    return site(folder, IN_LANES.format(folder=str(folder), act=act))


@fault("one of two lanes cannot start")
@pytest.mark.parametrize("act", ["os._exit(3)", pytest.param("os.abort()", marks=pytest.mark.rare)])
def test_a_lane_that_cannot_start(tmp_path: Path, seen: Seen, act: str) -> None:
    env = in_lanes(tmp_path, f"first('a') and {act}")
    done = run(tmp_path, "-m", "seed=0,1,2,3", *QUICK, IN_S, "hydra.launcher.lanes=2", **env)
    assert done.returncode == 0, done.stderr
    assert_told_briefly(done)
    seen(f"{act}: exit 0; {statuses(tmp_path / 's')}")


@fault("a lane that keeps dying as it starts, beside one that works", rare=True)
def test_a_lane_that_never_starts(tmp_path: Path, seen: Seen) -> None:
    env = in_lanes(tmp_path, "first('a') or os._exit(3)")
    done = run(tmp_path, "-m", "seed=0,1,2,3", *QUICK, "trainer.seconds=1", IN_S, "hydra.launcher.lanes=2", **env)
    assert statuses(tmp_path / "s") == "4 completed", done.stderr
    assert done.returncode == 0, done.stderr
    seen(f"exit 0; {statuses(tmp_path / 's')} in the one lane")


@fault("no lane can start", rare=True)
def test_no_lane_that_starts(tmp_path: Path, seen: Seen) -> None:
    done = run(tmp_path, "-m", "seed=0,1", *QUICK, IN_S, "hydra.launcher.lanes=2", **in_lanes(tmp_path, "os._exit(3)"))
    assert done.returncode == 1, done.stderr
    assert_told_briefly(done)
    assert {present(each.read_record()).status for each in SweepDir(tmp_path / "s").run_dirs()} == {Status.FAILED}
    reasons = {present(each.read_record()).reason for each in SweepDir(tmp_path / "s").run_dirs()}
    seen(f'exit 1; {statuses(tmp_path / "s")}: "{"; ".join(map(str, reasons))}"')


@fault("a lane that hangs as it starts", rare=True)
def test_a_lane_that_hangs_as_it_starts(tmp_path: Path, seen: Seen) -> None:
    env = in_lanes(tmp_path, "first('a') and time.sleep(3600)")
    begin = time.monotonic()
    with started(tmp_path, "-m", "seed=0,1,2", *QUICK, IN_S, "hydra.launcher.lanes=2", **env) as process:
        _, err = process.communicate(timeout=400)
    assert process.returncode == 0, err
    seen(f"exit 0 after {time.monotonic() - begin:.0f} s; {statuses(tmp_path / 's')}")


def most_children(process: subprocess.Popen[str]) -> int:
    most = 0
    while process.poll() is None:
        most = max(most, len(children(process.pid)))
        time.sleep(0.03)
    return most


@fault("forty lanes for one run", rare=True)
def test_more_lanes_than_runs(tmp_path: Path, seen: Seen) -> None:
    with started(tmp_path, "-m", "seed=0", *QUICK, IN_S, "hydra.launcher.lanes=40") as process:
        most = most_children(process)
        _, err = process.communicate()
    assert process.returncode == 0, err
    assert most <= 3
    seen(f"exit 0; at most {most} processes beside the command's")


@pytest.mark.parametrize("key", [
    pytest.param("threads_per_lane", marks=fault("threads_per_lane=100000")),
    pytest.param("lanes", marks=fault("lanes=100000", rare=True)),
])  # fmt: skip
def test_numbers_beyond_all_machines(tmp_path: Path, seen: Seen, key: str) -> None:
    with started(tmp_path, "-m", "seed=range(3)", *QUICK, IN_S, f"hydra.launcher.{key}=100000") as process:
        _, err = process.communicate(timeout=30)  # or it is killed: it would take the whole machine
    assert process.returncode == 2, err
    assert key in err
    assert "Traceback" not in err
    seen(f'exit 2: "{err.strip().partition(": ")[2]}"')


@fault("a run's folder is a file")
def test_a_folder_that_is_a_file(tmp_path: Path, seen: Seen) -> None:
    assert run(tmp_path, "-m", "seed=0,1", *QUICK, "hydra.sweep.dir=p").returncode == 0
    [name] = [each.path.name for each in SweepDir(tmp_path / "p").run_dirs() if "seed-0" in each.path.name]
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / name).write_text("mine")
    done = run(tmp_path, "-m", "seed=0,1", *QUICK, IN_S)
    assert_told_briefly(done)
    assert done.returncode == 1, done.stderr
    assert (tmp_path / "s" / name).read_text() == "mine"
    assert {seed: record.status for seed, record in records(tmp_path / "s").items()} == {1: Status.COMPLETED}
    [told] = [line for line in done.stdout.splitlines() if line.startswith(f"failed {name}")]
    seen(f'exit 1; "{told}"; the other completes')


SOURCE = """
import os, sys
from fashion_sweep.data import synthetic
def load(token):
    lane = any("worker_main" in word for word in sys.orig_argv)
    {act}
    found = synthetic(samples=160, image_size=8, classes=10, noise=1.0, seed={seed})
    return found.images, found.labels
"""
IN_MINE = ("--config-dir", "mine", "data=own", *(each for each in QUICK if not each.startswith("data")))


def own_source(folder: Path, act: str, seed: str = "0") -> dict[str, str]:
    """A data source of one's own, which may act otherwise in a lane; returns the environment that finds it."""
    (folder / "mine" / "data").mkdir(parents=True)
    (folder / "mine" / "data" / "own.yaml").write_text(
        "_target_: my_source.load\ntoken: ${oc.env:TOKEN}\nvalidation_fraction: 0.2\nsplit_seed: 42\nlimit: null\n"
    )
    (folder / "my_source.py").write_text(SOURCE.format(act=act, seed=seed))
    return {"TOKEN": "geheim1234", "PYTHONPATH": os.pathsep.join([environment()["PYTHONPATH"], str(folder)])}


@fault("a data source that fails in lanes alone and names a secret", rare=True)
def test_a_source_that_fails_in_lanes(tmp_path: Path, seen: Seen) -> None:
    raising = "if lane: raise RuntimeError(f'401 for token {token}')"
    env = own_source(tmp_path, raising)
    done = run(tmp_path, *IN_MINE[:2], "-m", *IN_MINE[2:], "seed=0,1", IN_S, **env)
    assert_told_briefly(done)
    assert done.returncode == 1, done.stderr
    assert {record.status for record in records(tmp_path / "s").values()} == {Status.FAILED}
    told = done.stdout + done.stderr + "".join(
        path.read_text(errors="replace") for path in (tmp_path / "s").rglob("*") if path.is_file()
    )  # fmt: skip
    assert env["TOKEN"] not in told
    [reason] = {record.reason for record in records(tmp_path / "s").values()}
    seen(f'exit 1; {statuses(tmp_path / "s")}: "{reason}"; the secret stands nowhere')


@fault("data that are others in a lane than in the plan")
def test_data_that_change_after_the_plan(tmp_path: Path, seen: Seen) -> None:
    env = own_source(tmp_path, "pass", "int(lane)")
    done = run(tmp_path, *IN_MINE[:2], "-m", *IN_MINE[2:], "seed=0,1", IN_S, **env)
    assert_told_briefly(done)
    assert done.returncode == 1, done.stdout
    found = records(tmp_path / "s")
    assert {record.status for record in found.values()} == {Status.FAILED}
    [reason] = {record.reason for record in found.values()}
    assert "data" in present(reason)
    seen(f'exit 1; {statuses(tmp_path / "s")}: "{reason}"')


@fault("a trainer's module that cannot be imported in lanes", rare=True)
def test_code_that_fails_in_lanes(tmp_path: Path, seen: Seen) -> None:
    env = in_lanes(tmp_path, "sys.modules['faulty_trainer'] = None")
    done = run(tmp_path, "-m", "seed=0,1", *QUICK, IN_S, **env)
    assert_told_briefly(done)
    assert done.returncode == 1, done.stderr
    found = records(tmp_path / "s")
    assert {record.status for record in found.values()} == {Status.FAILED}
    seen(f'exit 1; {statuses(tmp_path / "s")}: "{found[0].reason}"')


@fault("a lane that is left when its command is gone", rare=True)
def test_lanes_end_with_their_command(tmp_path: Path, seen: Seen) -> None:
    with started(tmp_path, "-m", "seed=0,1", *QUICK, "trainer.act=hangs", IN_S, "hydra.launcher.lanes=2") as process:
        while len(children(process.pid)) < 2:
            time.sleep(0.05)
        lanes = children(process.pid)
        process.kill()
        begin = time.monotonic()
        while any(map(alive, lanes)):
            assert time.monotonic() < begin + 30
            time.sleep(0.05)
    seen("it ends within seconds, though its run hangs")
