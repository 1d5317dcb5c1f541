"""Sweeps on a real Slurm, which the tests bring up: what becomes of runs and tasks, however they end."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import launcher_app
import pytest
from launching import Launch, values
from optional import present
from slurm_cluster import MAX_ARRAY_SIZE, Cluster
from sweeping import (
    IN_S,
    ON_SLURM,
    SMALL,
    alive,
    by_act,
    environment,
    epochs,
    records,
    run,
    started,
    statuses,
    table,
    until,
)

from fashion_sweep.storage.lease import living_owner
from fashion_sweep.storage.run_dir import RunDir
from fashion_sweep.storage.sweep_dir import SweepDir
from packed_jobs.slurm.submission import Submission

pytestmark = [pytest.mark.slurm, pytest.mark.slow]
WAITING = (*ON_SLURM, "trainer.wait_for=go", IN_S)
"""Runs that do not end their first epoch before there is a file ``go``."""


def see_to(folder: Path, command: str, slurm: Cluster) -> subprocess.CompletedProcess[str]:
    """``fashion-sweep cluster COMMAND s``."""
    words = [sys.executable, "-m", "fashion_sweep", "cluster", command, "s"]
    return subprocess.run(words, cwd=folder, env=environment(**slurm.environment), capture_output=True, text=True,
                          timeout=120, check=False)  # fmt: skip


def in_queue(folder: Path, slurm: Cluster) -> dict[str, str]:
    """Task -> state, of those of the sweep that squeue lists."""
    arrays = {str(array.job) for each in Submission.all_of(folder / "s") for array in each.read_manifest().arrays}
    lines = slurm.ask("squeue", "--noheader", "--array", "--states=all", "--format=%F %K %T").splitlines()
    found = [line.split() for line in lines]
    return {f"{array}_{index}": state for array, index, state in found if array in arrays}


def is_training(folder: Path, count: int) -> bool:
    """Whether so many runs have started and not ended."""
    return statuses(folder / "s") == f"{count} running"


def owners(folder: Path) -> list[int]:
    """The processes that own runs."""
    found = [living_owner(run.path) for run in SweepDir(folder / "s").run_dirs()]
    return [owner.pid for owner in found if owner is not None]


def ended(folder: Path, slurm: Cluster) -> bool:
    """Whether no task of the sweep is left."""
    return not {"PENDING", "RUNNING", "COMPLETING"} & set(in_queue(folder, slurm).values())


@pytest.fixture
def go(tmp_path: Path) -> Callable[[], None]:
    """Lets waiting runs go on."""
    return (tmp_path / "go").touch


def test_a_sweep_is_what_it_is_on_this_machine(slurm: Cluster, tmp_path: Path) -> None:
    grid = (*SMALL[:-1], "trainer=compiled", "optimizer=sgd,adam", "model.dropout=0,0.3")
    here = run(tmp_path, "-m", *grid, "hydra.sweep.dir=here", "hydra.launcher.lanes=1")
    there = run(tmp_path, "-m", *grid, IN_S, "hydra/launcher=packed_slurm", "hydra.launcher.runs_per_task=2",
                **slurm.environment)  # fmt: skip
    assert (here.returncode, there.returncode) == (0, 0), there.stderr
    assert table(tmp_path / "here") == table(tmp_path / "s")
    assert there.stderr == ""
    until(lambda: sorted(in_queue(tmp_path, slurm).values()) == ["COMPLETED"] * 2, "the end of the tasks")
    assert list((tmp_path / "s" / "slurm").rglob("*.pickle")) == []
    histories = [
        {each.path.name: [{**row, "seconds": 0} for row in each.read_history()] for each in SweepDir(sweep).run_dirs()}
        for sweep in (tmp_path / "here", tmp_path / "s")
    ]
    assert histories[0] == histories[1]


def test_a_task_fails_in_slurm_where_a_run_of_it_fails(slurm: Cluster, tmp_path: Path) -> None:
    done = run(tmp_path, "-m", *ON_SLURM, "trainer.act=null,raises", IN_S, **slurm.environment)
    assert done.returncode == 1, done.stderr
    assert by_act(tmp_path / "s")["raises"].reason == "ValueError: this run raises"
    assert statuses(tmp_path / "s") == "1 completed, 1 failed"
    until(lambda: sorted(in_queue(tmp_path, slurm).values()) == ["COMPLETED", "FAILED"], "the end of the tasks")


def test_a_lane_that_dies_is_replaced_in_its_task(slurm: Cluster, tmp_path: Path) -> None:
    run(tmp_path, "-m", *ON_SLURM, "trainer.act=null,kills_itself", "hydra.launcher.runs_per_task=2", IN_S,
        **slurm.environment)  # fmt: skip
    assert statuses(tmp_path / "s") == "1 completed, 1 failed"
    reason = by_act(tmp_path / "s")["kills_itself"].reason
    assert reason == "the lane of the job was killed by signal 9 (SIGKILL); it is the second that the job has lost"
    until(lambda: list(in_queue(tmp_path, slurm).values()) == ["FAILED"], "the end of the tasks")


def test_more_tasks_than_an_array_may_have_become_several(slurm: Cluster, tmp_path: Path) -> None:
    count = MAX_ARRAY_SIZE + 2
    seeds = ",".join(map(str, range(count)))
    quick = [each.replace("acting", "nothing") for each in ON_SLURM]
    done = run(tmp_path, "-m", *quick, f"seed={seeds}", IN_S, **slurm.environment)
    assert done.returncode == 0, done.stderr
    [submission] = Submission.all_of(tmp_path / "s")
    assert [array.size for array in submission.read_manifest().arrays] == [MAX_ARRAY_SIZE, 2]
    assert {seed: record.best["val_loss"] for seed, record in records(tmp_path / "s").items() if record.best} == {
        seed: 1 / (1 + seed) for seed in range(count)
    }


def test_each_task_has_a_gpu_of_its_own(
    slurm: Cluster, launch: Callable[..., Launch], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in slurm.environment.items():
        monkeypatch.setenv(name, value)
    batch = launch(launcher_app.act, "hydra/launcher=packed_slurm", "gpus_per_node=1", "lanes=1", "runs_per_task=1")
    assert sorted(values(batch("+do=meet", "+do=meet"))) == ["0", "1"]


def test_a_cancelled_task_costs_its_own_runs(slurm: Cluster, tmp_path: Path, go: Callable[[], None]) -> None:
    with started(tmp_path, "-m", *WAITING, "seed=0,1", **slurm.environment) as command:
        until(lambda: is_training(tmp_path, 2), "training")
        first = min(in_queue(tmp_path, slurm))
        slurm.ask("scancel", first)
        until(lambda: in_queue(tmp_path, slurm)[first] == "CANCELLED", "cancelled")
        go()
        assert command.wait(timeout=60) == 1
    assert records(tmp_path / "s")[0].reason == "interrupted: its Slurm task was cancelled"
    assert statuses(tmp_path / "s") in ("1 interrupted, 1 completed", "1 completed, 1 interrupted")


def test_a_killed_task_is_submitted_again(slurm: Cluster, tmp_path: Path, go: Callable[[], None]) -> None:
    with started(
        tmp_path, "-m", *WAITING, "seed=0,1", "hydra.launcher.runs_per_task=2", **slurm.environment
    ) as command:
        until(lambda: is_training(tmp_path, 1), "training")
        [lane] = owners(tmp_path)
        task = int(Path(f"/proc/{lane}/stat").read_text().rpartition(")")[2].split()[1])
        os.kill(task, signal.SIGKILL)
        until(lambda: not alive(lane), "end of the lane")
        go()
        assert command.wait(timeout=90) == 0
    assert statuses(tmp_path / "s") == "2 completed"
    [submission] = Submission.all_of(tmp_path / "s")
    assert [len(names) for names in submission.read_manifest().tasks] == [2, 1, 1]
    until(
        lambda: sorted(in_queue(tmp_path, slurm).values()) == ["COMPLETED", "COMPLETED", "FAILED"],
        "the end of the tasks",
    )


def test_ctrl_c_cancels_the_tasks(slurm: Cluster, tmp_path: Path) -> None:
    with started(tmp_path, "-m", *WAITING, "seed=0,1", **slurm.environment) as command:
        until(lambda: is_training(tmp_path, 2), "training")
        command.send_signal(signal.SIGINT)
        assert command.wait(timeout=60) == 130
    assert ended(tmp_path, slurm)
    assert statuses(tmp_path / "s") == "2 interrupted"
    assert {record.reason for record in records(tmp_path / "s").values()} == {"stopped after epoch 0"}


def test_runs_go_on_without_the_command_and_have_one_trainer(
    slurm: Cluster, tmp_path: Path, go: Callable[[], None]
) -> None:
    with started(tmp_path, "-m", *WAITING, "seed=0,1,2", "hydra.launcher.array_parallelism=2",
                 **slurm.environment) as command:  # fmt: skip
        until(lambda: is_training(tmp_path, 2), "training")
        command.kill()
        command.wait()
        before = sorted(owners(tmp_path))
        shown = run(tmp_path, "resume=s", "plan=true", **slurm.environment)
        assert shown.stdout.count("left to Slurm job") == 3, shown.stdout
        assert "3 runs, 2 running, 0 to train" in shown.stdout
        resumed = run(tmp_path, "resume=s", **slurm.environment)
        assert "3 runs are queued or trained already, and left to Slurm job" in resumed.stdout
        assert resumed.returncode == 1
        assert sorted(owners(tmp_path)) == before
        assert "3 runs: 1 pending, 2 running." in see_to(tmp_path, "collect", slurm).stdout
        go()
        followed = see_to(tmp_path, "follow", slurm)
    assert followed.returncode == 0, followed.stderr
    assert "[3/3]" in followed.stdout
    assert statuses(tmp_path / "s") == "3 completed"
    assert all(
        RunDir(run.path).log.read_text().count("Training seed") == 1 for run in SweepDir(tmp_path / "s").run_dirs()
    )


def test_half_a_sweep_is_resumed(slurm: Cluster, tmp_path: Path, go: Callable[[], None]) -> None:
    with started(tmp_path, "-m", *WAITING, "seed=0,1", "hydra.launcher.array_parallelism=1",
                 **slurm.environment) as command:  # fmt: skip
        until(lambda: is_training(tmp_path, 1), "training")
        command.kill()
        command.wait()
    assert see_to(tmp_path, "cancel", slurm).returncode == 0
    until(lambda: ended(tmp_path, slurm), "cancelled")
    assert statuses(tmp_path / "s") == "1 interrupted"
    go()
    done = run(tmp_path, "resume=s", **slurm.environment)
    assert done.returncode == 0, done.stderr
    assert epochs(tmp_path / "s") == dict.fromkeys(epochs(tmp_path / "s"), 2)
    assert len(Submission.all_of(tmp_path / "s")) == 2


def test_a_detached_sweep_is_followed_later(slurm: Cluster, tmp_path: Path, go: Callable[[], None]) -> None:
    done = run(tmp_path, "-m", *WAITING, "seed=0,1", "hydra.launcher.detach=true", **slurm.environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert "fashion-sweep cluster follow s" in done.stdout
    assert not (tmp_path / "s" / "report").exists()
    until(lambda: is_training(tmp_path, 2), "training")
    status = see_to(tmp_path, "status", slurm)
    assert status.returncode == 1
    assert "Tasks: 2 RUNNING" in status.stdout
    assert "s: 2 running" in status.stdout
    go()
    followed = see_to(tmp_path, "follow", slurm)
    assert followed.returncode == 0, followed.stderr
    assert "2 runs: 2 completed" in followed.stdout
    assert list((tmp_path / "s" / "slurm").rglob("*.pickle")) == []
    assert see_to(tmp_path, "status", slurm).returncode == 0


def test_a_wrong_option_is_told_in_slurms_words(slurm: Cluster, tmp_path: Path) -> None:
    done = run(tmp_path, "-m", *ON_SLURM, "hydra.launcher.partition=nope", "seed=0,1", IN_S, **slurm.environment)
    assert done.returncode == 1
    assert "SlurmError: sbatch: error: invalid partition specified: nope" in done.stderr


def test_the_code_at_submission_is_what_trains(slurm: Cluster, tmp_path: Path, go: Callable[[], None]) -> None:
    (tmp_path / "mine.py").write_text((Path(__file__).parent / "faulty_trainer.py").read_text())
    mine = [each.replace("faulty_trainer", "mine") for each in WAITING]
    with started(tmp_path, "-m", *mine, "seed=0,1", "hydra.launcher.array_parallelism=1",
                 PYTHONPATH=f"{tmp_path}:{environment()['PYTHONPATH']}", **slurm.environment) as command:  # fmt: skip
        until(lambda: is_training(tmp_path, 1), "training")
        (tmp_path / "mine.py").write_text("raise ValueError('edited')")
        go()
        assert command.wait(timeout=90) == 0
    assert statuses(tmp_path / "s") == "2 completed"


def test_two_sweeps_do_not_meet(slurm: Cluster, tmp_path: Path, go: Callable[[], None]) -> None:
    with started(tmp_path, "-m", *WAITING, "seed=0,1", **slurm.environment) as command:
        until(lambda: is_training(tmp_path, 2), "training")
        other = run(tmp_path, "-m", *ON_SLURM, "seed=0", "hydra.sweep.dir=other", **slurm.environment)
        assert other.returncode == 0, other.stderr
        go()
        assert command.wait(timeout=60) == 0


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
