"""Times packs of the JAX engine: R runs of one network in one program, for each of several R; see gpu.py.

Models, programs, data and orders are those of a sweep; callbacks, histories and saved models are left out. Prints JSON:
a list with an entry for each R.
"""

from __future__ import annotations

import argparse
import functools
import json
import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from hydra import compose, initialize_config_dir

from benchmarks.processes import wait_for_others
from fashion_sweep import app
from fashion_sweep.planning import run_spec
from fashion_sweep.training import model_setup
from fashion_sweep.training.engines import JAX, engine_named
from fashion_sweep.training.engines.base import Arrays, Run
from fashion_sweep.training.job import Job
from fashion_sweep.training.train import RunSpec


class Pack:
    """Runs with models of their own, of which the first few or all can be trained together."""

    def __init__(self, folder: Path, overrides: Sequence[str], runs: int) -> None:
        self.engine: Any = engine_named(JAX)
        self.jobs = [Job(spec) for spec in _specs(folder, overrides, runs)]
        started = time.perf_counter()
        split = self.jobs[0].split
        self.arrays: Arrays = self.engine.place(split)
        self.data_seconds = time.perf_counter() - started
        started = time.perf_counter()
        self.members = [self._member(job, number, runs) for number, job in enumerate(self.jobs)]
        self.build_seconds = (time.perf_counter() - started) / runs
        self._initial = [[np.asarray(each) for each in _variables(member)] for member in self.members]

    def _member(self, job: Job, number: int, runs: int) -> Any:
        model = model_setup.compiled_model(job, is_first=number == 0)
        job.__dict__.setdefault("split", self.jobs[0].split)
        model_setup.build(model, job)
        return self.engine.member(Run(model, job.config["seed"], job.config["batch_size"]), self.arrays, runs)

    def timed(self, size: int, epochs: int) -> dict[str, Any]:
        """Train the first ``size`` runs from their initial weights; the first epoch, which compiles, is not counted."""
        members, live = self.members[:size], list(range(size))
        for member, values in zip(members, self._initial, strict=False):
            for variable, value in zip(_variables(member), values, strict=True):
                variable.assign(value)
        steps = model_setup.steps_per_epoch(self.jobs[0])
        started = time.perf_counter()
        program = self.engine.program(members, self.arrays)
        seconds, logs = [], [{"accuracy": 0.0}]
        for epoch in range(epochs + 1):
            orders = np.stack([model_setup.order(job, epoch) for job in self.jobs[:size]])
            started = started if epoch == 0 else time.perf_counter()
            program.train(self.arrays, orders, epoch * steps, live)
            logs = program.validate(self.arrays, live)
            seconds.append(time.perf_counter() - started)
        return {
            "runs": size,
            "compile_seconds": seconds[0],
            "run_epoch_seconds": statistics.median(seconds[1:]) / size,
            "epoch_seconds": seconds[1:],
            "val_accuracy": statistics.mean(each["accuracy"] for each in logs),
            "mib": _peak_mib(),
            "build_seconds": self.build_seconds,
            "data_seconds": self.data_seconds,
        }


def _variables(member: Any) -> list[Any]:
    return [variable for part in member.variables for variable in part]


def _specs(folder: Path, overrides: Sequence[str], runs: int) -> list[RunSpec]:
    common = ["callbacks=none", "save=none", "trainer=compiled", "trainer.engine=jax", "seed=0", *overrides]
    with initialize_config_dir(str(app.CONF), version_base="1.3"):
        composed = compose("config", common, return_hydra_config=True)
    resolved = run_spec.resolved(composed)
    choices = run_spec.group_choices(composed.hydra)
    return [RunSpec(folder / str(seed), {**resolved, "seed": seed}, choices, common, str(seed)) for seed in range(runs)]


def _peak_mib() -> float | None:
    """Of the device, since the process has started; None on a CPU."""
    statistics_ = jax.local_devices()[0].memory_stats()
    return None if not statistics_ else statistics_["peak_bytes_in_use"] / 2**20


def main() -> None:
    """Print what each size takes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", required=True, help="runs in a pack: 1,8,64")
    parser.add_argument("--epochs", type=int, required=True, help="after the first")
    parser.add_argument("--unroll", type=int, default=1, help="steps that each round of the loop has")
    parser.add_argument("--number", type=int, default=0, help="of this process, from 0")
    parser.add_argument("--count", type=int, default=1, help="processes at once")
    parser.add_argument("overrides", nargs="*")
    arguments = parser.parse_args()
    if arguments.unroll > 1:
        jax.lax.scan = functools.partial(jax.lax.scan, unroll=arguments.unroll)
    sizes = [int(size) for size in arguments.sizes.split(",")]
    found = []
    with tempfile.TemporaryDirectory() as folder:
        pack = Pack(Path(folder), arguments.overrides, max(sizes))
        if arguments.count > 1:
            wait_for_others(Path.cwd(), "built", arguments.number, arguments.count)
        for size in sizes:
            try:
                found.append(pack.timed(size, arguments.epochs))
            except jax.errors.JaxRuntimeError as error:  # most likely too little memory
                found.append({"runs": size, "failed": str(error).splitlines()[0][:200]})
            print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
