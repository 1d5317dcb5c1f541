"""``hydra/launcher=packed_slurm``: the plugin that Hydra finds."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import Any

from hydra.core.utils import JobReturn
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from packed_jobs.errors import require_positive


class PackedSlurmLauncher(Launcher):
    """Runs the jobs of a sweep in lanes in the tasks of Slurm job arrays.

    The arguments are those of ``config.PackedSlurmLauncherConf``. Raises ValueError for numbers that are too small.
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
        detach: bool,
        **options: Any,
    ) -> None:
        from packed_jobs.batch import BatchRunner
        from packed_jobs.executor import Rules
        from packed_jobs.slurm.executor import SlurmExecutor
        from packed_jobs.slurm.options import SlurmOptions

        given = {"lanes": lanes, "threads_per_lane": threads_per_lane, "lane_memory_gib": lane_memory_gib}
        require_positive("hydra.launcher", pack_size=pack_size, run_timeout_min=run_timeout_min, **given)
        executor = SlurmExecutor(SlurmOptions(**options), given, detach=detach)
        self.batches = BatchRunner(executor, pack_size, Rules(run_timeout_min, fail_fast))
        weakref.finalize(self, executor.close)

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Prepare for one sweep."""
        self.batches.setup(hydra_context, task_function, config)

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run a batch of jobs. Returns a JobReturn for each, in the same order. Raises as ``BatchRunner.run``."""
        return self.batches.run(job_overrides, initial_job_idx)
