"""Jobs that need other variables before anything is imported run in lanes that were started with these."""

from __future__ import annotations

from collections.abc import Callable

import launcher_app
import pytest
from launching import Launch, errors, values

BITTER, SWEET, ANY = "+environment={FLAVOUR:bitter}", "+environment={FLAVOUR:sweet}", "+environment={}"


def job(environment: str, cost: float = 1.0, group: str = "null") -> str:
    return f"+do=started_with {environment} +cost={cost} +group={group}"


def test_a_lane_is_replaced_once_when_only_jobs_with_another_environment_are_left(
    launch: Callable[..., Launch],
) -> None:
    batch = launch(launcher_app.packed, "lanes=1")
    returns = batch(job(BITTER, 1), job(SWEET, 3), job(BITTER, 2), job(SWEET, 4))
    assert errors(returns) == [None] * 4
    processes, flavours = zip(*values(returns), strict=True)
    assert flavours == ("bitter", "sweet", "bitter", "sweet")
    assert processes[0] == processes[2]
    assert processes[1] == processes[3]
    assert len(set(processes)) == 2
    assert len(batch.launcher.executor.lanes.running) == 1


def test_jobs_with_other_environments_are_no_pack(launch: Callable[..., Launch]) -> None:
    batch = launch(launcher_app.packed, "lanes=1", "pack_size=8")
    jobs = [f"+do=x +group=g {environment}" for environment in (BITTER, SWEET, BITTER)]
    assert [value[0] for value in values(batch(*jobs))] == [[0, 2], [1], [0, 2]]


def test_a_job_that_asks_for_nothing_runs_in_any_lane(
    launch: Callable[..., Launch], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launcher_app.packed, "environments", lambda: [{"FLAVOUR": "sweet"}], raising=False)
    batch = launch(launcher_app.packed, "lanes=1")
    returns = batch(job(SWEET, 3), job(ANY, 2), job(SWEET, 1))
    assert len(set(values(returns))) == 1


def test_lanes_of_two_environments_work_side_by_side(launch: Callable[..., Launch]) -> None:
    batch = launch(launcher_app.packed, "lanes=2")
    returns = batch(*[job(environment) for environment in (BITTER, SWEET) * 3])
    by_process = dict(values(returns))
    assert sorted(by_process.values()) == ["bitter", "sweet"]


def test_early_lanes_have_the_environments_that_the_task_function_announces(
    launch: Callable[..., Launch], monkeypatch: pytest.MonkeyPatch
) -> None:
    announced = [{"FLAVOUR": "bitter"}, {"FLAVOUR": "sweet"}]
    monkeypatch.setattr(launcher_app.packed, "environments", lambda: announced, raising=False)
    batch = launch(launcher_app.packed, "lanes=3")
    lanes = batch.launcher.executor.lanes.running
    assert [lane.environment for lane in lanes] == [announced[0], announced[1], announced[0]]
    started = {lane.process.pid for lane in lanes}
    returns = batch(job(SWEET), job(BITTER), job(BITTER))
    assert {process for process, _ in values(returns)} <= started


def test_a_lane_that_died_is_replaced_by_one_with_the_environment_of_its_job(launch: Callable[..., Launch]) -> None:
    batch = launch(launcher_app.packed, "lanes=1", "pack_size=2")
    dying = f"+do=kill +group=g {SWEET}"
    returns = batch(dying, f"+do=flavour +group=g {SWEET}")
    assert errors(returns) == [None, None]
    assert values(returns)[1] == "sweet"
