"""Processes that die, hang or are stopped: real ones, by real signals."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
from fault_table import fault
from fixture_types import Seen
from optional import present
from sweeping import (
    IN_S,
    TINY,
    alive,
    children,
    epochs,
    is_whole,
    log_of,
    records,
    run,
    started,
    statuses,
    table,
    until,
)

from fashion_sweep.storage.record import Status
from fashion_sweep.storage.sweep_dir import SweepDir

SLOW = "+callbacks.slow={_target_: faulty.Slow, seconds: 0.05}"
ONE_LANE = "hydra.launcher.lanes=1"


def failing(name: str) -> str:
    return f"+callbacks.bad={{_target_: faulty.{name}}},null"


@fault("a lane killed with -9")
def test_a_lane_that_is_killed(tmp_path: Path, seen: Seen) -> None:
    done = run(tmp_path, "-m", failing("Kill"), *TINY, "epochs=10", IN_S)
    assert done.returncode == 1, done.stderr
    found = [present(each.read_record()) for each in SweepDir(tmp_path / "s").run_dirs()]
    assert [record.status.value for record in found] == ["failed", "completed"]
    assert "killed by signal 9" in present(found[0].reason)
    assert [(record.attempt, record.epochs_run) for record in found] == [(2, 1), (1, 10)]
    seen(f"exit {done.returncode}; {statuses(tmp_path / 's')}; attempt 2: {found[0].reason}")


@fault("the command itself killed with -9")
def test_a_command_that_is_killed(tmp_path: Path, seen: Seen) -> None:
    grid = ["-m", "seed=0,1,2,3", *TINY, SLOW, "epochs=40", IN_S]
    with started(tmp_path, *grid) as process:
        until(lambda: any(r.status is Status.COMPLETED for r in records(tmp_path / "s").values()), "a finished run")
        until(lambda: max(epochs(tmp_path / "s").values()) > 3, "epochs")
        lanes = children(process.pid)
        assert len(lanes) >= 1
        process.kill()
        seconds = until(lambda: not any(map(alive, lanes)), "lanes ended")
    assert is_whole(tmp_path / "s")
    finished = {s: record.started for s, record in records(tmp_path / "s").items() if record.status is Status.COMPLETED}
    again = run(tmp_path, *grid)
    assert again.returncode == 0, again.stderr
    after = records(tmp_path / "s")
    assert [record.status for record in after.values()] == [Status.COMPLETED] * 4
    assert {seed: after[seed].started for seed in finished} == finished
    seen(f"lanes gone after {seconds:.1f} s; the same command: exit 0, {len(finished)} finished before left alone, "
         f"{statuses(tmp_path / 's')}")  # fmt: skip


def _interrupted(tmp_path: Path, *signals: signal.Signals, pause: float = 0.0) -> tuple[int, str, str, float]:
    grid = ["-m", "seed=0,1,2", *TINY, SLOW, "epochs=100000", IN_S]
    with started(tmp_path, *grid) as process:
        until(lambda: [n for n in epochs(tmp_path / "s").values() if n > 3] if (tmp_path / "s").exists() else [], "it")
        start = time.monotonic()
        for number in signals:
            process.send_signal(number)
            time.sleep(pause)
        out, err = process.communicate(timeout=60)
    assert "Traceback" not in out + err
    return process.returncode, out, err, time.monotonic() - start


@fault("Ctrl-C once")
def test_ctrl_c(tmp_path: Path, seen: Seen) -> None:
    code, out, err, seconds = _interrupted(tmp_path, signal.SIGINT)
    assert code == 130, err
    assert out.splitlines()[-1] == "Resume: python -m fashion_sweep resume=s"
    assert is_whole(tmp_path / "s")
    for run_dir in SweepDir(tmp_path / "s").run_dirs():
        record = run_dir.read_record()
        if record is not None:
            assert (record.status, record.reason) == (Status.INTERRUPTED, f"stopped after epoch {record.epochs_run}")
            assert record.epochs_run == len(run_dir.read_history())
            assert run_dir.state.exists()
    assert (tmp_path / "s" / "report" / "index.html").exists()
    shown = run(tmp_path, "resume=s", "plan=true")
    assert "interrupted, to go on" in shown.stdout
    seen(f'exit {code} after {seconds:.1f} s; {statuses(tmp_path / "s")}, states saved; "{out.splitlines()[-1]}"')


@fault("Ctrl-C twice", rare=True)
def test_ctrl_c_twice(tmp_path: Path, seen: Seen) -> None:
    code, _, err, seconds = _interrupted(tmp_path, signal.SIGINT, signal.SIGINT, pause=0.02)
    assert code == 130, err
    assert is_whole(tmp_path / "s")
    assert {record.status for record in records(tmp_path / "s").values()} == {Status.INTERRUPTED}
    seen(f"exit {code} after {seconds:.1f} s, report included; {statuses(tmp_path / 's')}; every file whole")


@fault("SIGTERM")
@pytest.mark.parametrize("launcher", [
    pytest.param(["hydra.launcher.lanes=2"], id="packed"),
    pytest.param(["hydra/launcher=basic"], id="basic", marks=pytest.mark.rare),
])  # fmt: skip
def test_sigterm(tmp_path: Path, seen: Seen, launcher: list[str]) -> None:
    grid = ["-m", "seed=0,1", *TINY, SLOW, "epochs=100000", IN_S, *launcher]
    with started(tmp_path, *grid) as process:
        until(lambda: list(tmp_path.glob("s/*/history.csv")), "an epoch")
        start = time.monotonic()
        process.terminate()
        out, err = process.communicate(timeout=60)
        seconds = time.monotonic() - start
    assert process.returncode == 143, err
    assert is_whole(tmp_path / "s")
    assert {record.status for record in records(tmp_path / "s").values()} == {Status.INTERRUPTED}
    assert "Resume: python -m fashion_sweep resume=s" in out
    assert "Traceback" not in out + err
    kind = "basic" if "basic" in launcher[0] else "packed"
    seen(f"{kind}: exit {process.returncode} after {seconds:.1f} s")


@fault("interrupted at ten random moments", rare=True)
def test_interrupted_again_and_again(tmp_path: Path, seen: Seen) -> None:
    grid = ["-m", "seed=0,1", "model.dropout=0.3", "callbacks=checkpoint_early_stopping", *TINY, SLOW, "epochs=80",
            "callbacks.early_stopping.patience=80", ONE_LANE]  # fmt: skip
    whole = run(tmp_path, *grid, "hydra.sweep.dir=whole")
    assert whole.returncode == 0, whole.stderr
    chance = random.Random(0)
    interruptions = 0
    for number in [signal.SIGINT, signal.SIGTERM, signal.SIGKILL, signal.SIGINT, signal.SIGTERM] * 2:
        with started(tmp_path, *grid, IN_S) as process:
            begun = {each: record.started for each, record in records(tmp_path / "s").items()} if interruptions else {}
            until(lambda: _goes_on(tmp_path / "s", begun) or process.poll() is not None, "a run")  # noqa: B023
            time.sleep(chance.uniform(0, 0.9))
            process.send_signal(number)
            process.communicate(timeout=60)
        interruptions += process.returncode != 0
    last = run(tmp_path, *grid, IN_S)
    assert last.returncode == 0, last.stderr
    assert table(tmp_path / "s") == table(tmp_path / "whole")
    attempts = [record.attempt for record in records(tmp_path / "s").values()]
    assert max(attempts) > 3
    seen(f"{interruptions} interruptions (SIGINT, SIGTERM, SIGKILL), runs took {attempts} attempts; equal to the last "
         "digit")  # fmt: skip


def _goes_on(sweep: Path, begun: Mapping[int, str | None]) -> bool:
    if not sweep.exists():
        return False
    now = records(sweep)
    return any(record.started != begun.get(seed) for seed, record in now.items())


@fault("a run raises")
def test_runs_that_raise(tmp_path: Path, seen: Seen) -> None:
    done = run(tmp_path, "-m", failing("Raise"), "seed=0,1", *TINY, "epochs=3", IN_S, ONE_LANE)
    assert done.returncode == 1, done.stderr
    found = [present(each.read_record()) for each in SweepDir(tmp_path / "s").run_dirs()]
    assert [record.status.value for record in found] == ["failed", "failed", "completed", "completed"]
    assert found[0].reason == "ValueError: this run fails in epoch 2"
    log = log_of(SweepDir(tmp_path / "s").run_dirs()[0])
    assert "Traceback (most recent call last):" in log
    assert "in act" in log
    listed = [line for line in done.stdout.splitlines() if line.startswith("failed ") and "ValueError" in line]
    assert len(listed) == 2
    seen(f"exit {done.returncode}; {statuses(tmp_path / 's')}; both listed: \"{found[0].reason}\"; traceback in "
         "train.log")  # fmt: skip


@fault("a run calls sys.exit(3)")
@pytest.mark.parametrize("launcher", ["packed", pytest.param("basic", marks=pytest.mark.rare)])
def test_a_run_that_exits(tmp_path: Path, seen: Seen, launcher: str) -> None:
    done = run(tmp_path, "-m", failing("Exit"), *TINY, "epochs=3", IN_S, f"hydra/launcher={launcher}")
    assert done.returncode == 1, done.stderr
    found = [present(each.read_record()) for each in SweepDir(tmp_path / "s").run_dirs()]
    assert [record.status.value for record in found] == ["failed", "completed"]
    assert found[0].reason == "the run called sys.exit(3)"
    assert "SystemExit: 3" in log_of(SweepDir(tmp_path / "s").run_dirs()[0])
    seen(f'{launcher}: exit {done.returncode}; {statuses(tmp_path / "s")}: "{found[0].reason}"')


@fault("fail_fast=true", rare=True)
def test_fail_fast(tmp_path: Path, seen: Seen) -> None:
    bad = "+callbacks.bad={_target_: faulty.Raise}"
    done = run(tmp_path, "-m", bad, "seed=0,1,2", *TINY, IN_S, "hydra.launcher.fail_fast=true",
               "hydra.launcher.lanes=1")  # fmt: skip
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    first, *others = [each.read_record() for each in SweepDir(tmp_path / "s").run_dirs()]
    assert present(first).status is Status.FAILED
    assert others == [None, None]
    seen(f"exit {done.returncode}; the first failed, two not started")


@fault("a run over run_timeout_min", rare=True)
def test_a_run_that_hangs(tmp_path: Path, seen: Seen) -> None:
    done = run(tmp_path, "-m", failing("Hang"), *TINY, "epochs=3", IN_S,
               "hydra.launcher.run_timeout_min=0.2")  # fmt: skip
    assert done.returncode == 1, done.stderr
    found = [present(each.read_record()) for each in SweepDir(tmp_path / "s").run_dirs()]
    assert [record.status.value for record in found] == ["failed", "completed"]
    assert "took longer than run_timeout_min=0.2" in present(found[0].reason)
    seen(f'exit {done.returncode}; {statuses(tmp_path / "s")}: "{found[0].reason}"')


@fault("two sweeps at once into one folder")
def test_two_sweeps_in_one_folder(tmp_path: Path, seen: Seen) -> None:
    grid = ["-m", "seed=0", *TINY, SLOW, "epochs=100000", IN_S]
    with started(tmp_path, *grid) as process:
        until(lambda: list(tmp_path.glob("s/*/history.csv")), "an epoch")
        second = run(tmp_path, *grid)
        assert process.poll() is None
    assert second.returncode == 2
    assert second.stderr.startswith(f"fashion-sweep: s is in use by process {process.pid} on ")
    assert second.stdout == ""
    told = second.stderr.splitlines()[0].partition(": ")[2].partition(" on ")[0]
    seen(f'exit {second.returncode}: "{told} on ..."')


@fault("two sweeps started in the same second", rare=True)
def test_two_sweeps_in_the_same_second(tmp_path: Path, seen: Seen) -> None:
    grid = ["-m", "seed=0", *TINY, "epochs=1"]
    with started(tmp_path, *grid) as one, started(tmp_path, *grid) as other:
        for process in (one, other):
            _, err = process.communicate(timeout=120)
            assert process.returncode == 0, err
    folders = list((tmp_path / "outputs" / "sweeps").iterdir())
    assert len(folders) == 2
    seen("two folders, 1 completed in each")
