"""What each lane may use of this machine: its GPU, or its cores. Nothing here imports a GPU library."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

from packed_jobs.packs import PackSize

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "TF_NUM_INTRAOP_THREADS")
ENOUGH = 64
"""Lanes, or threads of a lane, that any machine may be asked for; more of them only where it has the cores."""
GPU_PACK_SIZE = PackSize(256, least=64)
"""Of packs on a GPU, where the config does not set it. Small networks keep an H100 more than half busy from 64 on, and
gain little beyond 256: see BENCHMARKS-GPU.md."""
GPU_LANES = 4
"""Lanes that share a GPU: while one trains, others build models and save them, which takes as long."""
GPU_MEMORY = 0.9
"""The share of a GPU's memory that all of its lanes may use."""


@dataclass(frozen=True)
class Slot:
    """The share of the machine that a lane owns."""

    gpu: str | None  # for CUDA_VISIBLE_DEVICES; None: the lane uses cores
    cores: tuple[int, ...]  # that the lane is pinned to; empty: all that the parent may use
    threads: int | None  # of each library's thread pool; None: the library decides
    sharing: int = 1  # lanes that share the GPU, this one included

    def __str__(self) -> str:
        cores = f"core{'s' if len(self.cores) > 1 else ''} {', '.join(map(str, self.cores))}"
        return cores if self.gpu is None else f"GPU {self.gpu}"

    def environment(self) -> dict[str, str]:
        """The environment variables that pin a process to this slot. Libraries read them as they are imported."""
        device = {} if self.gpu is None else {"CUDA_VISIBLE_DEVICES": self.gpu}
        if self.sharing > 1:
            limit = f"{GPU_MEMORY / self.sharing:.3f}"
            shared = {"TF_FORCE_GPU_ALLOW_GROWTH": "true", "XLA_PYTHON_CLIENT_MEM_FRACTION": limit}
            device |= {name: os.environ.get(name, value) for name, value in shared.items()}
        if self.threads is None:
            return device
        return device | dict.fromkeys(THREAD_VARIABLES, str(self.threads)) | {"TF_NUM_INTEROP_THREADS": "1"}


def slots(lanes: int | None, threads_per_lane: int | None) -> list[Slot]:
    """A slot for each lane. lanes, threads_per_lane: as in the config, None where it does not set them.

    Raises ValueError for numbers below 1, and above ``most``.
    """
    for name, value in (("lanes", lanes), ("threads_per_lane", threads_per_lane)):
        if value is not None and not 1 <= value <= most():
            raise ValueError(f"hydra.launcher.{name} is {value}, expected at least 1 and at most {most()}, or null")
    gpus, cores = visible_gpus(), available_cores()
    if gpus:
        count = lanes or len(gpus) * max(1, min(GPU_LANES, len(cores) // len(gpus)))
        sharing = -(-count // len(gpus))
        return [Slot(gpus[lane % len(gpus)], (), threads_per_lane, sharing) for lane in range(count)]
    count = lanes or len(cores)
    threads = threads_per_lane or 1  # whatever the number of lanes: sums over several threads round differently
    return [Slot(None, _share(cores, lane, threads), threads) for lane in range(count)]


def most() -> int:
    """The most lanes, and the most threads of a lane: beyond it a mistyped number would exhaust the machine."""
    return max(ENOUGH, os.cpu_count() or 1)


def default_pack_size(given: Sequence[Slot]) -> PackSize:
    """How many jobs a pack has where the config does not say."""
    return PackSize(1) if given[0].gpu is None else GPU_PACK_SIZE


def _share(cores: list[int], lane: int, threads: int) -> tuple[int, ...]:
    """The cores of a lane; lanes share cores where there are not enough."""
    start = lane * threads
    return tuple(sorted({cores[(start + offset) % len(cores)] for offset in range(threads)}))


def available_cores() -> list[int]:
    """The cores that this process may use, by number."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def visible_gpus() -> list[str]:
    """The GPUs that CUDA would show to this process, as CUDA_VISIBLE_DEVICES names them; empty where there are none."""
    listed = os.environ.get("CUDA_VISIBLE_DEVICES")
    if listed is None:
        return _gpus_of_the_driver()
    gpus = [gpu.strip() for gpu in listed.split(",")]
    hidden_from = next((i for i, gpu in enumerate(gpus) if gpu in ("", "-1", "NoDevFiles")), len(gpus))
    return gpus[:hidden_from]


def _gpus_of_the_driver() -> list[str]:
    program = shutil.which("nvidia-smi")
    if program is None:
        return []
    try:
        found = subprocess.run([program, "-L"], capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):  # no usable GPU without an answer from the driver
        return []
    return gpus_listed(found.stdout)


def gpus_listed(text: str) -> list[str]:
    """The devices in the output of ``nvidia-smi -L``. Of a GPU with MIG devices only these can be used."""
    lines = [line.strip() for line in text.splitlines()]
    parts = [line.rpartition("UUID: ")[2].rstrip(")") for line in lines if line.startswith("MIG ")]
    return parts or [line.split()[1].rstrip(":") for line in lines if line.startswith("GPU ")]
