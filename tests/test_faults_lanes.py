"""What a run leaves behind in its lane, and how lanes die: the runs beside and after it are none the worse."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from fault_table import fault
from fixture_types import Seen
from optional import present
from sweeping import IN_S, QUICK, SMALL, alive, by_act, children, run, started, statuses, until

from fashion_sweep.storage.record import RunRecord, Status
from fashion_sweep.storage.sweep_dir import SweepDir

UNCHANGED = {
    "environment": ["HOME"], "handlers": [False, False], "blocked": [], "limits": [True, True], "path": True,
    "streams": True, "logging": True,
}  # fmt: skip
KERAS = ["float32", 1e-07, "channels_last", "float32"]
LEFT = {
    "a run changes the current folder": "changes_folder",
    "a run deletes the folder that it has changed to": "removes_its_folder",
    "a run sets the umask to 777": "sets_umask",
    "a run changes the environment": "sets_environment",
    "a run ignores and blocks signals": "sets_handlers",
    "a run lowers its limits of open files and of the size of files": "sets_limits",
    "a run empties sys.path and sys.modules": "breaks_imports",
    "a run turns logging off": "breaks_logging",
    "a run takes sys.stdout and sys.stderr away": "replaces_streams",
}
"""Fault -> what the run does."""


def ending(record: RunRecord) -> str:
    """What became of a run, with its reason if it has one."""
    return f'{record.status.value}: "{record.reason}"' if record.reason else record.status.value


@fault(*LEFT)
@pytest.mark.parametrize("launcher", ["packed", pytest.param("basic", marks=pytest.mark.rare)])
def test_state_that_a_run_leaves(tmp_path: Path, seen: Seen, launcher: str) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    umask = os.umask(0o022)
    grid = ["-m", *QUICK, f"trainer.act={','.join([*LEFT.values(), 'looks_around'])}", IN_S]
    lanes = [f"hydra/launcher={launcher}"]
    if launcher == "basic":
        grid.remove("hydra.launcher.lanes=1")
    try:
        done = run(tmp_path, *grid, *lanes, ELSEWHERE=str(elsewhere), WITNESS=str(tmp_path / "witness.json"))
    finally:
        os.umask(umask)
    records = by_act(tmp_path / "s")
    assert present(records.get("looks_around")).status is Status.COMPLETED, done.stderr
    assert set(records) == {*LEFT.values(), "looks_around"}
    found = json.loads((tmp_path / "witness.json").read_text())
    assert found.pop("folder") == str(tmp_path)
    assert found.pop("umask") == "0o22"
    assert found == UNCHANGED
    assert list(elsewhere.iterdir()) == []
    modes = {run_dir.path.name: run_dir.path.stat().st_mode & 0o777 for run_dir in SweepDir(tmp_path / "s").run_dirs()}
    assert set(modes.values()) == {0o755}
    assert done.returncode == (0 if all(r.status is Status.COMPLETED for r in records.values()) else 1)
    for row, act in LEFT.items():
        seen(f"{launcher}: {records[act].status.value}; the runs after it find what the first one found", row)


@fault("a callback sets Keras' floatx, epsilon, data format and policy", rare=True)
def test_keras_settings_that_a_run_leaves(tmp_path: Path, seen: Seen) -> None:
    acts = "{_target_: faulty.Act, act: sets_keras},{_target_: faulty.Act, act: looks_around}"
    done = run(tmp_path, "-m", f"+callbacks.x={acts}", *SMALL, IN_S, WITNESS=str(tmp_path / "witness.json"))
    records = by_act(tmp_path / "s")
    assert records["looks_around"].status is Status.COMPLETED, done.stderr
    assert json.loads((tmp_path / "witness.json").read_text())["keras"] == KERAS
    seen(f"{records['sets_keras'].status.value}; the run after it finds {', '.join(map(str, KERAS))}")


CRASHES = {
    "a run calls os._exit(0)": "exits_with_zero",
    "a run has a segmentation fault": "segfaults",
    "a run aborts": "aborts",
    "a run overflows the stack": "overflows",
    "a run kills its process group": "kills_its_group",
    "a run closes all file descriptors": "closes_everything",
}
STOPS = {
    "a run stops itself with SIGSTOP": "stops",
    "a run closes the lane's file descriptors": "closes_descriptors",
}


def assert_others_completed(records: dict[str | None, RunRecord], acts: set[str], error: str) -> None:
    assert present(records.get(None)).status is Status.COMPLETED, error
    assert set(records) == {None, *acts}
    assert all(each.status.is_final for each in records.values())


@fault(*CRASHES, rare=True)
def test_runs_that_crash(tmp_path: Path, seen: Seen) -> None:
    done = run(tmp_path, "-m", *QUICK, f"trainer.act={','.join([*CRASHES.values(), 'null'])}", IN_S,
               "hydra.launcher.lanes=2")  # fmt: skip
    records = by_act(tmp_path / "s")
    assert_others_completed(records, set(CRASHES.values()), done.stderr)
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    for row, act in CRASHES.items():
        assert records[act].status in (Status.FAILED, Status.COMPLETED)
        seen(f"{ending(records[act])}; the others finish", row)


@fault(*STOPS, rare=True)
def test_runs_that_stop(tmp_path: Path, seen: Seen) -> None:
    done = run(tmp_path, "-m", *QUICK, f"trainer.act={','.join([*STOPS.values(), 'null'])}", IN_S,
               "hydra.launcher.run_timeout_min=0.1")  # fmt: skip
    records = by_act(tmp_path / "s")
    assert_others_completed(records, set(STOPS.values()), done.stderr)
    assert done.returncode == 1, done.stderr
    for row, act in STOPS.items():
        seen(f"{ending(records[act])}; the others finish", row)


CHILDREN = {
    "a run's forked child goes on as if it were the run": "forks_and_returns",
    "a run's forked child calls sys.exit": "forks_and_exits",
    "a run's forked child raises": "forks_and_raises",
    "a run leaves a forked child that holds all that is open": "leaves_a_child",
    "a run leaves a daemon in a session of its own": "leaves_a_daemon",
    "a run leaves a thread that does not end": "leaves_a_thread",
}


@fault(*CHILDREN)
def test_children_that_runs_leave(tmp_path: Path, seen: Seen) -> None:
    with started(tmp_path, "-m", *QUICK, f"trainer.act={','.join([*CHILDREN.values(), 'null'])}", IN_S) as process:
        until(lambda: children(process.pid), "a lane")
        lanes = children(process.pid)
        process.wait(timeout=120)  # not for the end of its output, which the children hold open
    records = by_act(tmp_path / "s")
    assert_others_completed(records, set(CHILDREN.values()), "")
    assert not any(map(alive, lanes))
    assert process.returncode == 0
    for row, act in CHILDREN.items():
        record = records[act]
        assert (record.status, record.attempt, record.epochs_run) == (Status.COMPLETED, 1, 2)
        rows = (tmp_path / "s" / record.run / "history.csv").read_text().splitlines()
        assert len(rows) == 3
        seen("completed, its history is the run's own; the runs after it complete; the command ends, exit 0", row)


@fault("a callback's forked child goes on as if it were the run", rare=True)
def test_a_callback_that_forks(tmp_path: Path, seen: Seen) -> None:
    acts = ",".join(f"{{_target_: faulty.Act, act: {act}}}" for act in ("forks_and_returns", "prints", "null"))
    done = run(tmp_path, "-m", f"+callbacks.x={acts}", *SMALL, IN_S)
    records = by_act(tmp_path / "s")
    assert [present(records.get(act)).status for act in ("prints", None)] == [Status.COMPLETED] * 2, done.stderr
    seen(f"exit {done.returncode}; {records['forks_and_returns'].status.value}; the runs after it complete")


TALK = {
    "bytes that are no message on a lane's connection": "sends_bytes",
    "objects that are no message on a lane's connection": "sends_objects",
    "a lane that says twice that it is ready": "sends_messages_again",
}


@fault(*TALK)
def test_lanes_that_talk_nonsense(tmp_path: Path, seen: Seen) -> None:
    done = run(tmp_path, "-m", "seed=0,1", *QUICK, f"trainer.act={','.join([*TALK.values(), 'null'])}", IN_S,
               "hydra.launcher.lanes=2")  # fmt: skip
    read = [present(each.read_record()) for each in SweepDir(tmp_path / "s").run_dirs()]
    assert len(read) == 2 * len(TALK) + 2
    assert all(record.status.is_final for record in read)
    good = [record for record in read if record.config["trainer"]["act"] is None]
    assert [record.status for record in good] == [Status.COMPLETED] * 2, done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "s" / "launch_error.txt").exists() or done.returncode == 1
    for row, act in TALK.items():
        found = {record.status.value for record in read if record.config["trainer"]["act"] == act}
        seen(f"its runs: {', '.join(sorted(found))}; those of other lanes complete; exit {done.returncode}", row)


@fault("every run kills its lane", rare=True)
def test_lanes_that_are_killed_again_and_again(tmp_path: Path, seen: Seen) -> None:
    done = run(tmp_path, "-m", "seed=0,1,2", *QUICK, "trainer.act=kills_its_group", IN_S, "hydra.launcher.lanes=2")
    assert done.returncode == 1, done.stderr
    assert statuses(tmp_path / "s") == "3 failed"
    assert "Traceback" not in done.stderr
    seen(f"exit 1; {statuses(tmp_path / 's')}; every run is tried twice")
