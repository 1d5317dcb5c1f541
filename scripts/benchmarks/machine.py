"""What a benchmark ran on: machine, versions, commit."""

from __future__ import annotations

import os
import platform
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path

from benchmarks import floor, gpu
from fashion_sweep.storage.provenance import git_state

PACKAGES = ("tensorflow", "keras", "hydra-core", "hydra-joblib-launcher", "numpy", "fashion-sweep")
SPEED_VARIABLES = ("XLA_FLAGS", "TF_XLA_FLAGS", "TF_ENABLE_ONEDNN_OPTS", "OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES")
"""Environment variables that change how fast TensorFlow is: shown if they are set."""


def described() -> dict[str, str]:
    """What -> description, for people."""
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    return {
        "date": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "processor": _processor(),
        "cores": str(len(floor.cores())),
        "memory": _memory(),
        "GPU": ", ".join(gpu.visible()) or gpu.NONE,
        "system": f"{platform.system()} {platform.release()}",
        "load before it began (1, 5, 15 min)": load,
        "python": platform.python_version(),
        **{name: _version(name) for name in PACKAGES},
        "commit": _commit(),
        **{name: os.environ[name] for name in SPEED_VARIABLES if name in os.environ},
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    pairs = [line.partition(":")[::2] for line in (info.read_text().splitlines() if info.is_file() else [])]
    first = {key.strip(): value.strip() for key, value in reversed(pairs)}
    if "model name" not in first:
        return platform.processor() or platform.machine()
    return f"{first['model name']} (family {first.get('cpu family')}, model {first.get('model')})"


def _memory() -> str:
    return f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB"


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def _commit() -> str:
    state = git_state()
    if state is None:
        return "not in a git checkout"
    return f"{state['commit'][:12]}{', with changes that are not committed' if state['dirty'] else ''}"
