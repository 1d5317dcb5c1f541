"""What the cluster launcher decides and writes before Slurm has a say."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sweeping import ON_SLURM, run

from fashion_sweep.storage.sweep_dir import SweepDir
from packed_jobs.packs import Pack, cost
from packed_jobs.slurm import cluster, tasks
from packed_jobs.slurm.options import SlurmOptions
from packed_jobs.slurm.script import batch_script
from packed_jobs.slurm.submission import FOLDER, Array, Manifest, Submission
from packed_jobs.task import PickledJob, PlannedJob


def test_the_script_is_what_was_asked_for() -> None:
    options = SlurmOptions(
        partition="gpu", gpus_per_node=1, cpus_per_task=8, mem_gb=1.5, timeout_min=90, signal_delay_s=60,
        setup=["module load cuda", "source env/bin/activate"],
        additional_parameters={"mail_user": "a b@c", "exclusive": True, "qos": None},
    )  # fmt: skip
    text = batch_script(options, name="n", folder=Path("/s w"), logs=Path("/l 50%"), python=["py"], import_path=["/c"])
    assert text.splitlines() == [
        "#!/bin/bash",
        "#SBATCH --job-name=n",
        "#SBATCH --output='/l 50%%/%A_%a.log'",
        "#SBATCH --open-mode=append",
        "#SBATCH --nodes=1",
        "#SBATCH --ntasks=1",
        "#SBATCH --requeue",
        "#SBATCH --time=90",
        "#SBATCH --signal=B:USR1@60",
        "#SBATCH --cpus-per-task=8",
        "#SBATCH --mem=1536M",
        "#SBATCH --gpus-per-node=1",
        "#SBATCH --partition=gpu",
        "#SBATCH --mail-user='a b@c'",
        "#SBATCH --exclusive",
        "module load cuda",
        "source env/bin/activate",
        "cd '/s w'",
        "trap '' USR1",
        "export PYTHONPATH=/c:$PYTHONPATH",
        "exec py -m packed_jobs.slurm.task_main '/s w' $((${1:-0} + SLURM_ARRAY_TASK_ID))",
    ]


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"timeout_min": 0}, "hydra.launcher.timeout_min is 0, expected more than 0, or null"),
        ({"max_num_timeout": -1}, "hydra.launcher.max_num_timeout is -1, expected at least 0"),
        ({"signal_delay_s": 70000}, "hydra.launcher.signal_delay_s is 70000, expected at most 65535"),
    ],
)
def test_numbers_that_slurm_cannot_take_are_refused(options: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        SlurmOptions(**options)


@pytest.mark.parametrize(
    ("text", "indices"), [("3", [3]), ("0-2,5,7-11:2%4", [0, 1, 2, 5, 7, 9, 11]), ("N/A", []), ("4%1", [4])]
)
def test_the_indices_of_pending_tasks_are_read(text: str, indices: list[int]) -> None:
    assert list(cluster.expanded(text)) == indices


def packs_of(sizes: list[int], seconds: float | None = None) -> list[Pack]:
    numbers = iter(range(sum(sizes)))
    return [[PlannedJob(PickledJob(next(numbers), b""), 0, seconds=seconds) for _ in range(size)] for size in sizes]


@given(st.lists(st.integers(1, 9), min_size=1), st.integers(1, 12), st.integers(1, 5), st.booleans())
def test_each_pack_is_in_one_task(sizes: list[int], runs: int, parallel: int, is_given: bool) -> None:
    packs = packs_of(sizes)
    options = SlurmOptions(runs_per_task=runs if is_given else None, array_parallelism=parallel)
    grouped = tasks.grouped(packs, options, lanes=1)
    assert sorted(id(pack) for task in grouped for pack in task) == sorted(map(id, packs))
    assert all(grouped)
    if is_given:
        assert all(sum(map(len, task)) <= runs or len(task) == 1 for task in grouped)
    else:
        totals = [sum(map(cost, task)) for task in grouped]
        assert len(grouped) <= tasks.ROUNDS * parallel
        assert max(totals) - min(totals) <= max(sizes)


def test_a_task_works_for_ten_minutes_where_times_are_known() -> None:
    grouped = tasks.grouped(packs_of([1] * 100, seconds=30.0), SlurmOptions(), lanes=1)
    assert [len(task) for task in grouped] == [20] * 5
    assert len(tasks.grouped(packs_of([1] * 3, seconds=1.0), SlurmOptions(), lanes=1)) == 1
    assert len(tasks.grouped(packs_of([1] * 100, seconds=30.0), SlurmOptions(), lanes=2)) == 2


@pytest.mark.parametrize(
    ("options", "lanes", "packs"),
    [
        ({}, 1, 1),
        ({"cpus_per_task": 8}, 8, 8),
        ({"gpus_per_node": 1}, 1, 1),
        ({"gpus_per_node": 1, "cpus_per_task": 8}, 4, 1),
        ({"gpus_per_node": 2, "cpus_per_task": 4}, 4, 2),
    ],
)
def test_each_core_and_gpu_of_a_task_has_a_pack(options: dict[str, Any], lanes: int, packs: int) -> None:
    assert tasks.lanes_of(SlurmOptions(**options), None) == lanes
    assert tasks.lanes_of(SlurmOptions(**options), 3) == 3
    grouped = tasks.grouped(packs_of([1] * 16), SlurmOptions(**options), lanes)
    assert [len(task) for task in grouped] == [packs] * (16 // packs)


def test_an_older_attempt_at_a_task_knows_that_it_is_one(tmp_path: Path) -> None:
    submission = Submission.new(tmp_path, "c")
    assert submission.is_current(0, 0)
    submission.begin(0, 1)
    assert [submission.is_current(0, attempt) for attempt in (0, 1, 2)] == [False, True, True]


def test_what_was_submitted_is_read_back(tmp_path: Path) -> None:
    submission = Submission.new(tmp_path, "c")
    manifest = Manifest(
        "2025-01-01", "c", [{"0": "a"}, {"1": "b"}, {"2": "c"}], [Array("x", 0, 2, 12), Array("y", 2, 1)]
    )
    submission.write_manifest(manifest)
    assert [each.read_manifest() for each in Submission.all_of(tmp_path)] == [manifest]
    assert [manifest.task_of(number) for number in range(3)] == [(12, 0), (12, 1), None]
    assert submission.path.parent == SweepDir(tmp_path).submissions
    assert submission.path.stat().st_mode & 0o777 == 0o700
    assert FOLDER in SweepDir.own_names()


@pytest.fixture
def no_slurm(tmp_path: Path) -> Callable[[str], None]:
    """Puts a command of Slurm that fails in a certain way before all others."""

    def put(script: str) -> None:
        for name in ("sbatch", "squeue", "scontrol", "scancel"):
            place = tmp_path / "bin" / name
            place.parent.mkdir(exist_ok=True)
            place.write_text(f"#!/bin/sh\n{script}\n")
            place.chmod(0o755)

    return put


def test_a_refusal_and_no_answer_are_told_apart(
    tmp_path: Path, no_slurm: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")
    monkeypatch.setattr(cluster, "RETRIES_S", (0.0,))
    no_slurm("echo 'sbatch: error: invalid partition specified: nope' >&2; exit 1")
    with pytest.raises(cluster.SlurmError, match=r"^sbatch: error: invalid partition specified: nope$"):
        cluster.submit(tmp_path / "x", array="0-1", arguments=[], comment="c")
    no_slurm("echo 'slurm_load_jobs error: Unable to contact slurm controller (connect failure)' >&2; exit 1")
    with pytest.raises(cluster.NoAnswerError):
        cluster.states([1])
    assert cluster.is_live("1_0", "c") is None


def test_a_submission_that_was_accepted_unheard_is_not_repeated(
    tmp_path: Path, no_slurm: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")
    monkeypatch.setattr(cluster, "RETRIES_S", (0.0,))
    no_slurm(
        "case $0 in *squeue) echo '11|other'; echo '12|mine';;"
        f" *) echo >> {tmp_path}/asked; echo 'Socket timed out' >&2; exit 1;; esac"
    )
    assert cluster.submit(tmp_path / "x", array="0-1", arguments=[], comment="mine") == 12
    assert len((tmp_path / "asked").read_text().splitlines()) == 1


def test_without_slurm_the_plan_is_shown_and_nothing_is_trained(tmp_path: Path) -> None:
    shown = run(tmp_path, "-m", *ON_SLURM, "seed=0,1,2", "hydra.sweep.dir=s", "plan=true", PATH=f"{tmp_path}")
    assert shown.returncode == 0, shown.stderr
    assert "Slurm tasks: 3. Runs a task: 1. Packs: 3 runs alone" in shown.stdout
    assert "sbatch --array=0-2%256 task.sh\n#!/bin/bash\n#SBATCH --job-name=fashion_sweep" in shown.stdout
    tried = run(tmp_path, "-m", *ON_SLURM, "seed=0,1,2", "hydra.sweep.dir=s", PATH=f"{tmp_path}")
    assert tried.returncode == 1
    assert "NotHereError: scontrol: No such file or directory; expected a machine of a Slurm cluster" in tried.stderr


def test_whoever_asks_after_a_sweep_imports_no_compute_library() -> None:
    heavy = {"tensorflow", "keras", "jax", "sklearn"}
    code = f"import sys, fashion_sweep.cli.cluster; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
