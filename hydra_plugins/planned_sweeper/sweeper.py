"""``hydra/sweeper=planned``: launches the jobs that the task function has planned, or else Hydra's own grid.

A task function may offer ``jobs()``, see ``packed_jobs.PackTask``. With one that does not, or whose ``jobs()`` is None,
this is Hydra's basic sweeper.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper, BasicSweeperConf
from hydra.core.config_store import ConfigStore
from hydra.core.utils import JobReturn
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf


# Hydra executes this module before it is in sys.modules, where dataclass looks up annotations that are postponed.
@dataclass
class PlannedSweeperConf(BasicSweeperConf):
    """The config of the sweeper: max_batch_size and params, as the basic one has them."""

    _target_: str = "hydra_plugins.planned_sweeper.sweeper.PlannedSweeper"


class PlannedSweeper(BasicSweeper):
    """Launches jobs that are planned already, without expanding the grid and composing each job once more."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Prepare for one sweep of a task function."""
        super().setup(hydra_context=hydra_context, task_function=task_function, config=config)
        self._jobs: Callable[[], Sequence[Sequence[str]] | None] = getattr(task_function, "jobs", lambda: None)

    def sweep(self, arguments: list[str]) -> Any:
        """Launch all jobs, in batches of max_batch_size. Returns their JobReturns, a list a batch.

        Raises the exception of the first job that failed, after its batch.
        """
        jobs = self._jobs()
        if jobs is None:
            return super().sweep(arguments)
        assert self.config is not None
        folder = Path(str(self.config.hydra.sweep.dir))
        folder.mkdir(parents=True, exist_ok=True)
        OmegaConf.save(self.config, folder / "multirun.yaml")
        return list(self._launch(jobs))

    def _launch(self, jobs: Sequence[Sequence[str]]) -> Iterator[Sequence[JobReturn]]:
        assert self.launcher is not None
        lists, launched = [list(overrides) for overrides in jobs], 0
        for batch in self.split_overrides_to_chunks(lists, self.max_batch_size) if lists else ():
            returns = self.launcher.launch(batch, initial_job_idx=launched)
            for each in returns:
                _ = each.return_value  # raises where the job failed
            launched += len(batch)
            yield returns


ConfigStore.instance().store(group="hydra/sweeper", name="planned", node=PlannedSweeperConf, provider="planned_sweeper")
