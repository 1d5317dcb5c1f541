"""What a run was trained with and on: versions, git commit, device, memory.

Keras computes with TensorFlow or with JAX; the one that it has not imported is not imported here either.
"""

from __future__ import annotations

import os
import platform
import resource
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = ("fashion-sweep", "keras", "hydra-core", "omegaconf", "numpy", "scikit-learn")
"""Packages whose versions a record holds, besides those of the engine."""

OF_ENGINES = {"tensorflow": ("tensorflow",), "jax": ("jax", "jaxlib")}

THREADS = "TF_NUM_INTRAOP_THREADS"
"""The environment variable that sets TensorFlow's number of threads."""


@dataclass(frozen=True)
class Code:
    """The source that runs are trained with."""

    git: dict[str, Any] | None = None  # commit, dirty; None outside a git checkout
    fingerprint: str | None = None  # SHA-256 of its files


@cache
def versions(engine: str) -> dict[str, str]:
    """Package -> version, of Python, PACKAGES and the engine's, as far as they are installed."""
    found = {"python": platform.python_version()}
    for name in (*PACKAGES, *OF_ENGINES[engine]):
        with suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def peak_memory_mib() -> float:
    """Peak memory of this process in MiB: GPU memory if it has a GPU, else resident memory."""
    of_gpu = (_peak_of_jax if _runs_on_jax() else _peak_of_tensorflow)()
    if of_gpu is not None:
        return round(of_gpu / 2**20, 1)
    unit = 1 if sys.platform == "darwin" else 1024  # bytes there, KiB elsewhere
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20, 1)


def _peak_of_tensorflow() -> float | None:
    """Bytes of GPU memory; None where TensorFlow is not imported or has no GPU."""
    tf = sys.modules.get("tensorflow")
    if tf is None or not tf.config.list_logical_devices("GPU"):
        return None
    return float(tf.config.experimental.get_memory_info("GPU:0")["peak"])


def _peak_of_jax() -> float | None:
    import jax

    found = jax.local_devices()[0].memory_stats() or {}  # None on a CPU
    return float(found["peak_bytes_in_use"]) if "peak_bytes_in_use" in found else None


def _runs_on_jax() -> bool:
    keras = sys.modules.get("keras")
    return keras is not None and keras.config.backend() == "jax"


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
    """What Keras trains on: kind (CPU or GPU), name, the host's name, threads on the CPU."""
    names = _gpus_of_jax() if _runs_on_jax() else _gpus_of_tensorflow()
    if not names:
        return cpu()
    return {"kind": "GPU", "name": ", ".join(names), "host": platform.node(), "threads": _threads()}


def _gpus_of_tensorflow() -> list[str]:
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    return [tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name) for gpu in gpus]


def _gpus_of_jax() -> list[str]:
    import jax

    return [str(each.device_kind) for each in jax.local_devices() if each.platform == "gpu"]


def cpu() -> dict[str, Any]:
    """The same for a CPU. Imports nothing."""
    name = platform.processor() or platform.machine()
    return {"kind": "CPU", "name": name, "host": platform.node(), "threads": _threads()}


def use_threads(count: int, engine: str) -> None:
    """Have an engine that is not yet imported use this many threads on the CPU: JAX uses one a core."""
    if engine != "jax":
        os.environ[THREADS] = str(count)
    elif count > 0 and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:count])


def _threads() -> int:
    """TensorFlow's intra-op threads, or JAX's, one a core: their number affects how sums are rounded."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if _runs_on_jax():
        return cores
    tf = sys.modules.get("tensorflow")
    asked = tf.config.threading.get_intra_op_parallelism_threads() if tf is not None else 0
    return int(asked or os.environ.get(THREADS) or 0) or cores
