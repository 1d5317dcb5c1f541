"""``hydra/sweeper=planned``: launches the jobs that the task function has planned, or else Hydra's own grid.

A task function may offer ``jobs()``, see ``packed_jobs.PackTask``. With one that does not, or whose ``jobs()`` is None,
Hydra's basic sweeper does the rest.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, Optional

from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from hydra.utils import get_class
from omegaconf import DictConfig, OmegaConf

from packed_jobs.errors import require_positive
from packed_jobs.hydra_internals.job_return import result_of

# OmegaConf reads the annotations at run time and knows only typing's spelling of optional types. Hydra executes this
# module before it is in sys.modules, where dataclass looks up annotations that are postponed.
# ruff: noqa: UP006, UP035, UP045

BASIC = "hydra/sweeper/basic.yaml"
"""The basic sweeper's config in Hydra's store."""


@dataclass
class PlannedSweeperConf:
    """The config of the sweeper: max_batch_size and params, as the basic one has them."""

    _target_: str = "hydra_plugins.planned_sweeper.sweeper.PlannedSweeper"
    max_batch_size: Optional[int] = None  # jobs launched at a time; null: all
    params: Optional[Dict[str, str]] = None  # parts of the grid, before those of the command line


class PlannedSweeper(Sweeper):
    """Launches jobs that are planned already, without expanding the grid and composing each job once more."""

    is_grid = True  # as the basic sweeper expands it; a program that plans jobs asks for this

    def __init__(self, max_batch_size: Optional[int], params: Optional[Dict[str, str]] = None) -> None:
        require_positive("hydra.sweeper", max_batch_size=max_batch_size)
        self.max_batch_size, self.params = max_batch_size, params

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Prepare for one sweep of a task function."""
        self.context, self.task, self.master = hydra_context, task_function, config

    def sweep(self, arguments: list[str]) -> Any:
        """Launch all jobs, in batches of max_batch_size. Returns their JobReturns, a list a batch.

        Raises the exception of the first job that failed, after its batch.
        """
        planned: Callable[[], Optional[Sequence[Sequence[str]]]] = getattr(self.task, "jobs", lambda: None)
        jobs = planned()
        if jobs is None:
            return self._basic_sweeper().sweep(arguments)
        folder = Path(str(self.master.hydra.sweep.dir))
        folder.mkdir(parents=True, exist_ok=True)
        OmegaConf.save(self.master, folder / "multirun.yaml")
        return list(self._launch(jobs))

    def _basic_sweeper(self) -> Sweeper:
        kind = get_class(ConfigStore.instance().load(BASIC).node._target_)
        basic: Sweeper = kind(max_batch_size=self.max_batch_size, params=self.params)
        basic.setup(hydra_context=self.context, task_function=self.task, config=self.master)
        return basic

    def _launch(self, jobs: Sequence[Sequence[str]]) -> Iterator[Sequence[JobReturn]]:
        launcher = Plugins.instance().instantiate_launcher(self.context, self.task, self.master)
        size = self.max_batch_size or max(1, len(jobs))
        for start in range(0, len(jobs), size):
            returns = launcher.launch(jobs[start : start + size], initial_job_idx=start)
            for each in returns:
                if each.status is JobStatus.FAILED:
                    raise result_of(each)
            yield returns


ConfigStore.instance().store(group="hydra/sweeper", name="planned", node=PlannedSweeperConf, provider="planned_sweeper")
