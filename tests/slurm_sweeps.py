"""Sweeps on the Slurm of the tests, and how to look at their runs and tasks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from slurm_cluster import Cluster
from sweeping import IN_S, ON_SLURM, environment, statuses

from fashion_sweep.storage.lease import living_owner
from fashion_sweep.storage.sweep_dir import SweepDir
from packed_jobs.slurm.submission import Submission

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
