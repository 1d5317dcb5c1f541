"""Limits of the system: descriptors, memory, processes and inodes that run out."""

from __future__ import annotations

import os
import resource
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
    assert_told_briefly,
    complaint,
    environment,
    on_a_disk,
    records,
    run,
    statuses,
    words,
)

from fashion_sweep.storage.record import Status
from fashion_sweep.storage.sweep_dir import SweepDir


def limited(folder: Path, number: int, limit: int, *more: str) -> subprocess.CompletedProcess[str]:
    def limit_it() -> None:
        resource.setrlimit(number, (limit, limit))

    return subprocess.run(words("-m", *QUICK, IN_S, *more), cwd=folder, env=environment(), capture_output=True,
                          text=True, timeout=200, check=False, preexec_fn=limit_it)  # fmt: skip


@fault("too few file descriptors for the lanes", rare=True)
@pytest.mark.parametrize("limit", [28, pytest.param(40, marks=pytest.mark.rare)])
def test_too_few_descriptors(tmp_path: Path, seen: Seen, limit: int) -> None:
    done = limited(tmp_path, resource.RLIMIT_NOFILE, limit, "hydra.launcher.lanes=12", "seed=range(12)")
    assert_told_briefly(done)
    assert done.returncode in (0, 1, 2)
    if done.returncode < 2:
        assert all(each.read_record() is not None for each in SweepDir(tmp_path / "s").run_dirs())
    told = statuses(tmp_path / "s") if done.returncode < 2 else complaint(done)
    seen(f"{limit}: exit {done.returncode}; {told}")


def group(controller: str) -> Path:
    """A control group of this test's own, version 1 or 2. The test is skipped where none can be made."""
    for root in (Path("/sys/fs/cgroup") / controller, Path("/sys/fs/cgroup")):
        place = root / f"fashion-sweep-{os.getpid()}"
        limit = place / {"memory": "memory.limit_in_bytes", "pids": "pids.max"}[controller]
        if root.name == "cgroup":
            limit = place / f"{controller}.max"
        try:
            place.mkdir()
        except OSError:
            continue
        if limit.exists():
            return limit
        place.rmdir()
    pytest.skip("no control group can be made here")


def in_group(folder: Path, limit: Path, value: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A command and all its processes under a limit."""
    limit.write_text(str(value))
    join = f'echo $$ > "{limit.parent}/cgroup.procs" && exec "$@"'
    try:
        return subprocess.run(["sh", "-c", join, "sh", *words(*arguments)], cwd=folder, env=environment(),
                              capture_output=True, text=True, timeout=300, check=False)  # fmt: skip
    finally:
        _remove(limit.parent)


def _remove(place: Path) -> None:
    for pid in (place / "cgroup.procs").read_text().split():
        os.kill(int(pid), 9)
    for _ in range(100):
        try:
            place.rmdir()
        except FileNotFoundError:
            return
        except OSError:  # until the last process is gone
            time.sleep(0.05)


@fault("the kernel kills a lane that is out of memory")
def test_a_lane_that_the_kernel_kills(tmp_path: Path, seen: Seen) -> None:
    done = in_group(tmp_path, group("memory"), 700 * 2**20, "-m", *QUICK, "trainer.act=takes_all_memory,null", IN_S)
    found = {record.config["trainer"]["act"]: record for record in
             (present(each.read_record()) for each in SweepDir(tmp_path / "s").run_dirs())}  # fmt: skip
    assert found[None].status is Status.COMPLETED, done.stderr
    assert found["takes_all_memory"].status is Status.FAILED
    assert "signal 9" in present(found["takes_all_memory"].reason)
    assert done.returncode == 1
    assert_told_briefly(done)
    seen(f'exit 1; {statuses(tmp_path / "s")}: "{found["takes_all_memory"].reason}"')


@fault("the system allows no further process", rare=True)
@pytest.mark.parametrize("most", [pytest.param(3, marks=pytest.mark.rare), 12])
def test_no_further_process(tmp_path: Path, seen: Seen, most: int) -> None:
    done = in_group(tmp_path, group("pids"), most, "-m", "seed=range(3)", *QUICK, IN_S, "hydra.launcher.lanes=3")
    assert_told_briefly(done)
    assert done.returncode in (0, 1, 2), done.stderr
    if done.returncode == 0:
        assert statuses(tmp_path / "s") == "3 completed"
    again = run(tmp_path, "-m", "seed=range(3)", *QUICK, IN_S)
    assert again.returncode == 0, again.stderr
    told = statuses(tmp_path / "s")
    seen(f"at most {most}: exit {done.returncode}; later, the same command: exit 0, {told}")


@fault("no inode is left", rare=True)
@pytest.mark.parametrize(
    "inodes", [pytest.param(330, marks=pytest.mark.rare), 380, pytest.param(420, marks=pytest.mark.rare)]
)
def test_no_inode_left(tmp_path: Path, seen: Seen, inodes: int) -> None:
    done = on_a_disk(tmp_path, f"size=64m,nr_inodes={inodes}", "-m", "seed=range(40)", *QUICK, IN_S)
    assert_told_briefly(done)
    assert done.returncode in (1, 2), done.stderr
    kept = tmp_path / "kept" / "s"
    ended = list(records(kept).values()) if kept.exists() else []
    assert all(record.status.is_final for record in ended)
    told = statuses(kept) if ended else done.stderr.strip().partition(": ")[2]
    seen(f"{inodes} inodes: exit {done.returncode}; {told}")
