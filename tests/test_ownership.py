"""One folder, one owner: real processes, real kills."""

from __future__ import annotations

import errno
import json
import os
import platform
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import pytest
import sweeping
from fixture_types import MakeSpec
from optional import present

from fashion_sweep.errors import FolderError, LostError, UnreadableError
from fashion_sweep.storage import atomic, lease
from fashion_sweep.storage.lease import OWNER, living_owner, owned, owner_of_run
from fashion_sweep.storage.owner import DEAD_AFTER_S, Owner
from fashion_sweep.storage.record import Status
from fashion_sweep.training.train import lost

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


DAMAGED = ["", "{", "[]", "null", "[" * 100_000, b"\xff\xfe", '{"host": "x"}', "9" * 5000,
           '{"host": 1, "pid": 1, "start": "", "since": "", "token": ""}',
           '{"host": "x", "pid": -1, "start": "", "since": "", "token": ""}',
           '{"host": "x", "pid": true, "start": "", "since": "", "token": ""}']  # fmt: skip


@pytest.mark.parametrize("text", DAMAGED)
@pytest.mark.parametrize("name", [OWNER, f".{OWNER}.turn"])
def test_a_damaged_file_is_judged_by_its_age(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str | bytes
) -> None:
    monkeypatch.setattr(lease, "TURN_S", 0.05)
    if name != OWNER:
        dead = json.dumps(asdict(Owner("elsewhere", 1, "1", "then", "token")))
        (tmp_path / OWNER).write_text(dead)
        os.utime(tmp_path / OWNER, (0, 0))
    (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(FolderError, match=f"an unknown process .*{name} is damaged"), owned(tmp_path):
        pass
    os.utime(tmp_path / name, (0, 0))
    with owned(tmp_path):
        assert present(living_owner(tmp_path)).pid == os.getpid()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo, lambda path: path.symlink_to(path.name),
                                  lambda path: path.symlink_to("nowhere")])  # fmt: skip
@pytest.mark.parametrize("name", [OWNER, f"../{OWNER}", f"run/{OWNER}"])
def test_an_owner_that_cannot_be_read_is_not_taken_for_none(
    tmp_path: Path, make: Callable[[Path], None], name: str
) -> None:
    folder = tmp_path / "sweep"
    (folder / "run").mkdir(parents=True)
    place = (folder / name).resolve().parent / OWNER
    make(place)
    with pytest.raises(UnreadableError, match=f"{place}: cannot be read"), owned(folder):
        pass
    assert living_owner(place.parent) is not None
    assert {path.name for path in folder.iterdir()} <= {"run", OWNER}


@pytest.mark.parametrize("start", ["sweep", "sweep/run"])
@pytest.mark.parametrize("other", ["sweep", "sweep/run", "link", "sweep/../link", "sweep/run/.."])
def test_a_run_and_the_sweep_around_it_have_one_owner(tmp_path: Path, start: str, other: str) -> None:
    (tmp_path / "sweep" / "run").mkdir(parents=True)
    (tmp_path / "link").symlink_to("sweep/run")
    with owned(tmp_path / start), pytest.raises(FolderError, match="is in use by process"), owned(tmp_path / other):
        pass
    assert owner_of_run(tmp_path / "link") is None
    with owned(tmp_path / other):
        assert owner_of_run(tmp_path / "link") is not None


