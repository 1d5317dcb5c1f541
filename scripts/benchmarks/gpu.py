"""Packs on a GPU: R runs in one program, against one alone, the best ``fit`` and several processes that share the GPU.

It needs JAX, Keras and what the command line imports, but no TensorFlow.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.grid import PARAMETERS, Settings
from benchmarks.processes import program
from fashion_sweep.training.engines.jax.settings import ENVIRONMENT

NONE = "none visible"
"""Shown in place of the GPUs if there are none."""

SIZES = (1, 8, 32, 64, 128, 256, 512, 1024)
SOME = (1, 64, 256)
"""Sizes with which the variants are tried."""
CNN_SIZES = (1, 8, 32, 64, 128)
CNN = ("model=cnn", "model.filters=[8,16]")
DROPOUT = "model.dropout=0.3"
PROCESSES = 4
FLOATS_MOVED = 10
"""Floats of memory traffic a weight and step with Adam: read in the forward and the backward product, the gradient
written and read, weight and two moments read and written."""


@dataclass(frozen=True)
class Part:
    """Packs to time in one process, or in several at once."""

    what: str
    sizes: Sequence[int]
    overrides: Sequence[str] = (DROPOUT,)
    environment: Mapping[str, str] = field(default_factory=dict)
    options: Sequence[str] = ()
    processes: int = 1

    def commands(self, epochs: int, limit: int | None) -> list[list[str]]:
        """The commands to run at the same time."""
        images = [] if limit is None else [f"data.limit={limit}"]
        sizes = ",".join(map(str, self.sizes))
        common = [*self.options, "--sizes", sizes, "--epochs", str(epochs), "--count", str(self.processes)]
        numbers = ([], *([["--number", str(number)] for number in range(1, self.processes)]))
        return [program("gpu_pack", *common, *own, *self.overrides, *images) for own in numbers]


def parts(sizes: Sequence[int]) -> list[Part]:
    """What to time, the most important first. sizes: runs of packs."""
    some, few, cnn = ([size for size in each if size in sizes] for each in (SOME, SOME[:2], CNN_SIZES))
    graphs = _flags("--xla_gpu_enable_command_buffer=+WHILE,+CONDITIONAL", "--xla_gpu_graph_min_graph_size=1")
    without = _flags("--xla_gpu_enable_command_buffer=")
    every = [
        Part("as it is", sizes),
        Part("loop as a command buffer", some, environment=graphs),
        Part("no command buffers", some, environment=without),
        Part("unroll 4", some, options=["--unroll", "4"]),
        Part("TF32", some, environment={"JAX_DEFAULT_MATMUL_PRECISION": "tensorfloat32"}),
        Part(f"{PROCESSES} processes at once", few, processes=PROCESSES),
        Part("cnn", cnn, overrides=CNN),
    ]
    return [part for part in every if part.sizes]


def _flags(*flags: str) -> dict[str, str]:
    return {"XLA_FLAGS": " ".join(filter(None, (os.environ.get("XLA_FLAGS"), *flags)))}


def measured(part: Part, epochs: int, limit: int | None, folder: Path, seconds: float) -> list[dict[str, Any]]:
    """An entry for each size, of gpu_pack.py; of several processes, a run-epoch of all of them.

    What was measured before a process failed or ``seconds`` were over is kept.
    """
    found = [_entries(each) for each in _outputs(part, epochs, limit, folder, seconds)]
    rows = []
    for each in zip(*found, strict=False):
        if any("failed" in entry for entry in each):
            rows.append(next(dict(entry) for entry in each if "failed" in entry))
            continue
        first, mean = dict(each[0]), statistics.mean(entry["run_epoch_seconds"] for entry in each)
        rows.append({**first, "run_epoch_seconds": mean / len(each)})
    return rows


def _outputs(part: Part, epochs: int, limit: int | None, folder: Path, seconds: float) -> list[str]:
    environment = os.environ | ENVIRONMENT | dict(part.environment)
    path = os.pathsep.join(filter(None, (str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH"))))
    children = [
        subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=(folder / f"{part.what}.log").open("a"),
            text=True,
            cwd=folder,
            env={**environment, "PYTHONPATH": path},
        )
        for command in part.commands(epochs, limit)
    ]
    outputs = []
    for child in children:
        try:
            out, _ = child.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            child.kill()
            out, _ = child.communicate()
        outputs.append(out)
    return outputs


def _entries(output: str) -> list[dict[str, Any]]:
    lines = [line for line in output.splitlines() if line.startswith("[")]
    entries: list[dict[str, Any]] = json.loads(lines[-1]) if lines else []
    return entries


def bound_seconds(bandwidth: float, settings: Settings) -> float:
    """Seconds a run-epoch of the README's network with Adam, were memory traffic of its weights all: bytes a second.

    Training alone; weights and moments do not fit into a cache.
    """
    return settings.steps * PARAMETERS * 4 * FLOATS_MOVED / bandwidth


def bandwidth() -> float:
    """Bytes a second of a copy on the device, read and written, in a process of its own."""
    code = (
        "import jax, jax.numpy as jnp, time, statistics\n"
        "size = 2**28 if jax.default_backend() == 'gpu' else 2**24\n"
        "x = jnp.zeros(size, 'float32'); f = jax.jit(lambda x: x + 1); f(x).block_until_ready(); found = []\n"
        "for _ in range(20):\n"
        "    t = time.perf_counter(); f(x).block_until_ready(); found.append(time.perf_counter() - t)\n"
        "print(8 * size / statistics.median(found))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | ENVIRONMENT, capture_output=True, text=True, check=True
    )
    return float(done.stdout.split()[-1])


def visible() -> list[str]:
    """The GPUs as ``nvidia-smi -L`` lists them, without their ids; empty if none is visible."""
    listing = shutil.which("nvidia-smi")
    if listing is None or os.environ.get("CUDA_VISIBLE_DEVICES", "0") in ("", "-1"):
        return []
    found = subprocess.run([listing, "-L"], capture_output=True, text=True, timeout=60, check=False)
    lines = found.stdout.splitlines() if found.returncode == 0 else []
    return [line.partition(" (UUID")[0].strip() for line in lines if line.startswith("GPU ")]
