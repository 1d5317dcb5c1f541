"""Lanes: what they own, and everything that can end one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import launcher_app
import pytest
from launching import Launch, errors, lines, values
from optional import present

from packed_jobs import JobTimeoutError, LaneDiedError
from packed_jobs.local import devices


@pytest.mark.usefixtures("all_cores")
def test_lanes_are_pinned_to_cores_of_their_own(launch: Callable[..., Launch]) -> None:
    cores = sorted(os.sched_getaffinity(0))
    pinned = values(launch(launcher_app.act, f"lanes={len(cores)}")(*["+do=pinned"] * 4 * len(cores)))
    assert all(len(mine) == 1 and mine[0] in cores for mine, _ in pinned)
    assert {variables["OMP_NUM_THREADS"] for _, variables in pinned} == {"1"}
    assert {variables["TF_NUM_INTEROP_THREADS"] for _, variables in pinned} == {"1"}


def test_a_gpu_lane_sees_its_own_gpu_alone(launch: Callable[..., Launch], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,6")
    [(_, variables)] = values(launch(launcher_app.act)("+do=pinned"))
    assert variables["CUDA_VISIBLE_DEVICES"] in ("4", "6")
    assert devices.visible_gpus() == ["4", "6"]


@pytest.mark.parametrize(
    ("variable", "expected"),
    [("", []), ("-1", []), ("2", ["2"]), ("0,-1,1", ["0"]), ("GPU-a, GPU-b", ["GPU-a", "GPU-b"])],
)
def test_gpus_are_counted_as_cuda_counts_them(
    variable: str, expected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", variable)
    assert devices.visible_gpus() == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("GPU 0: A (UUID: GPU-a)\nGPU 1: B (UUID: GPU-b)\n", ["0", "1"]),
        ("GPU 0: A (UUID: GPU-a)\n  MIG 1g.5gb Device 0: (UUID: MIG-x)\n", ["MIG-x"]),
        ("No devices found.\n", []),
    ],
)
def test_what_nvidia_smi_lists_is_understood(text: str, expected: list[str]) -> None:
    assert devices.gpus_listed(text) == expected


def test_a_lane_that_dies_costs_its_job_one_try(launch: Callable[..., Launch]) -> None:
    batch = launch(launcher_app.act, "lanes=1")
    returns = batch("+do=kill_once", "+do=kill", "+do=os_exit", "+do=fine")
    once, killed, exited, fine = errors(returns)
    assert (once, fine) == (None, None)
    assert values(returns) == ["try 2", None, None, "fine"]
    assert isinstance(killed, LaneDiedError)
    assert str(killed) == "the lane of the job was killed by signal 9 (SIGKILL); it is the second that the job has lost"
    assert str(exited) == "the lane of the job ended with exit code 7; it is the second that the job has lost"
    assert len(lines(batch.folder, 1, "tries")) == 2
    assert not (batch.folder / "0" / "lost").exists()  # it was tried again
    assert lines(batch.folder, 1, "lost") == [f"kill: {killed}"]
    assert returns[1].cfg == {"do": "kill"}
    assert present(returns[1].hydra_cfg).hydra.runtime.output_dir == str(batch.folder / "1")


def test_a_job_over_its_time_is_killed(launch: Callable[..., Launch]) -> None:
    batch = launch(launcher_app.act, "lanes=1", f"run_timeout_min={1.5 / 60}")
    late, fine = errors(batch("+do=sleep", "+do=fine"))
    assert isinstance(late, JobTimeoutError)
    assert str(late) == "the job took longer than run_timeout_min=0.025 and was killed"
    assert fine is None
    assert lines(batch.folder, 0, "lost") == [f"sleep: {late}"]


def test_fail_fast_starts_nothing_after_the_first_failure(launch: Callable[..., Launch]) -> None:
    batch = launch(launcher_app.act, "lanes=1", "fail_fast=true")
    _, failed, *rest = errors(batch("+do=fine", "+do=raise", "+do=fine", "+do=fine"))
    assert str(failed) == "no such luck"
    assert [str(error) for error in rest] == ["not started: fail_fast, and a job before it failed"] * 2
    assert not (batch.folder / "2").exists()


def test_a_pack_that_kills_its_lane_runs_again_job_by_job(launch: Callable[..., Launch]) -> None:
    batch = launch(launcher_app.packed, "lanes=1", "pack_size=8")
    returns = batch("+do=x +group=g", "+do=kill +group=g", "+do=y +group=g")
    assert [value[0] for value in values(returns)] == [[0], [1], [2]]
    assert not (batch.folder / "1" / "lost").exists()


def test_a_lost_job_has_its_payload(launch: Callable[..., Launch]) -> None:
    batch = launch(launcher_app.packed, "lanes=1")
    [lost] = errors(batch("+do=die +n=5"))
    assert lines(batch.folder, 5, "lost") == [f"die: {lost}"]
    assert lines(batch.folder, 5, "payload") == ["(['+do=die', '+n=5'], 5)"]


def test_a_pack_over_its_time_runs_again_job_by_job(launch: Callable[..., Launch]) -> None:
    batch = launch(launcher_app.packed, "lanes=1", "pack_size=8", f"run_timeout_min={0.75 / 60}")
    returns = batch("+do=x +group=g", "+do=sleep +group=g")
    assert [value[0] for value in values(returns)] == [[0], [1]]


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """The app as a process of its own, once its jobs are at work."""
    started: list[subprocess.Popen[str]] = []

    def start(do: str, jobs: int = 2) -> subprocess.Popen[str]:
        words = ["-m", f"+do={do}", f"+n=range({jobs})", "hydra/launcher=packed", "hydra.launcher.lanes=2"]
        folder = [f"hydra.sweep.dir={tmp_path}", "hydra.sweep.subdir=${n}"]
        words = [sys.executable, launcher_app.__file__, *words, *folder]
        process = subprocess.Popen(words, stderr=subprocess.PIPE, text=True, cwd=tmp_path)
        started.append(process)
        wait_until(lambda: all((tmp_path / str(job) / "asleep").exists() for job in range(jobs)))
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def wait_until(holds: Callable[[], bool], seconds: float = 15) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


def lives(pid: int) -> bool:
    """Whether a process runs; one that nobody has collected is dead."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def pids(folder: Path, *jobs: int) -> list[int]:
    return [int(lines(folder, job, "tries")[0]) for job in jobs]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_sweep_lets_its_jobs_record_themselves(
    program: Callable[..., subprocess.Popen[str]], tmp_path: Path, number: int
) -> None:
    process = program("sleep")
    lanes = pids(tmp_path, 0, 1)
    process.send_signal(number)
    process.communicate(timeout=6)
    assert process.returncode != 0
    assert [lines(tmp_path, job, "interrupted") for job in (0, 1)] == [[""], [""]]  # exactly once
    assert not any(lives(pid) for pid in lanes)
    assert not (tmp_path / "0" / "lost").exists()


