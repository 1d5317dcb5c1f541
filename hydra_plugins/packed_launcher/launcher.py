"""``hydra/launcher=packed``: the plugin that Hydra finds."""

from __future__ import annotations

import weakref
from collections.abc import Sequence

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from packed_jobs.batch import BatchRunner
from packed_jobs.errors import require_positive
from packed_jobs.executor import Rules
from packed_jobs.local.devices import slots
from packed_jobs.local.executor import LocalExecutor


class PackedLauncher(Launcher):
    """Runs the jobs of a sweep in lanes on this machine, which start in ``setup`` and live as long as the launcher.

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
        positive = {"pack_size": pack_size, "run_timeout_min": run_timeout_min, "lane_memory_gib": lane_memory_gib}
        require_positive("hydra.launcher", **positive)
        self.executor = LocalExecutor(slots(lanes, threads_per_lane), lane_memory_gib)
        self.batches = BatchRunner(self.executor, pack_size, Rules(run_timeout_min, fail_fast))
        weakref.finalize(self, self.executor.close)

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Start the lanes."""
        self.batches.setup(hydra_context, task_function, config)

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run a batch of jobs. Returns a JobReturn for each, in the same order. Raises as ``BatchRunner.run``."""
        return self.batches.run(job_overrides, initial_job_idx)
