"""Packs on a GPU: R runs in one program, against one alone and against several processes that share the GPU."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
from pathlib import Path

from benchmarks.grid import Settings
from benchmarks.processes import program, run_together

PACKS = (1, 8, 64, 256)
PROCESSES = 4
EPOCHS = 5
"""The first one is not counted."""
NONE = "none visible"
"""Shown in place of the GPUs if there are none."""


def visible() -> list[str]:
    """The GPUs as ``nvidia-smi -L`` lists them, without their ids; empty if none is visible."""
    listing = shutil.which("nvidia-smi")
    if listing is None or os.environ.get("CUDA_VISIBLE_DEVICES", "0") in ("", "-1"):
        return []
    found = subprocess.run([listing, "-L"], capture_output=True, text=True, timeout=60, check=False)
    lines = found.stdout.splitlines() if found.returncode == 0 else []
    return [line.partition(" (UUID")[0].strip() for line in lines if line.startswith("GPU ")]


def lines() -> dict[str, tuple[int, int]]:
    """Line -> runs in a pack, processes at once."""
    packs = {f"gpu, {runs} in a pack": (runs, 1) for runs in PACKS}
    return packs | {f"gpu, {PROCESSES} processes of 1": (1, PROCESSES)}


def commands(runs: int, processes: int, limit: int | None, folder: Path, epochs: int = EPOCHS) -> list[list[str]]:
    """The commands to run at the same time."""
    common = [
        *Settings(epochs, limit).arguments,
        "--runs",
        str(runs),
        "--count",
        str(processes),
        "--folder",
        str(folder),
    ]
    return [program("gpu_pack", *common, "--number", str(number)) for number in range(processes)]


def measure(runs: int, processes: int, limit: int | None, folder: Path, epochs: int = EPOCHS) -> dict[str, float]:
    """Measure a sample's quantities. folder: an empty one. Raises CommandError."""
    extra = {"TF_FORCE_GPU_ALLOW_GROWTH": "true"}
    found = [each.result for each in run_together(commands(runs, processes, limit, folder, epochs), folder, extra)]
    seconds = statistics.mean(each["epoch_seconds"] for each in found)
    return {
        "run_epoch_seconds": seconds / (runs * processes),
        "val_accuracy": statistics.mean(each["val_accuracy"] for each in found),
    }
