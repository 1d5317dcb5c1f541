"""The sweeper: the task function's own jobs, or the grid as Hydra expands it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hydra import initialize
from hydra._internal.callbacks import Callbacks
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.plugins import Plugins
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, RunMode
from omegaconf import DictConfig, OmegaConf

Sweep = Callable[..., list[list[Any]]]


class Task:
    """Returns its number and ``x``; fails where ``x`` is 0."""

    def __init__(self, jobs: Sequence[Sequence[str]] | None) -> None:
        self.planned = jobs

    def jobs(self) -> Sequence[Sequence[str]] | None:
        return self.planned

    def __call__(self, config: DictConfig) -> tuple[int, Any]:
        if config.x == 0:
            raise ValueError("x is 0")
        return HydraConfig.get().job.num, config.x


@pytest.fixture
def sweep(tmp_path: Path) -> Iterator[Sweep]:
    """Sweep a task function over a grid. Returns the values of each batch."""

    def run(task: Callable[[DictConfig], Any], *options: str, grid: str = "+x=1,2,3") -> list[list[Any]]:
        lines = ["hydra/sweeper=planned", f"hydra.sweep.dir={tmp_path}", *options]
        loader = GlobalHydra.instance().config_loader()
        config = loader.load_configuration(None, [*lines, grid], RunMode.MULTIRUN)
        context = HydraContext(loader, Callbacks(config))
        sweeper = Plugins.instance().instantiate_sweeper(hydra_context=context, task_function=task, config=config)
        return [[each.return_value for each in batch] for batch in sweeper.sweep([grid])]

    with initialize(version_base="1.3", config_path=None, job_name="app"):
        yield run


def test_hydra_finds_the_sweeper() -> None:
    assert "PlannedSweeper" in [plugin.__name__ for plugin in Plugins.instance().discover(Sweeper)]


@pytest.mark.parametrize("launcher", ["basic", "packed"])
def test_the_jobs_of_the_task_are_launched_and_no_others(sweep: Sweep, tmp_path: Path, launcher: str) -> None:
    task = Task([("+x=3", "+y=1"), ["+x=1"]])
    assert sweep(task, f"hydra/launcher={launcher}") == [[(0, 3), (1, 1)]]
    assert (tmp_path / "0" / ".hydra" / "overrides.yaml").read_text() == "- +x=3\n- +y=1\n"
    assert OmegaConf.load(tmp_path / "multirun.yaml").hydra.sweeper._target_.endswith("PlannedSweeper")


def test_batches_have_the_size_that_is_asked_for(sweep: Sweep) -> None:
    task = Task([["+x=3"], ["+x=1"], ["+x=2"]])
    assert sweep(task, "hydra.sweeper.max_batch_size=2") == [[(0, 3), (1, 1)], [(2, 2)]]


@pytest.mark.parametrize("size", [0, -1])
def test_batches_of_no_jobs_are_refused(sweep: Sweep, size: int) -> None:
    with pytest.raises(Exception, match=f"hydra.sweeper.max_batch_size is {size}, expected more than 0, or null"):
        sweep(Task([["+x=3"]]), f"hydra.sweeper.max_batch_size={size}")


def test_no_job_is_launched_where_none_is_planned(sweep: Sweep, tmp_path: Path) -> None:
    assert sweep(Task([])) == []
    assert [path.name for path in tmp_path.iterdir()] == ["multirun.yaml"]


def test_planned_jobs_are_not_composed_by_the_sweeper(sweep: Sweep, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Sweeper, "validate_batch_is_legal", None)
    assert sweep(Task([["+x=1"]])) == [[(0, 1)]]


def test_a_failed_job_ends_the_sweep_after_its_batch(sweep: Sweep, tmp_path: Path) -> None:
    task = Task([["+x=0"], ["+x=1"], ["+x=2"]])
    with pytest.raises(ValueError, match="x is 0"):
        sweep(task, "hydra.sweeper.max_batch_size=2")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0", "1", "multirun.yaml"]


@pytest.mark.parametrize("task", [Task(None), Task(None).__call__])
def test_without_planned_jobs_it_is_hydras_own_sweeper(sweep: Sweep, task: Callable[[DictConfig], Any]) -> None:
    expected = [[(0, 1), (1, 2)], [(2, 3)]]
    assert sweep(task, "hydra.sweeper.max_batch_size=2") == expected