def test_a_second_interrupt_kills_at_once(program: Callable[..., subprocess.Popen[str]], tmp_path: Path) -> None:
    process = program("deaf")
    process.send_signal(signal.SIGINT)
    time.sleep(0.5)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=3)
    assert not any(lives(pid) for pid in pids(tmp_path, 0, 1))


@pytest.mark.slow
def test_a_job_that_does_not_hear_is_killed_and_marked(
    program: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    process = program("deaf")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=12)
    assert lines(tmp_path, 1, "lost") == ["deaf: interrupted, and killed as it did not end by itself"]
    assert not any(lives(pid) for pid in pids(tmp_path, 0, 1))


def test_lanes_end_with_a_parent_that_is_killed(program: Callable[..., subprocess.Popen[str]], tmp_path: Path) -> None:
    process = program("sleep")
    process.kill()
    wait_until(lambda: not any(lives(pid) for pid in pids(tmp_path, 0, 1)), 6)
    assert lines(tmp_path, 0, "interrupted") == [""]


@pytest.mark.parametrize(("limit", "lanes"), [("null", 1), ("0.001", 3)])
def test_a_lane_that_holds_too_much_is_replaced(launch: Callable[..., Launch], limit: str, lanes: int) -> None:
    batch = launch(launcher_app.act, "lanes=1", f"lane_memory_gib={limit}")
    returns = batch("+do=pid", "+do=pid", "+do=pid")
    assert errors(returns) == [None] * 3
    assert len(set(values(returns))) == lanes
    assert len(batch.launcher.executor.lanes.running) == 1


