"""What Hydra calls for each run, under any launcher, and what it offers to the packed one.

The methods besides ``__call__`` are those of packed_jobs.PackTask; other launchers do not look at
them.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from hydra.core.hydra_config import HydraConfig
from hydra.errors import CompactHydraException
from omegaconf import DictConfig, OmegaConf

from fashion_sweep.config.redaction import Redaction
from fashion_sweep.planning import run_spec
from fashion_sweep.storage.provenance import Code
from fashion_sweep.storage.record import RunRecord, Status
from fashion_sweep.training import native_output, packing

if TYPE_CHECKING:
    from fashion_sweep.config.run_spec import RunSpec
    from packed_jobs import Job, Prepared


class RunFailedError(CompactHydraException):
    """A run failed, and no further one is to start; Hydra prints it without a traceback, which is in the run's log."""


class Task:
    """Trains one run, or several together. What becomes of a run stands in its folder; it raises only with fail_fast.

    Gives the lowest val_loss of each completed run, for sweepers that search, and NaN for the others.
    """

    def __init__(self) -> None:
        self.code = Code()
        self.import_path: list[str] = []  # folders that modules are searched in first
        self.trainers: list[str] = []  # that the sweep calls; empty: not known
        self.due: set[tuple[str, ...]] | None = None  # overrides of the runs to be trained; None: of all

    def __getstate__(self) -> dict[str, Any]:
        """What goes to other processes."""
        return {**vars(self), "due": None}

    def jobs(self) -> list[list[str]] | None:
        """The overrides of each run to be trained; None: of all of the grid."""
        return None if self.due is None else [list(overrides) for overrides in sorted(self.due)]

    def __call__(self, config: DictConfig) -> float:
        """Train one run. HydraConfig is set, as Hydra does it for every job."""
        from fashion_sweep.training.train import train

        sys.path[:0] = [folder for folder in self.import_path if folder not in sys.path]
        hydra = HydraConfig.get()
        [record] = train([self._spec(config, hydra)])
        if _stops_the_sweep(record, hydra):
            raise RunFailedError(f"{record.run} failed: {record.reason}")
        return _value(record)

    def warm_up(self) -> None:
        """Import what takes seconds, while the command line still composes the grid."""
        for name in self.trainers or ["fashion_sweep.training.compiled.compiled"]:
            native_output.trainer(name, None)

    def prepare(self, config: DictConfig, number: int) -> Prepared:  # noqa: ARG002
        """The runs that a run may be trained with, and how long it may take."""
        from packed_jobs import Prepared

        resolved = run_spec.resolved(config)
        key = packing.pack_key(resolved) if "compiled" in str(config.trainer._target_) else None
        return Prepared(key, packing.cost(resolved))

    def run_pack(self, jobs: Sequence[Job]) -> list[float | RunFailedError]:
        """Train several runs together."""
        from fashion_sweep.training.train import train

        records = train([self._spec(job.config, job.hydra.hydra, job.own_log) for job in jobs])
        return [
            RunFailedError(f"{record.run} failed: {record.reason}")
            if _stops_the_sweep(record, job.hydra.hydra)
            else _value(record)
            for job, record in zip(jobs, records, strict=True)
        ]

    def on_lost(self, job: Job, reason: str) -> None:
        """Record a run whose process died: it could not do so itself."""
        from fashion_sweep.training.train import lost

        status = Status.INTERRUPTED if reason.startswith("interrupted") else Status.FAILED
        lost(self._spec(job.config, job.hydra.hydra), status, reason)

    def _spec(
        self, config: DictConfig, hydra: Any, own_log: Callable[[], AbstractContextManager[None]] = nullcontext
    ) -> RunSpec:
        from fashion_sweep.config.run_spec import RunSpec

        resolved = run_spec.resolved(config)
        overrides = cast("list[str]", OmegaConf.to_container(hydra.overrides.task))  # as typed: interpolations stay
        choices, identity = run_spec.group_choices(hydra, resolved), run_spec.identity_of(resolved)
        folder, hidden = Path(hydra.runtime.output_dir), Redaction.of(config)
        return RunSpec(folder, resolved, choices, overrides, identity, own_log, self.code, hidden)


def _stops_the_sweep(record: RunRecord, hydra: Any) -> bool:
    """Whether the launcher is to hear of a failed run: it has no other way to know when to stop."""
    return record.status is Status.FAILED and bool(hydra.launcher.get("fail_fast"))


def _value(record: RunRecord) -> float:
    best = record.best["val_loss"] if record.best and record.status is Status.COMPLETED else None
    return math.nan if best is None else best
