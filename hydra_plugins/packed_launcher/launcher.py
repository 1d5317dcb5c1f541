"""``hydra/launcher=packed``: the plugin that Hydra finds."""

from __future__ import annotations

import copy
import logging
import sys
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path

import cloudpickle
from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, configure_log, filter_overrides, setup_globals
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from packed_jobs import compose
from packed_jobs.errors import NotStartedError
from packed_jobs.hydra_internals.config_loader import fast_loader
from packed_jobs.local.devices import slots
from packed_jobs.local.messages import Start
from packed_jobs.local.pool import Lanes
from packed_jobs.local.scheduler import Dispatch, Rules
from packed_jobs.packs import form, size_of_packs
from packed_jobs.task import Job, PlannedJob

log = logging.getLogger(__name__)


class PackedLauncher(Launcher):
    """Runs the jobs of a sweep in lanes that start in ``setup`` and live as long as the launcher.

    The arguments are those of ``config.PackedLauncherConf``. Raises ValueError for numbers that are too small.
    """

    def __init__(
        self,
        *,
        lanes: int | None,
        pack_size: int | None,
        threads_per_lane: int | None,
        run_timeout_min: float | None,
        lane_memory_gib: float | None,
        fail_fast: bool,
    ) -> None:
        numbers = {"pack_size": pack_size, "run_timeout_min": run_timeout_min, "lane_memory_gib": lane_memory_gib}
        for name, value in numbers.items():
            if value is not None and value <= 0:
                raise ValueError(f"hydra.launcher.{name} is {value}, expected more than 0, or null")
        self.slots = slots(lanes, threads_per_lane)
        self.pack_size = size_of_packs(pack_size, self.slots)
        self.rules = Rules(run_timeout_min, lane_memory_gib, fail_fast)
        self.context: HydraContext
        self.lane_context: HydraContext  # with Hydra's own loader, for lanes
        self.task: TaskFunction
        self.config: DictConfig
        self.lanes: Lanes

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Start the lanes, and make composition fast for the sweeper as well, which has the same context."""
        self.config, self.task, self.context = config, task_function, hydra_context
        self.lane_context = copy.copy(hydra_context)
        hydra_context.config_loader = fast_loader(hydra_context.config_loader)
        start = Start(cloudpickle.dumps(task_function), self._briefing())
        self.lanes = Lanes(self.slots, start, [*getattr(task_function, "import_path", ()), *sys.path])
        weakref.finalize(self, Lanes.end, self.lanes)
        self.lanes.ensure(len(self.slots))

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run a batch of jobs. Returns a JobReturn for each, in the same order.

        Raises KeyboardInterrupt, after the jobs that it met have had a few seconds to record themselves, and what
        Hydra raises for a config that cannot be composed.
        """
        setup_globals()
        configure_log(self.config.hydra.hydra_logging, self.config.hydra.verbose)
        Path(str(self.config.hydra.sweep.dir)).mkdir(parents=True, exist_ok=True)
        try:
            return self._launch(job_overrides, initial_job_idx)
        except KeyboardInterrupt:
            for job in self.lanes.interrupt():
                self._on_lost(job, "interrupted, and killed as it did not end by itself")
            raise
        except BaseException:
            self.lanes.kill_all()
            raise

    def _launch(self, job_overrides: Sequence[Sequence[str]], first_number: int) -> list[JobReturn]:
        jobs = compose.plan(self.context, self.config, job_overrides, first_number, self.task)
        returns = {job.index: self._fail(job, job.error) for job in jobs if job.error is not None}
        ready = [job for job in jobs if job.index not in returns]
        if returns and self.rules.fail_fast:
            error = NotStartedError("not started: fail_fast, and a job before it failed")
            returns |= {job.index: compose.failed(job.pickled.load_config(), error) for job in ready}
            ready = []
        packs = form(ready, self.pack_size, len(self.slots)) if ready else []
        log.info("Launching %d jobs in %d packs on %d lanes", len(jobs), len(packs), len(self.slots))
        for job, overrides in zip(jobs, job_overrides, strict=True):
            log.info("\t#%d : %s", job.number, " ".join(filter_overrides(overrides)))
        self.lanes.shrink(len(packs))
        self.lanes.brief(self._briefing())
        returns |= Dispatch(self.lanes, packs, self.rules, self._on_lost).run()
        return [returns[job.index] for job in jobs]

    def _briefing(self) -> bytes:
        """What a lane needs to know of this process besides the task function."""
        briefing: bytes = cloudpickle.dumps((Singleton.get_state(), self.lane_context, str(Path.cwd()), sys.argv))
        return briefing

    def _fail(self, job: PlannedJob, error: Exception) -> JobReturn:
        """Fail a job that could not be prepared."""
        reason = f"{type(error).__name__}: {error}"
        log.error("\t#%d could not be prepared: %s", job.number, reason, exc_info=error)
        self._on_lost(job, f"the job could not be prepared: {reason}")
        return compose.failed(job.pickled.load_config(), error)

    def _on_lost(self, job: PlannedJob, reason: str) -> None:
        """Call the task function's ``on_lost``, if it has one."""
        on_lost: Callable[[Job, str], None] | None = getattr(self.task, "on_lost", None)
        if on_lost is None:
            return
        own, hydra = compose.parts(job.pickled.load_config())
        try:
            with compose.as_hydra_config(hydra):
                on_lost(Job(own, hydra, job.number, job.pickled.load_payload()), reason)
        except Exception:
            log.warning("\t#%d : on_lost failed", job.number, exc_info=True)