def test_runs_of_one_sweep_may_have_an_owner_each(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    with owned(tmp_path / "one"), owned(tmp_path / "two"):
        pass


def test_of_a_sweep_and_its_run_that_are_taken_at_once_one_at_most_is_got(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    inside, together, barrier = [0], [], threading.Barrier(2)

    def take(folder: Path) -> None:
        for _ in range(50):
            barrier.wait()
            with suppress(FolderError), owned(folder):
                inside[0] += 1
                together.append(inside[0])
                time.sleep(0.002)
                inside[0] -= 1

    threads = [threading.Thread(target=take, args=(folder,)) for folder in (tmp_path, tmp_path / "run")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(together) <= {1}


@pytest.mark.parametrize("change", [{"boot": "another"}, {"namespace": "pid:[1]"}, {"boot": "", "namespace": ""}])
def test_a_process_of_another_boot_or_container_is_judged_by_its_heartbeats(
    tmp_path: Path, change: dict[str, str]
) -> None:
    text = json.dumps(asdict(Owner.this_process()) | {"pid": 2**22 + 1} | change)
    (tmp_path / OWNER).write_text(text)
    assert living_owner(tmp_path) is not None
    os.utime(tmp_path / OWNER, (0, 0))
    assert living_owner(tmp_path) is None


def test_an_owner_of_an_earlier_version_is_read(tmp_path: Path) -> None:
    (tmp_path / OWNER).write_text('{"host": "h", "pid": 7, "start": "1", "since": "then", "token": "t"}')
    assert str(living_owner(tmp_path)) == "process 7 on h, since then"


def test_what_an_owner_says_of_itself_is_cleaned_for_the_terminal(tmp_path: Path) -> None:
    wild = Owner("\x1b[2J\u202eh", 7, "1", "\x1b]0;t\x07", "t", "\x1b", "\n")
    (tmp_path / OWNER).write_text(json.dumps(asdict(wild)))
    with pytest.raises(FolderError) as refused, owned(tmp_path):
        pass
    assert "process 7 on  [2J h, since  ]0;t." in str(refused.value)


def rename(folder: Path) -> str:
    folder.rename(folder.with_name("elsewhere"))
    return "was renamed or deleted"


def delete(folder: Path) -> str:
    shutil.rmtree(folder)
    return "was renamed or deleted"


def take_away(folder: Path) -> str:
    (folder / "other").write_text(json.dumps(asdict(Owner("elsewhere", 7, "1", "then", "token"))))
    (folder / "other").replace(folder / OWNER)
    return "is owned by process 7 on elsewhere, since then now"


@pytest.mark.parametrize("lose", [rename, delete, take_away])
def test_the_command_is_interrupted_when_its_folder_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lose: Callable[[Path], str]
) -> None:
    monkeypatch.setattr(lease, "CHECK_S", 0.01)
    folder = tmp_path / "sweep"
    folder.mkdir()
    with pytest.raises(KeyboardInterrupt), owned(folder) as mine:  # noqa: PT012
        mine.require()
        why = lose(folder)
        threading.Event().wait(60)
    assert why in mine.lost
    with pytest.raises(LostError, match=why):
        mine.require()


def test_a_folder_that_cannot_be_looked_at_for_a_while_is_not_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_place: Path) -> tuple[int, int]:
        raise OSError(errno.EIO, "Input/output error")

    with owned(tmp_path) as mine:
        monkeypatch.setattr(lease, "_number", fail)
        mine.require()
        monkeypatch.setattr(lease, "_number", lambda _place: (0, 0))  # another number, the same owner
        mine.require()


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


def test_a_lost_run_of_a_folder_that_is_gone_is_not_recorded(make_spec: MakeSpec, tmp_path: Path) -> None:
    lost(make_spec(folder="renamed/run"), Status.FAILED, "killed")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_command_whose_folder_is_renamed_ends_and_leaves_no_second_half(tmp_path: Path) -> None:
    arguments = (*sweeping.TINY, "epochs=100000", "save=none", "callbacks=none", "hydra.run.dir=run")
    with sweeping.started(tmp_path, *arguments) as process:
        sweeping.until((tmp_path / "run" / "history.csv").exists, "an epoch")
        (tmp_path / "run").rename(tmp_path / "renamed")
        _, errors = process.communicate(timeout=sweeping.PATIENCE_S)
    assert process.returncode == 1
    assert errors.strip() == "fashion-sweep: run was renamed or deleted while runs trained, so they stopped; " \
        "resume it where it is now"  # fmt: skip
    assert not (tmp_path / "run").exists()
    assert living_owner(tmp_path / "renamed") is None


TRAIN = "import sys, pathlib; from fashion_sweep.storage import atomic, lease\nrun = pathlib.Path(sys.argv[1])\n" \
    "with lease.trained([run]) as refused:\n" \
    "    print([why.splitlines()[0] for why in refused.values()])\n" \
    "    if not refused: atomic.write_text(run / 'run.json', 'newer')"  # fmt: skip


def train(folder: Path, **environment: str) -> str:
    """What a task of a launcher, which writes into a run's folder, says of why it could not."""
    done = subprocess.run([sys.executable, "-c", TRAIN, str(folder)], env=os.environ | environment,
                          capture_output=True, text=True, check=True)  # fmt: skip
    return done.stdout


JOB = {"SLURM_JOB_ID": "13", "SLURM_ARRAY_JOB_ID": "12", "SLURM_ARRAY_TASK_ID": "3", "SLURM_CLUSTER_NAME": "c"}


def test_a_newer_attempt_at_a_task_takes_its_runs_and_the_older_one_writes_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lease, "CHECK_S", 600.0)
    for name, value in JOB.items():
        monkeypatch.setenv(name, value)
    with lease.trained([tmp_path / "run"]) as refused:
        assert not refused
        assert str(living_owner(tmp_path / "run")).startswith(f"Slurm job 12_3, process {os.getpid()} on ")
        atomic.write_text(tmp_path / "run" / "run.json", "older")
        assert "is in use by Slurm job 12_3" in train(tmp_path / "run")
        assert "is in use by Slurm job 12_3" in train(
            tmp_path / "run", SLURM_ARRAY_TASK_ID="4", SLURM_RESTART_COUNT="1"
        )
        assert train(tmp_path / "run", SLURM_RESTART_COUNT="1") == "[]\n"
        with pytest.raises(LostError, match="was renamed or deleted while runs trained"):
            atomic.write_text(tmp_path / "run" / "run.json", "older")
    assert (tmp_path / "run" / "run.json").read_text() == "newer"
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["run.json"]


def test_a_command_leaves_the_runs_of_tasks_that_live_to_them(tmp_path: Path) -> None:
    with lease.trained([tmp_path / "run"]), owned(tmp_path):
        with pytest.raises(FolderError, match="is in use by process"), owned(tmp_path / "run"):
            pass
        assert present(living_owner(tmp_path / "run")).task == "local"
