"""The machine's floor: the shortest possible time of a run-epoch, with every core at work.

It counts the products of 784-100-10 at batch 32, forward and backward, and over the validation images, each by the
fastest available BLAS with its operands in the cache, and the optimizer's reads and writes at the speed of a copy of
that size. Not counted: activations, dropout, loss, biases, shuffling and conversion of the images.
"""

from __future__ import annotations

import os
import statistics
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.grid import BATCH, CLASSES, HIDDEN, INPUTS, OPTIMIZERS, PARAMETERS, Settings
from benchmarks.processes import program, run_together

VALIDATION_ROWS = 2000
"""Images of a validation product."""
LIBRARIES = ("numpy", "tensorflow")
TRAFFIC = {"sgd": 3, "rmsprop": 5, "adam": 7}
"""Arrays of PARAMETERS float32 that a step reads or writes: parameters and gradients read, parameters written; RMSprop
and Adam also read and write one and two more."""


@dataclass(frozen=True)
class Product:
    """A matrix product [rows, inner] @ [inner, columns]."""

    name: str
    rows: int
    inner: int
    columns: int
    transposed: str = ""  # "a" or "b": that operand is stored transposed

    @property
    def flops(self) -> int:
        return 2 * self.rows * self.inner * self.columns


STEP_PRODUCTS = (
    Product("x@W1", BATCH, INPUTS, HIDDEN),
    Product("h@W2", BATCH, HIDDEN, CLASSES),
    Product("dW2=hT@do", HIDDEN, BATCH, CLASSES, "a"),
    Product("dh=do@W2T", BATCH, CLASSES, HIDDEN, "b"),
    Product("dW1=xT@dh", INPUTS, BATCH, HIDDEN, "a"),
)
VALIDATION_PRODUCTS = (
    Product("validation x@W1", VALIDATION_ROWS, INPUTS, HIDDEN),
    Product("validation h@W2", VALIDATION_ROWS, HIDDEN, CLASSES),
)
PRODUCTS = STEP_PRODUCTS + VALIDATION_PRODUCTS


def run_epoch_seconds(
    fastest: Mapping[str, float], bytes_per_second: float, settings: Settings, optimizer: str, cores: int
) -> float:
    """Seconds of a run-epoch on the whole machine, each core with a run of its own.

    fastest: name of a product -> seconds on one core while all cores work; bytes_per_second: read and written by a
    copy, likewise.
    """
    step = sum(fastest[each.name] for each in STEP_PRODUCTS)
    step += TRAFFIC[optimizer] * PARAMETERS * 4 / bytes_per_second
    validation = sum(fastest[each.name] for each in VALIDATION_PRODUCTS) * settings.validation_images / VALIDATION_ROWS
    return (settings.steps * step + validation) / cores


def summary(found: Sequence[Mapping[str, float]], settings: Settings) -> dict[str, float]:
    """Quantities of a sample. found: what the probe of each core measured, seconds by ``LIBRARY PRODUCT`` and
    bytes_per_second.
    """
    means = {key: statistics.mean(core[key] for core in found) for key in found[0]}
    fastest = {each.name: min(means[f"{library} {each.name}"] for library in LIBRARIES) for each in PRODUCTS}
    seconds = {
        optimizer: run_epoch_seconds(fastest, means["bytes_per_second"], settings, optimizer, len(found))
        for optimizer in OPTIMIZERS
    }
    flops = sum(each.flops for each in STEP_PRODUCTS) / sum(fastest[each.name] for each in STEP_PRODUCTS)
    return {
        **means,
        "gflops_per_core": flops / 1e9,
        **{f"run_epoch_seconds_{optimizer}": value for optimizer, value in seconds.items()},
        "run_epoch_seconds": statistics.mean(seconds.values()),
    }


def cores() -> list[int]:
    """The cores that this process may use."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))


def measure(settings: Settings) -> dict[str, float]:
    """Probe all cores at once, one process with one thread on each. Raises CommandError."""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "TF_NUM_INTRAOP_THREADS")
    with tempfile.TemporaryDirectory() as name:
        commands = [
            program(
                "floor_probe", "--folder", name, "--number", str(n), "--count", str(len(cores())), "--core", str(core)
            )
            for n, core in enumerate(cores())
        ]
        extra = dict.fromkeys((*names, "TF_NUM_INTEROP_THREADS"), "1") | {"CUDA_VISIBLE_DEVICES": "-1"}
        probes = run_together(commands, Path(name), extra)
    return summary([probe.result for probe in probes], settings)
