"""Large grids, whose points several processes work out."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf
from sweeping import environment

from fashion_sweep import app
from fashion_sweep.config.run_spec import RunSpec
from fashion_sweep.errors import ConfigError
from fashion_sweep.planning import forks, plan
from fashion_sweep.planning.request import Request
from packed_jobs.hydra_internals import session

DATA = ("data=synthetic", "data.samples=100", "data.image_size=4")
GRID = ("optimizer=sgd,adam", "model.dropout=0,0.5", "seed=range(8)", "+note=${hydra:job.num}", "+where=${run_name:}")


@pytest.fixture
def forked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What other processes hand back, where small grids are given to them as well."""
    seen: list[Any] = []
    ask = forks._forked

    def recorded(*arguments: Any) -> Iterator[Any]:
        for found in ask(*arguments):
            seen.append(found)
            yield found

    monkeypatch.setattr(forks, "_can_fork", lambda: True)  # other tests in this process may have imported TensorFlow
    monkeypatch.setattr(forks, "FEWEST", 4)
    monkeypatch.setattr(forks, "CHUNK", 3)
    monkeypatch.setattr(forks, "_forked", recorded)
    return seen


def planned(folder: Path, *lines: str) -> tuple[list[RunSpec], list[Any]]:
    """The specs of a sweep, and the configs that launchers get for them, with and without the run's folder."""
    request = Request([*DATA, *lines, f"hydra.sweep.dir={folder}"], app.CONF, "config", None, True)
    with session.opened(app.CONF, None, app.NAME, request.started) as hydra:
        found = plan.make_plan(hydra, request)
        asked = [(spec, [*spec.overrides, *more]) for spec in found.specs for more in ([], [subdir(spec)])]
        configs = [hydra.compose_job(found.config, line, spec.number) for spec, line in asked]
        return found.specs, [OmegaConf.to_container(config) for config in configs]


def subdir(spec: RunSpec) -> str:
    return f"hydra.sweep.subdir='{spec.name}'"


def test_other_processes_plan_what_this_one_would(
    tmp_path: Path, forked: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = planned(tmp_path, *GRID)
    assert len(forked) == 31
    assert not any(isinstance(point, forks._Again) for point in forked)
    monkeypatch.setattr(forks, "FEWEST", 1000)
    here = planned(tmp_path, *GRID)
    assert len(forked) == 31
    # The time of the command is in both; no value depends on it here.
    assert [vars(spec) | {"own_log": None} for spec in found[0]] == [vars(spec) | {"own_log": None} for spec in here[0]]
    assert found[1] == here[1]
    assert [config["hydra"]["sweep"]["subdir"] for config in found[1][::2]] == [spec.name for spec in found[0]]


def test_bad_points_are_named_as_in_one_process(
    tmp_path: Path, forked: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    grid = ("optimizer.learning_rate=0.1,-1,0.01", "seed=range(5)")
    texts = []
    for fewest in (4, 1000):
        monkeypatch.setattr(forks, "FEWEST", fewest)
        with pytest.raises(ConfigError) as caught:
            planned(tmp_path, *grid)
        texts.append(str(caught.value))
    assert [type(each) for each in forked].count(ConfigError) == 5
    assert texts[0] == texts[1]
    assert "optimizer.learning_rate is -1" in texts[0]


def test_a_grid_over_datasets_is_planned_in_one_process(tmp_path: Path, forked: list[Any]) -> None:
    planned(tmp_path, "data.noise=1,2", "seed=0,1,2,3")
    assert forked == []


def numbered(count: int, make: Any) -> list[Any]:
    return list(forks.each(make, count, is_forkable=True))


def test_points_come_in_order_from_several_processes(forked: list[Any]) -> None:
    found = numbered(40, lambda number: (number, os.getpid()))
    assert [number for number, _ in found] == list(range(40))
    assert found[0][1] == os.getpid()
    assert os.getpid() not in {pid for _, pid in forked}


def test_what_a_killed_process_owes_is_done_here(forked: list[Any]) -> None:
    here = os.getpid()

    def make(number: int) -> int:
        if number == 10 and os.getpid() != here:
            os.kill(os.getpid(), signal.SIGKILL)
        return number

    assert numbered(40, make) == list(range(40))
    assert len(forked) < 39


def test_other_errors_are_raised_here(forked: list[Any]) -> None:
    def make(number: int) -> int:
        if number == 10:
            raise ZeroDivisionError(os.getpid())
        return number

    with pytest.raises(ZeroDivisionError, match=str(os.getpid())):
        numbered(40, make)
    assert forked


def test_what_cannot_be_pickled_is_made_here(forked: list[Any]) -> None:
    found = numbered(8, lambda number: lambda: number)
    assert [each() for each in found] == list(range(8))
    assert forked == []


PROGRAM = """
import os, sys, time
from fashion_sweep.planning import forks
forks.FEWEST, forks.CHUNK = 4, 1

def make(number):
    if number:
        print(os.getpid(), flush=True)
        time.sleep(60)

list(forks.each(make, 40, is_forkable=True))
"""


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one core plans in one process")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_no_process_outlives_the_command(number: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        start_new_session=True, env=os.environ | environment(),
    ) as command:  # fmt: skip
        assert command.stdout
        pids = [int(command.stdout.readline()) for _ in range(2)]
        if number == signal.SIGKILL:
            command.kill()
        else:
            os.killpg(command.pid, number)
        deadline = time.monotonic() + 30
        while any(Path(f"/proc/{pid}").exists() for pid in pids) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert not any(Path(f"/proc/{pid}").exists() for pid in pids)


def test_resolvers_of_ones_own_are_asked_in_one_process() -> None:
    assert session.own_resolvers() == {"run_name"}
    OmegaConf.register_new_resolver("counter", lambda: 1)
    try:
        assert session.own_resolvers() == {"run_name", "counter"}
        assert not forks._can_fork()
    finally:
        OmegaConf.clear_resolver("counter")
