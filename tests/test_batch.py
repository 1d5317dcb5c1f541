"""Batches on an executor of another kind: packs that are read from a file, as an array task of a cluster would."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import launcher_app
import pytest
from array_task import ArrayExecutor
from hydra import initialize
from hydra._internal.callbacks import Callbacks
from hydra.core.global_hydra import GlobalHydra
from hydra.core.utils import JobReturn
from hydra.types import HydraContext, RunMode
from launching import errors, lines, values
from optional import present

from packed_jobs import LaneDiedError
from packed_jobs.batch import BatchRunner
from packed_jobs.errors import require_positive
from packed_jobs.executor import Rules
from packed_jobs.task import PlannedJob

Run = Callable[..., list[JobReturn]]


@pytest.fixture
def executor(tmp_path: Path) -> ArrayExecutor:
    (tmp_path / "packs").mkdir()
    return ArrayExecutor(tmp_path / "packs")


@pytest.fixture
def run(tmp_path: Path, executor: ArrayExecutor) -> Iterator[Run]:
    """Run jobs, one a string of overrides separated by blanks."""
    with initialize(version_base="1.3", config_path=None, job_name="app"):
        loader = GlobalHydra.instance().config_loader()
        config = loader.load_configuration(None, [f"hydra.sweep.dir={tmp_path}"], RunMode.MULTIRUN)
        batches = BatchRunner(executor, None, Rules(None, fail_fast=False))
        batches.setup(HydraContext(loader, Callbacks(config)), launcher_app.packed, config)
        yield lambda *jobs: batches.run([job.split() for job in jobs], 0)


def test_packs_run_in_processes_that_know_them_from_a_file(run: Run, tmp_path: Path) -> None:
    returns = run("+do=x +group=g", "+do=payload", "+do=raise +group=g")
    assert values(returns)[:2] == [([0, 2], [], str(tmp_path / "0")), (["+do=payload"], 1)]
    assert str(errors(returns)[2]) == "job 2"
    assert present(returns[0].hydra_cfg).hydra.runtime.output_dir == str(tmp_path / "0")
    assert lines(tmp_path, 0, "app.log")[-1].endswith("Job #0 ended")


def test_a_process_starts_with_the_variables_of_its_jobs(run: Run) -> None:
    returns = run("+do=flavour +environment={FLAVOUR:sweet}", "+do=flavour +environment={FLAVOUR:bitter}")
    assert values(returns) == ["sweet", "bitter"]


def test_the_task_is_called_for_jobs_whose_process_died(run: Run, tmp_path: Path) -> None:
    [error, none] = errors(run("+do=die", "+do=x"))
    assert (type(error), str(error)) == (LaneDiedError, "the array task was killed by signal 9 (SIGKILL)")
    assert none is None
    assert lines(tmp_path, 0, "lost") == [f"die: {error}"]


def test_jobs_killed_after_an_interrupt_are_lost(
    run: Run, executor: ArrayExecutor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    running: list[PlannedJob] = []

    def interrupted(packs: list[list[PlannedJob]], *_: object) -> None:
        running.extend(packs[0])
        raise KeyboardInterrupt

    monkeypatch.setattr(executor, "run", interrupted)
    monkeypatch.setattr(executor, "interrupt", lambda: running)
    with pytest.raises(KeyboardInterrupt):
        run("+do=x")
    assert lines(tmp_path, 0, "lost") == ["x: interrupted, and killed as it did not end by itself"]


def test_an_unexpected_error_ends_all_processes(
    run: Run, executor: ArrayExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executor, "run", None)
    with pytest.raises(TypeError):
        run("+do=x")
    assert executor.events == ["start", "kill"]


def test_options_have_to_be_positive() -> None:
    require_positive("node", a=None, b=0.5)
    with pytest.raises(ValueError, match=r"^node\.a is -1, expected more than 0, or null$"):
        require_positive("node", a=-1)
