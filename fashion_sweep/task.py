"""What Hydra calls for each run, under any launcher, and what it offers to the packed one.

The methods besides ``__call__`` are those of ``packed_jobs.PackTask`` and of the planned sweeper; other launchers and
sweepers do not look at them.
"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.errors import CompactHydraException
from omegaconf import DictConfig

from fashion_sweep.cli import signals
from fashion_sweep.config.run_spec import RunSpec
from fashion_sweep.planning import run_spec
from fashion_sweep.storage import lease
from fashion_sweep.storage.provenance import Code
from fashion_sweep.storage.record import RunRecord, Status
from fashion_sweep.training.trainer import trainer_of
from packed_jobs import Job, Prepared
from packed_jobs.hydra_internals.session import pin_now, task_overrides


class RunFailedError(CompactHydraException):
    """A run failed, and no further one is to start; Hydra prints it without a traceback, which is in the run's log."""


@dataclass
class Task:
    """Trains one run, or several together. What becomes of a run is in its folder; it raises only with fail_fast.

    Returns the objective of each completed run, for sweepers that search: its lowest val_loss, or its highest
    val_accuracy; NaN for the others.
    """

    specs: Sequence[RunSpec] | None  # the runs to train; None: a sweeper chooses them as it goes
    code: Code  # the source that they are trained with
    now: datetime  # that ${now:...} gives
    import_path: list[str] = field(default_factory=list)  # folders that modules are searched in first
    trainers: Sequence[dict[str, Any]] = ()  # the trainer nodes of the runs, for warm_up
    outlives: bool = (
        False  # whether processes that the launcher starts may outlive the command: then they own their runs
    )
    seconds: Mapping[str, float] = field(default_factory=dict)  # identity -> estimated time of the run

    def __post_init__(self) -> None:
        run_spec.register_resolvers()
        self._planned = {tuple(spec.overrides): spec for spec in self.specs or ()}
        self._is_elsewhere = False  # in a process that the launcher has started
        self._folders: run_spec.SweepFolders | None = None  # of a sweep whose runs are chosen as it goes

    def __getstate__(self) -> dict[str, Any]:
        """What goes to other processes: they get their specs run by run, or make them."""
        return {**vars(self), "specs": None, "seconds": {}, "_planned": {}, "_folders": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, _is_elsewhere=True)
        run_spec.register_resolvers()

    def jobs(self) -> list[list[str]] | None:
        """The overrides of the runs to train, each with its folder; None where a sweeper chooses them."""
        if self.specs is None:
            return None
        return [[*spec.overrides, run_spec.subdir_override(spec.name)] for spec in self.specs]

    def number_of(self, overrides: Sequence[str]) -> int | None:
        """The place of a run in its grid; None for one that was not planned."""
        lines = [line for line in overrides if not line.startswith(f"{run_spec.SUBDIR}=")]
        planned = self._planned.get(tuple(lines))
        return planned.number if planned is not None else None

    def __call__(self, config: DictConfig) -> float:
        """Train one run. HydraConfig is set, as Hydra does it for every job."""
        signals.check()
        sys.path[:0] = [folder for folder in self.import_path if folder not in sys.path]
        hydra: Any = HydraConfig.get()
        [record] = self._train([self._spec(config, hydra)])
        if _stops_the_sweep(record, hydra):
            raise RunFailedError(f"{record.run} failed: {record.reason}")
        return _value(record)

    def environments(self) -> list[Mapping[str, str]]:
        """Those of the runs' trainers, each once; any lane will do for a trainer that asks for nothing."""
        every = [trainer_of({"trainer": node}).environment for node in self.trainers]
        return [each for number, each in enumerate(every) if each and each not in every[:number]]

    def warm_up(self) -> None:
        """Import what takes seconds, while the command line still composes the grid, and fits this process."""
        for trainer in [trainer_of({"trainer": node}) for node in self.trainers]:
            if trainer.environment.items() <= os.environ.items():
                trainer.warm_up()

    def prepare(self, config: DictConfig, number: int) -> Prepared:  # noqa: ARG002 - the launcher's protocol
        """The spec of a job, and how it may be packed. config: with its hydra node, HydraConfig set to it."""
        signals.check()
        spec = self._planned.get(tuple(task_overrides(config.hydra)))
        if spec is None:
            spec = self._settled(config)
        trainer = trainer_of(spec.config)
        key, cost = trainer.pack_key(spec.config), trainer.cost(spec.config)
        seconds = self.seconds.get(spec.identity)
        return Prepared(key, cost, replace(spec, code=self.code), trainer.environment, seconds)

    def run_pack(self, jobs: Sequence[Job]) -> list[float | RunFailedError]:
        """Train runs together."""
        records = self._train([replace(job.payload, own_log=job.own_log) for job in jobs])
        return [
            RunFailedError(f"{record.run} failed: {record.reason}")
            if _stops_the_sweep(record, job.hydra.hydra)
            else _value(record)
            for job, record in zip(jobs, records, strict=True)
        ]

    def succeeded(self, value: float) -> bool:
        """Whether a run completed, by what it returned."""
        return not math.isnan(value)

    def on_lost(self, job: Job, reason: str) -> None:
        """Record a run that could not do so itself: its process died, or it never began."""
        from fashion_sweep.training.train import lost

        spec = job.payload or self._spec(job.config, job.hydra.hydra)
        lost(spec, Status.INTERRUPTED if reason.startswith("interrupted") else Status.FAILED, reason)

    def _train(self, specs: Sequence[RunSpec]) -> list[RunRecord]:
        """Train runs, as their owner where the command may end before this process does."""
        from fashion_sweep.training.train import train

        if not (self.outlives and self._is_elsewhere):
            return train(specs)
        with lease.trained([spec.folder for spec in specs]) as refused:
            records = iter(train([spec for spec in specs if spec.folder not in refused]))
            return [
                RunRecord(spec.name, spec.identity, Status.FAILED, refused[spec.folder])
                if spec.folder in refused
                else next(records)
                for spec in specs
            ]

    def _spec(self, config: DictConfig, hydra: DictConfig) -> RunSpec:
        """The planned spec of a job; one made of its config where it was not planned, or was in another process."""
        pin_now(self.now)
        planned = self._planned.get(tuple(task_overrides(hydra)))
        return replace(planned or run_spec.spec_in_job(config, hydra), code=self.code)

    def _settled(self, config: DictConfig) -> RunSpec:
        """The spec of a job that a sweeper has just chosen; its folder is written into the config."""
        if self._folders is None:  # reads the sweep's folder
            self._folders = run_spec.SweepFolders(Path(str(config.hydra.sweep.dir)))
        settled = run_spec.settle(config, is_known=self._folders.has)
        config.hydra.sweep.subdir = self._folders.name(settled)
        return run_spec.spec_of(settled, self._folders.folder / config.hydra.sweep.subdir)


def _stops_the_sweep(record: RunRecord, hydra: DictConfig) -> bool:
    """Whether the launcher is to hear of a failed run: it has no other way to know when to stop."""
    return record.status is Status.FAILED and bool(hydra.launcher.get("fail_fast"))


def _value(record: RunRecord) -> float:
    best = record.best[record.objective] if record.best and record.status is Status.COMPLETED else None
    return math.nan if best is None else best
