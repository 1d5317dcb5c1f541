"""``hydra/sweeper=planned``: Hydra's own grid, less the jobs that the task function does not want again.

A task function may offer ``is_due(overrides) -> bool``, asked once for each job, in order. With one that does not, this
is Hydra's basic sweeper.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper, BasicSweeperConf
from hydra.core.config_store import ConfigStore
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


# Hydra executes this module before it is in sys.modules, where dataclass looks up annotations that are postponed.
@dataclass
class PlannedSweeperConf(BasicSweeperConf):
    """The config of the sweeper: max_batch_size and params, as the basic one has them."""

    _target_: str = "hydra_plugins.planned_sweeper.sweeper.PlannedSweeper"


class PlannedSweeper(BasicSweeper):
    """Sweeps over a grid, and leaves out what is done."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Take the task function, which says what is due."""
        super().setup(hydra_context=hydra_context, task_function=task_function, config=config)
        self._is_due: Callable[[Sequence[str]], bool] = getattr(task_function, "is_due", lambda _overrides: True)

    def get_job_batch(self) -> Sequence[Sequence[str]]:
        """The overrides of the jobs of a batch that are due."""
        return [overrides for overrides in super().get_job_batch() if self._is_due(overrides)]


ConfigStore.instance().store(group="hydra/sweeper", name="planned", node=PlannedSweeperConf, provider="planned_sweeper")