def test_a_launcher_that_never_launches_leaves_no_process(launch: Callable[..., Launch]) -> None:
    batch = launch(launcher_app.act, "lanes=2")
    lanes = [lane.process.pid for lane in batch.launcher.executor.lanes.running]
    assert all(lives(pid) for pid in lanes)
    del batch
    assert not any(lives(pid) for pid in lanes)


def test_surplus_lanes_are_ended(launch: Callable[..., Launch]) -> None:
    batch = launch(launcher_app.act, "lanes=3")
    batch("+do=pid")
    assert len(batch.launcher.executor.lanes.running) == 1
    batch("+do=pid", "+do=pid", "+do=pid", first=1)
    assert len(batch.launcher.executor.lanes.running) == 3


def test_nonsense_from_one_lane_harms_no_other(launch: Callable[..., Launch]) -> None:
    batch = launch(launcher_app.act, "lanes=2")
    bad, *rest = errors(batch("+do=nonsense", *["+do=nap"] * 4))
    assert str(bad) == "the lane of the job sent something that is no message; it is the second that the job has lost"
    assert rest == [None] * 4


def test_a_forked_child_does_not_speak_for_its_lane(launch: Callable[..., Launch]) -> None:
    batch = launch(launcher_app.act, "lanes=1")
    returns = batch("+do=fork", "+do=remember", "+do=remember")
    assert values(returns)[0] == "forked"
    assert [value[1] for value in values(returns)[1:]] == [1, 2]  # one process, which has run each job once


def test_what_a_job_changes_of_its_process_is_restored(launch: Callable[..., Launch]) -> None:
    batch = launch(launcher_app.act, "lanes=1")
    changed, found = values(batch("+do=change", "+do=process"))
    assert found == (changed, str(Path.cwd()), None, False)
    assert (batch.folder / "1").stat().st_mode & 0o777 == 0o777 & ~umask()


def umask() -> int:
    now = os.umask(0)
    os.umask(now)
    return now


def test_a_job_whose_folder_cannot_be_made_is_lost_and_the_others_run(launch: Callable[..., Launch]) -> None:
    batch = launch(launcher_app.act, "lanes=1")
    (batch.folder / "0").touch()
    bad, fine = errors(batch("+do=x", "+do=fine"))
    assert str(bad).startswith("the job could not be opened: FileExistsError")
    assert fine is None


def test_a_folder_that_is_renamed_is_not_made_again(launch: Callable[..., Launch], tmp_path: Path) -> None:
    batch = launch(launcher_app.plain, "lanes=1", f"hydra.sweep.dir={tmp_path / 's'}")
    assert errors(batch("+do=fine")) == [None]
    (tmp_path / "s").rename(tmp_path / "t")
    [gone] = errors(batch("+do=fine", first=1))
    assert "the folder is gone; it was renamed or deleted" in str(gone)
    assert not (tmp_path / "s").exists()


def test_lanes_that_share_a_gpu_share_its_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,6")
    monkeypatch.setattr(devices, "available_cores", lambda: list(range(16)))
    monkeypatch.delenv("XLA_PYTHON_CLIENT_MEM_FRACTION", raising=False)
    found = devices.slots(None, None)
    assert [slot.gpu for slot in found] == ["4", "6"] * 4
    assert found[0].environment()["XLA_PYTHON_CLIENT_MEM_FRACTION"] == "0.225"
    assert devices.default_pack_size(found) == (256, 64)
    monkeypatch.setattr(devices, "available_cores", lambda: [0, 1, 2])
    assert [slot.gpu for slot in devices.slots(None, None)] == ["4", "6"]
    [alone] = devices.slots(1, None)
    assert alone.environment() == {"CUDA_VISIBLE_DEVICES": "4"}
    monkeypatch.setenv("XLA_PYTHON_CLIENT_MEM_FRACTION", "0.1")
    assert devices.slots(8, None)[7].environment()["XLA_PYTHON_CLIENT_MEM_FRACTION"] == "0.1"
