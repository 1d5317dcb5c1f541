"""What a run was trained with and on: versions, git commit, device, memory."""

from __future__ import annotations

import os
import platform
import resource
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = ("fashion-sweep", "tensorflow", "keras", "hydra-core", "omegaconf", "numpy", "scikit-learn")
"""Packages whose versions a record holds."""

THREADS = "TF_NUM_INTRAOP_THREADS"
"""The environment variable that sets TensorFlow's number of threads."""


@dataclass(frozen=True)
class Code:
    """The source that runs are trained with."""

    git: dict[str, Any] | None = None  # commit, dirty; None outside a git checkout
    fingerprint: str | None = None  # SHA-256 of its files


@cache
def versions() -> dict[str, str]:
    """Package -> version, of Python and PACKAGES."""
    return {"python": platform.python_version()} | {name: metadata.version(name) for name in PACKAGES}


def peak_memory_mib() -> float:
    """Peak memory of this process in MiB: GPU memory if it has a GPU, else resident memory."""
    tf = sys.modules.get("tensorflow")
    if tf is not None and tf.config.list_logical_devices("GPU"):
        return round(float(tf.config.experimental.get_memory_info("GPU:0")["peak"]) / 2**20, 1)
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, KiB elsewhere
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20, 1)


@cache
def git_state() -> dict[str, Any] | None:
    """Commit of the checkout that holds this package, else of the current folder; None where neither is one."""
    for folder in (Path(__file__).parent, Path.cwd()):
        commit = _git(folder, "rev-parse", "HEAD")
        if commit:
            return {"commit": commit, "dirty": bool(_git(folder, "status", "--porcelain"))}
    return None


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), *arguments]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


@cache
def device() -> dict[str, Any]:
    """What TensorFlow trains on: kind (CPU or GPU), name, the host's name, intra-op threads."""
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    if not gpus:
        return cpu()
    names = [tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name) for gpu in gpus]
    return {"kind": "GPU", "name": ", ".join(names), "host": platform.node(), "threads": _threads()}


def cpu() -> dict[str, Any]:
    """The same for a CPU, without importing TensorFlow."""
    name = platform.processor() or platform.machine()
    return {"kind": "CPU", "name": name, "host": platform.node(), "threads": _threads()}


def _threads() -> int:
    """TensorFlow's intra-op threads: their number affects how sums are rounded."""
    tf = sys.modules.get("tensorflow")
    asked = tf.config.threading.get_intra_op_parallelism_threads() if tf is not None else 0
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return int(asked or os.environ.get(THREADS) or 0) or cores
