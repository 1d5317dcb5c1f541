"""One folder, one owner: real processes, real kills."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from optional import present

from fashion_sweep.errors import FolderError
from fashion_sweep.storage import lease
from fashion_sweep.storage.lease import DEAD_AFTER_S, OWNER, living_owner, owned

HOLD = "import sys, time, pathlib; from fashion_sweep.storage.lease import owned\n" \
    "with owned(pathlib.Path(sys.argv[1])):\n    print('owned', flush=True); time.sleep(60)"  # fmt: skip


def holder(folder: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(folder)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "owned\n"
    return process


def test_a_second_owner_gets_an_error_that_names_the_first(tmp_path: Path) -> None:
    with holder(tmp_path) as process:
        owner = living_owner(tmp_path)
        assert owner is not None
        with pytest.raises(FolderError) as refused, owned(tmp_path):
            pass
        process.kill()
    lines = str(refused.value).splitlines()
    assert lines[0] == f"{tmp_path} is in use by process {process.pid} on {platform.node()}, " \
        f"since {owner.since}."  # fmt: skip
    assert lines[1].endswith(f"delete {tmp_path / OWNER}")


def test_the_folder_of_a_killed_owner_can_be_taken_over(tmp_path: Path) -> None:
    with holder(tmp_path) as process:
        process.kill()
    assert (tmp_path / OWNER).exists()
    assert living_owner(tmp_path) is None
    with owned(tmp_path):
        assert present(living_owner(tmp_path)).pid == os.getpid()
    assert list(tmp_path.iterdir()) == []


def test_another_process_with_the_pid_of_a_dead_owner_is_not_the_owner(tmp_path: Path) -> None:
    with owned(tmp_path):
        text = json.loads((tmp_path / OWNER).read_text())
    (tmp_path / OWNER).write_text(json.dumps(text | {"start": "1"}))
    assert living_owner(tmp_path) is None


@pytest.mark.parametrize(("silent_s", "lives"), [(DEAD_AFTER_S / 2, True), (DEAD_AFTER_S + 5, False)])
def test_an_owner_on_another_machine_is_alive_while_its_heartbeats_are_recent(
    tmp_path: Path, silent_s: float, lives: bool
) -> None:
    with owned(tmp_path):
        text = json.loads((tmp_path / OWNER).read_text())
    (tmp_path / OWNER).write_text(json.dumps(text | {"host": "elsewhere"}))
    then = time.time() - silent_s
    os.utime(tmp_path / OWNER, (then, then))
    assert (living_owner(tmp_path) is not None) is lives
    if lives:
        with pytest.raises(FolderError, match="on elsewhere"), owned(tmp_path):
            pass
    else:
        with owned(tmp_path):
            assert present(living_owner(tmp_path)).host == platform.node()


def test_an_owner_sends_heartbeats(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "HEARTBEAT_S", 0.05)
    with owned(tmp_path):
        os.utime(tmp_path / OWNER, (0, 0))
        deadline = time.monotonic() + 10
        while (tmp_path / OWNER).stat().st_mtime == 0:
            assert time.monotonic() < deadline
            time.sleep(0.01)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"host": "x"}'])
def test_a_damaged_file_does_not_count_as_an_owner(tmp_path: Path, text: str) -> None:
    (tmp_path / OWNER).write_text(text)
    assert living_owner(tmp_path) is None
    with owned(tmp_path):
        pass


def test_only_one_of_many_simultaneous_takeovers_succeeds(tmp_path: Path) -> None:
    with owned(tmp_path):
        dead = json.loads((tmp_path / OWNER).read_text()) | {"start": "1"}
    got, refused, barrier = [], [], threading.Barrier(8)

    def take(number: int) -> None:
        barrier.wait()
        try:
            with owned(tmp_path):
                got.append(number)
                time.sleep(0.5)
        except FolderError:
            refused.append(number)

    for _ in range(5):
        (tmp_path / OWNER).write_text(json.dumps(dead))
        got.clear()
        refused.clear()
        threads = [threading.Thread(target=take, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (len(got), len(refused)) == (1, 7)
    assert list(tmp_path.iterdir()) == []
