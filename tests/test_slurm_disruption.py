"""Sweeps on a real Slurm whose controller, nodes, disks or limits get in the way."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from optional import present
from slurm_cluster import Cluster
from slurm_sweeps import WAITING, ended, in_queue, is_training
from sweeping import (
    IN_S,
    ON_SLURM,
    SMALL,
    epochs,
    records,
    run,
    started,
    statuses,
    until,
)

from fashion_sweep.storage.sweep_dir import SweepDir

pytestmark = [pytest.mark.slurm, pytest.mark.slow]


def test_slurm_may_be_away_for_a_while(slurm: Cluster, tmp_path: Path, go: Callable[[], None]) -> None:
    with started(tmp_path, "-m", *WAITING, "seed=0,1", **slurm.environment) as command:
        until(lambda: is_training(tmp_path, 2), "training")
        slurm.end("slurmctld")
        go()
        until(lambda: statuses(tmp_path / "s") == "2 completed", "the end of the runs")
        slurm.start_controller()
        assert command.wait(timeout=90) == 0
    assert statuses(tmp_path / "s") == "2 completed"


PACED = (*SMALL[:-1], "trainer=compiled", "+callbacks.x={_target_: faulty.Paced, path: go}", "epochs=200", IN_S)
"""Runs that take two minutes, but go fast once there is a file ``go``."""


def history(sweep: Path) -> list[dict[str, float]]:
    """That of the only run, without the seconds."""
    [run] = SweepDir(sweep).run_dirs()
    return [{**row, "seconds": 0} for row in run.read_history()]


def assert_went_on(folder: Path) -> None:
    """The only run began again where it was stopped, and is what an uninterrupted one is."""
    [record] = records(folder / "s").values()
    assert (record.status.value, record.attempt) == ("completed", 2)
    [place] = SweepDir(folder / "s").run_dirs()
    assert "from epoch" in place.log.read_text()
    done = run(folder, "-m", *PACED, "seed=0", "hydra.launcher.lanes=1", "hydra.sweep.dir=here")
    assert done.returncode == 0, done.stderr
    assert history(folder / "s") == history(folder / "here")


def test_squeue_may_fail_for_a_while(slurm: Cluster, tmp_path: Path, go: Callable[[], None]) -> None:
    squeue = present(shutil.which("squeue"))
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "squeue").write_text(
        f"#!/bin/sh\n[ -e {tmp_path}/broken ] && {{ touch {tmp_path}/asked; echo Socket timed out >&2; exit 1; }}\n"
        f'exec {squeue} "$@"\n'
    )
    (tmp_path / "bin" / "squeue").chmod(0o755)
    path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
    with started(tmp_path, "-m", *WAITING, "seed=0,1", PATH=path, **slurm.environment) as command:
        until(lambda: is_training(tmp_path, 2), "training")
        (tmp_path / "broken").touch()
        until((tmp_path / "asked").exists, "a question to Slurm")
        refused = run(tmp_path, "resume=s", "plan=true", PATH=path, **slurm.environment)
        assert (refused.returncode, refused.stdout) == (2, "")
        assert "nobody can tell which of its jobs are alive (Socket timed out)" in refused.stderr
        go()
        assert command.wait(timeout=60) == 0
    assert statuses(tmp_path / "s") == "2 completed"


def test_a_full_disk_in_a_task_costs_no_record(slurm: Cluster, tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    mounted = ["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(tmp_path / "disk")]
    if subprocess.run(mounted, check=False, capture_output=True).returncode:
        pytest.skip("no file systems can be mounted here")
    try:
        done = run(tmp_path / "disk", "-m", *WAITING, "seed=0,1", "trainer.act=fills_the_disk", "trainer.wait_for=null",
                   **slurm.environment)  # fmt: skip
        assert done.returncode == 1
        assert statuses(tmp_path / "disk" / "s") == "2 failed"
    finally:
        until(lambda: subprocess.run(["umount", str(tmp_path / "disk")], check=False).returncode == 0, "unmounted")


def test_a_preempted_task_goes_on_where_it_was(slurm: Cluster, tmp_path: Path, go: Callable[[], None]) -> None:
    with started(tmp_path, "-m", *PACED, "seed=0", "hydra/launcher=packed_slurm", **slurm.environment) as command:
        until(lambda: is_training(tmp_path, 1) and sum(epochs(tmp_path / "s").values()) > 2, "three epochs")
        slurm.ask("sbatch", "--partition=urgent", "--exclusive", "--output=/dev/null", "--wrap=sleep 2")
        until(lambda: statuses(tmp_path / "s") == "1 interrupted", "preemption")
        go()
        assert command.wait(timeout=90) == 0
    until(lambda: "COMPLETED" in in_queue(tmp_path, slurm).values(), "the end of the task")
    assert_went_on(tmp_path)


LIMITED = ("hydra/launcher=packed_slurm", "hydra.launcher.timeout_min=1", "hydra.launcher.signal_delay_s=5")


def test_a_task_that_meets_its_time_limit_goes_on(slurm: Cluster, tmp_path: Path, go: Callable[[], None]) -> None:
    with started(tmp_path, "-m", *PACED, *LIMITED, "seed=0", **slurm.environment) as command:
        until(lambda: statuses(tmp_path / "s") == "1 interrupted", "the time limit")
        go()
        assert command.wait(timeout=90) == 0
    [record] = records(tmp_path / "s").values()
    assert (record.status.value, record.attempt, record.epochs_run) == ("completed", 2, 200)


def test_a_run_that_meets_the_time_limit_too_often_fails(slurm: Cluster, tmp_path: Path) -> None:
    done = run(tmp_path, "-m", *WAITING, *LIMITED, "hydra.launcher.max_num_timeout=0", "hydra.launcher.runs_per_task=2",
               "seed=0", **slurm.environment)  # fmt: skip
    assert done.returncode == 1
    [record] = records(tmp_path / "s").values()
    assert (record.status.value, record.reason) == ("failed", "timeout: it met its task's limit of 1 min 1 times")
    until(lambda: list(in_queue(tmp_path, slurm).values()) == ["FAILED"], "the end of the task")


def test_the_runs_of_a_lost_node_go_on(slurm: Cluster, tmp_path: Path, go: Callable[[], None]) -> None:
    with started(tmp_path, "-m", *WAITING, "seed=0", **slurm.environment) as command:
        until(lambda: is_training(tmp_path, 1), "training")
        slurm.end("slurmd", signal.SIGKILL)
        until(lambda: "PENDING" in in_queue(tmp_path, slurm).values(), "requeued")
        go()
        slurm.start_node()
        assert command.wait(timeout=120) == 0
    assert statuses(tmp_path / "s") == "1 completed"


def test_fail_fast_cancels_what_has_not_begun(slurm: Cluster, tmp_path: Path) -> None:
    done = run(tmp_path, "-m", *ON_SLURM, "trainer.act=raises", "seed=0,1,2", IN_S, "hydra.launcher.fail_fast=true",
               "hydra.launcher.array_parallelism=1", **slurm.environment)  # fmt: skip
    assert done.returncode == 1
    found = statuses(tmp_path / "s")
    assert "1 failed" in found or "2 failed" in found  # Slurm may start the next task before the first is heard of
    assert "3 failed" not in found
    assert "RunFailedError: " in done.stderr
    until(lambda: ended(tmp_path, slurm), "cancelled")
