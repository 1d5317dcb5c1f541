"""Signals to the command and to its lanes, early, late and all at once; and killings without end."""

from __future__ import annotations

import contextlib
import os
import random
import signal
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
    SMALL,
    alive,
    children,
    epochs,
    is_whole,
    records,
    run,
    script,
    started,
    statuses,
    table,
    until,
)

from fashion_sweep.storage.record import Status
from fashion_sweep.storage.sweep_dir import SweepDir

RESUME = "Resume: python -m fashion_sweep resume=s"


def has_epochs(sweep: Path, count: int) -> bool:
    return sweep.exists() and sum(number > 0 for number in epochs(sweep).values()) >= count


@fault("SIGTERM to every process at once")
@pytest.mark.parametrize("trainer", [QUICK, pytest.param(SMALL, marks=pytest.mark.rare)], ids=["quick", "keras"])
def test_sigterm_to_all(tmp_path: Path, seen: Seen, trainer: tuple[str, ...]) -> None:
    slow = "trainer.seconds=2" if trainer == QUICK else "+callbacks.x={_target_: faulty.Slow, seconds: 2}"
    with started(tmp_path, "-m", "seed=0,1", *trainer, "epochs=30", slow, IN_S, "hydra.launcher.lanes=2") as process:
        until(lambda: has_epochs(tmp_path / "s", 2), "two runs")
        before = epochs(tmp_path / "s")
        for pid in (*children(process.pid), process.pid):
            os.kill(pid, signal.SIGTERM)
        out, err = process.communicate(timeout=60)
    after = epochs(tmp_path / "s")
    assert process.returncode == 143, err
    assert RESUME in out
    assert "Traceback" not in out + err
    found = records(tmp_path / "s")
    assert {record.status for record in found.values()} == {Status.INTERRUPTED}
    assert {name: after[name] - before[name] for name in before} == dict.fromkeys(before, 1)
    seen(f"exit 143; {statuses(tmp_path / 's')}, each after the epoch that was running")


@fault("SIGTERM to a lane alone", rare=True)
def test_sigterm_to_a_lane(tmp_path: Path, seen: Seen) -> None:
    with started(tmp_path, "-m", "seed=0,1", *QUICK, "epochs=4", "trainer.seconds=0.5", IN_S) as process:
        until(lambda: has_epochs(tmp_path / "s", 1), "an epoch")
        os.kill(children(process.pid)[0], signal.SIGTERM)
        out, err = process.communicate(timeout=60)
    assert "Traceback" not in out + err
    assert all(
        record.status.is_final or record.status is Status.INTERRUPTED for record in records(tmp_path / "s").values()
    )
    assert is_whole(tmp_path / "s")
    assert run(tmp_path, "resume=s").returncode == 0
    seen(f"exit {process.returncode}; then resume= completes all: {statuses(tmp_path / 's')}")


@fault("Ctrl-C in the first second")
def test_ctrl_c_at_once(tmp_path: Path, seen: Seen) -> None:
    codes = []
    for pause in (0.2, 0.5, 0.8, 1.1):
        with started(tmp_path, "-m", *QUICK, "seed=0,1,2", IN_S) as process:
            time.sleep(pause)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=60)
        assert "Traceback" not in out + err, pause
        codes.append(process.returncode)
    assert set(codes) <= {130, -signal.SIGINT}, codes  # Python itself may not have begun
    seen(f"exit {', '.join(map(str, codes))}, no traceback")


@fault("SIGTERM in the first second", rare=True)
def test_sigterm_at_once(tmp_path: Path, seen: Seen) -> None:
    codes = []
    for pause in (0.2, 0.5, 0.8, 1.1):
        with started(tmp_path, "-m", *QUICK, "seed=0,1,2", IN_S) as process:
            time.sleep(pause)
            process.terminate()
            out, err = process.communicate(timeout=60)
        assert "Traceback" not in out + err, pause
        codes.append(process.returncode)
    assert set(codes) <= {143, -signal.SIGTERM}, codes
    seen(f"exit {', '.join(map(str, codes))}, no traceback")


@fault("Ctrl-C while the report is written", rare=True)
def test_ctrl_c_during_the_report(tmp_path: Path, seen: Seen) -> None:
    with started(tmp_path, "-m", "seed=0,1", *QUICK, IN_S) as process:
        until(lambda: statuses(tmp_path / "s") == "2 completed" if (tmp_path / "s").exists() else False, "all runs")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert "Traceback" not in out + err, err
    assert process.returncode in (0, 130), err
    assert process.returncode == 0 or RESUME in out
    assert statuses(tmp_path / "s") == "2 completed"
    assert script(tmp_path, "report", "s", "--strict").returncode == 0
    seen(f"exit {process.returncode}; the runs are whole, and the report's command writes it")


@fault("Ctrl-C during the runs, again during the report", rare=True)
def test_ctrl_c_during_the_late_report(tmp_path: Path, seen: Seen) -> None:
    with started(tmp_path, "-m", "seed=0,1,2", *QUICK, "epochs=500", "trainer.seconds=0.1", IN_S) as process:
        until(lambda: has_epochs(tmp_path / "s", 1), "an epoch")
        process.send_signal(signal.SIGINT)
        until(lambda: {record.status for record in records(tmp_path / "s").values()} == {Status.INTERRUPTED}, "the end")
        time.sleep(0.4)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert RESUME in out
    assert "Traceback" not in out + err
    seen(f'exit 130; "{RESUME}"')


