"""Lanes that start, do not start, or are not to be started."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import launcher_app
import pytest
from launching import Launch, errors, lines, values
from omegaconf import DictConfig

from packed_jobs import LaneDiedError
from packed_jobs.local import devices, pool, worker_main


@pytest.mark.parametrize(
    "option", ["lanes=0", "pack_size=0", "threads_per_lane=0", "run_timeout_min=0", "lane_memory_gib=0"]
)
def test_numbers_that_are_too_small_are_refused(launch: Callable[..., Launch], option: str) -> None:
    with pytest.raises(Exception, match=option.replace("=", " is ")):
        launch(launcher_app.act, option)


def test_lanes_that_die_as_they_start_are_given_up(launch: Callable[..., Launch]) -> None:
    found = errors(launch(launcher_app.frail, "lanes=1")("+do=x", "+do=y"))
    expected = "no lane can be started: the last one ended with exit code 5"
    assert [(type(error), str(error)) for error in found] == [(LaneDiedError, expected)] * 2


def test_one_slot_where_no_lane_can_start_costs_nothing_else(
    launch: Callable[..., Launch], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices.Slot, "environment", lambda slot: {"FRAIL": "1"} if 0 in slot.cores else {})
    monkeypatch.setattr(devices, "available_cores", lambda: [0, 1])
    batch = launch(launcher_app.frail_in_places, "lanes=2")
    assert errors(batch(*["+do=nap"] * 6)) == [None] * 6


def test_a_lane_that_cannot_be_made_leaves_the_work_to_others(
    launch: Callable[..., Launch], monkeypatch: pytest.MonkeyPatch
) -> None:
    make = subprocess.Popen
    made: list[object] = []

    def limited(*arguments: Any, **options: Any) -> Any:
        if made:
            raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")
        made.append(make(*arguments, **options))
        return made[0]

    monkeypatch.setattr(subprocess, "Popen", limited)
    descriptors = len(list(Path("/proc/self/fd").iterdir()))
    batch = launch(launcher_app.act, "lanes=3")
    assert values(batch("+do=fine", "+do=fine", "+do=fine")) == ["fine"] * 3
    assert len(list(Path("/proc/self/fd").iterdir())) <= descriptors + 2


def test_where_no_lane_can_be_made_every_job_fails_and_is_lost(
    launch: Callable[..., Launch], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_arguments: Any, **_options: Any) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    batch = launch(launcher_app.act, "lanes=2")
    [first, second] = errors(batch("+do=x", "+do=y"))
    assert str(first) == "no lane can be started: the last one could not be made (Too many open files)"
    assert lines(batch.folder, 1, "lost") == [f"y: {second}"]


def test_a_lane_that_gives_no_sign_of_life_is_given_up(
    launch: Callable[..., Launch], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(pool, "SIGN_OF_LIFE_S", 0.5)
    (tmp_path / "sitecustomize.py").write_text(
        "import sys, time\nif 'worker_main' in ' '.join(sys.orig_argv): time.sleep(99)"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    [found] = errors(launch(launcher_app.act, "lanes=1")("+do=fine"))
    assert str(found).endswith("the last one was not ready in time, and was killed")


def test_a_lane_whose_parent_is_gone_ends_without_a_word() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    given = {"connection": writer, "key": "00", "cores": [], "path": sys.path, "lifeline": writer, "parent": 1}
    command = [sys.executable, worker_main.__file__, json.dumps(given)]
    done = subprocess.run(command, pass_fds=[writer], capture_output=True, text=True, timeout=60, check=False)
    os.close(writer)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_there_are_no_more_lanes_than_jobs(launch: Callable[..., Launch]) -> None:
    planned = launcher_app.Planned(["+do=fine"])
    batch = launch(planned, "lanes=9")
    assert len(batch.launcher.executor.lanes.running) == 1


@pytest.mark.parametrize("option", ["lanes=100000", "threads_per_lane=100000"])
def test_numbers_that_would_exhaust_the_machine_are_refused(launch: Callable[..., Launch], option: str) -> None:
    with pytest.raises(Exception, match="expected at least 1 and at most"):
        launch(launcher_app.act, option)


def test_what_no_lane_can_load_fails_every_job(launch: Callable[..., Launch], tmp_path: Path) -> None:
    task = Unloadable()
    [first, second] = errors(launch(task, "lanes=1")("+do=x", "+do=y"))
    assert isinstance(first, LaneDiedError)
    assert "RuntimeError: only the parent can have this" in str(second)


class Unloadable:
    """A task function that pickles but does not unpickle."""

    def __call__(self, config: DictConfig) -> None: ...

    def __reduce__(self) -> tuple[Any, ...]:
        return launcher_app.refuse, ()
