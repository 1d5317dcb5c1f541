"""Sweeps on a real Slurm, which the tests bring up: what becomes of runs and tasks, however they end."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import launcher_app
import pytest
from launching import Launch, values
from slurm_cluster import MAX_ARRAY_SIZE, Cluster
from slurm_sweeps import WAITING, ended, in_queue, is_training, owners, see_to
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

from fashion_sweep.storage.run_dir import RunDir
from fashion_sweep.storage.sweep_dir import SweepDir
from packed_jobs.slurm.submission import Submission

pytestmark = [pytest.mark.slurm, pytest.mark.slow]


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