@pytest.mark.parametrize("number", [
    pytest.param(signal.SIGQUIT, marks=fault("SIGQUIT", rare=True)),
    pytest.param(signal.SIGUSR1, marks=fault("SIGUSR1", rare=True)),
])  # fmt: skip
def test_other_signals(tmp_path: Path, seen: Seen, number: signal.Signals) -> None:
    with started(tmp_path, "-m", "seed=0,1", *QUICK, f"trainer.wait_for={tmp_path}/go", IN_S) as process:
        until(lambda: list(tmp_path.glob("s/*/run.json")), "a run")
        lanes = children(process.pid)
        process.send_signal(number)
        process.communicate(timeout=60)
        until(lambda: not any(map(alive, lanes)), "lanes ended")
    assert process.returncode == -number
    assert is_whole(tmp_path / "s")
    (tmp_path / "go").touch()
    done = run(tmp_path, "resume=s")
    assert done.returncode == 0, done.stderr
    seen(f"ends the command and its lanes; every file whole; then resume=: {statuses(tmp_path / 's')}")


@fault("the command is suspended and goes on (SIGTSTP, SIGCONT)", rare=True)
def test_a_command_that_is_suspended(tmp_path: Path, seen: Seen) -> None:
    with started(tmp_path, "-m", "seed=0,1", *QUICK, "epochs=4", "trainer.seconds=0.2", IN_S) as process:
        until(lambda: has_epochs(tmp_path / "s", 1), "an epoch")
        process.send_signal(signal.SIGTSTP)
        time.sleep(3)
        process.send_signal(signal.SIGCONT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    seen(f"exit 0; {statuses(tmp_path / 's')}")


@fault("reports while a sweep trains", rare=True)
def test_reports_during_a_sweep(tmp_path: Path, seen: Seen) -> None:
    with started(tmp_path, "-m", "seed=0,1,2", *QUICK, "epochs=40", "trainer.seconds=0.05", IN_S) as process:
        until(lambda: has_epochs(tmp_path / "s", 1), "an epoch")
        codes = [script(tmp_path, "report", "s", "--strict").returncode for _ in range(3)]
        _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert set(codes) == {0}
    assert len(table(tmp_path / "s")) == 3
    seen(f"3 reports, exit 0 with --strict each; the sweep: {statuses(tmp_path / 's')}")


KILLS = 200
BUDGET_S = 400
GRID = ("-m", "seed=range(6)", *QUICK, "epochs=12", "trainer.seconds=0.05", "hydra.launcher.lanes=2")


def _kill_one(process: subprocess.Popen[str], chance: random.Random) -> bool:
    """Kill the command or one of its lanes. Returns whether it was the command."""
    pids = [process.pid, *children(process.pid)]
    chosen = chance.choice(pids)
    with contextlib.suppress(ProcessLookupError):
        os.kill(chosen, signal.SIGKILL)
    return chosen == process.pid


@fault("the command and its lanes killed with -9, two hundred times at random", rare=True)
def test_two_hundred_killings(tmp_path: Path, seen: Seen) -> None:
    """A lane that is killed twice fails its run, which a later command tries again."""
    whole = run(tmp_path, *GRID, "hydra.sweep.dir=whole")
    assert whole.returncode == 0, whole.stderr
    chance, kills, commands, begin = random.Random(0), 0, 0, time.monotonic()
    while kills < KILLS and time.monotonic() < begin + BUDGET_S:
        commands += 1
        with started(tmp_path, *GRID, IN_S) as process:
            time.sleep(chance.uniform(0.3, 2.0))
            while process.poll() is None and kills < KILLS:
                kills += 1
                if _kill_one(process, chance):
                    break
                time.sleep(chance.expovariate(3))
        if process.returncode == 0 and kills < KILLS:  # all done: begin with some runs anew
            for run_dir in chance.sample(SweepDir(tmp_path / "s").run_dirs(), 3):
                run_dir.record.unlink(missing_ok=True)
    for _ in range(3):
        last = run(tmp_path, *GRID, IN_S)
    assert last.returncode == 0, last.stderr
    assert is_whole(tmp_path / "s")
    assert without_seconds(tmp_path / "s") == without_seconds(tmp_path / "whole")
    assert kills > KILLS / 2
    hidden = [path.name for path in (tmp_path / "s").rglob(".[0-9]*.*")]
    assert hidden == []
    seen(f"{kills} killings of {commands} commands and their lanes; then {statuses(tmp_path / 's')}, every history and "
         "the table equal to the last digit")  # fmt: skip


def without_seconds(sweep: Path) -> list[object]:
    """The table, and the epochs of all runs, without what took how long."""
    rows = [{key: value for key, value in row.items() if key not in ("sweep", "attempt")} for row in table(sweep)]
    histories = [
        [{key: value for key, value in row.items() if key != "seconds"} for row in run_dir.read_history()]
        for run_dir in SweepDir(sweep).run_dirs()
    ]
    ended = [present(run_dir.read_record()).status for run_dir in SweepDir(sweep).run_dirs()]
    return [rows, histories, ended]
