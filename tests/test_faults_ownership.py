"""Folders that two commands want, that are renamed, and whose owner cannot be known: each has one owner at a time."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from fault_table import fault
from fixture_types import Seen
from sweeping import IN_S, QUICK, complaint, run, started, statuses, until

from fashion_sweep.storage.sweep_dir import SweepDir

OWNER = "owner.json"


def epoch_lines(sweep: Path) -> int:
    return sum(len(run.read_history()) for run in SweepDir(sweep).run_dirs())


@contextmanager
def training(folder: Path, *more: str) -> Iterator[subprocess.Popen[str]]:
    """A sweep in ``folder``/s that trains its first of two runs until the file ``go`` is there."""
    with started(folder, "-m", "seed=0,1", *QUICK, f"trainer.wait_for={folder}/go", IN_S, *more) as process:
        until(lambda: list((folder / "s").glob("seed-0*/run.json")), "a run")
        yield process


def first_run(folder: Path) -> Path:
    return SweepDir(folder / "s").run_dirs()[0].path


def go(folder: Path, process: subprocess.Popen[str]) -> tuple[str, str]:
    """Let the command end, as it must in whatever case."""
    (folder / "go").touch()
    return process.communicate(timeout=120)


def refused(folder: Path, *arguments: str) -> str:
    """What a command says that must not train; it is killed where it does."""
    with started(folder, *arguments) as process:
        out, err = process.communicate(timeout=60)
    return complaint(subprocess.CompletedProcess(arguments, process.returncode, out, err))


def wait_for_the_end(process: subprocess.Popen[str]) -> tuple[str, str]:
    return process.communicate(timeout=120)


@fault(
    "resume= of a run that its sweep trains",
    "a run into a folder inside a sweep in use",
    "a sweep into the folder of a run in use",
    "a folder in use, named by a link",
)
def test_a_run_has_one_trainer(tmp_path: Path, seen: Seen) -> None:
    with training(tmp_path) as process:
        name = first_run(tmp_path).name
        (tmp_path / "link").symlink_to(tmp_path / "s")
        seconds = {
            "resume= of a run that its sweep trains": (f"resume=s/{name}",),
            "a run into a folder inside a sweep in use": (*QUICK, "hydra.run.dir=s/other"),
            "a sweep into the folder of a run in use": ("-m", "seed=3", *QUICK, f"hydra.sweep.dir=s/{name}"),
            "a folder in use, named by a link": ("-m", "seed=3", *QUICK, "hydra.sweep.dir=link"),
        }
        told = {name: refused(tmp_path, *arguments) for name, arguments in seconds.items()}
        _, err = go(tmp_path, process)
    assert process.returncode == 0, err
    assert statuses(tmp_path / "s") == "2 completed"
    for row, text in told.items():
        assert f"process {process.pid}" in text
        seen(f'exit 2: "{text.partition(" on ")[0]} ..."; the first: {statuses(tmp_path / "s")}', row)


@fault("a sweep into a folder, one of whose runs another command trains", rare=True)
def test_a_run_that_is_trained_again_has_a_sweep(tmp_path: Path, seen: Seen) -> None:
    (tmp_path / "go").touch()
    done = run(tmp_path, "-m", "seed=0", *QUICK, f"trainer.wait_for={tmp_path}/go", IN_S)
    assert done.returncode == 0, done.stderr
    (tmp_path / "go").unlink()
    record = first_run(tmp_path) / "run.json"
    record.write_text(record.read_text().replace('"completed"', '"interrupted"'))
    with started(tmp_path, f"resume=s/{first_run(tmp_path).name}") as process:
        until(lambda: '"running"' in record.read_text(), "a run")
        text = refused(tmp_path, "resume=s")
        _, err = go(tmp_path, process)
    assert process.returncode == 0, err
    assert f"process {process.pid}" in text
    seen(f'exit 2: "{text.partition(" on ")[0]} ..."')


@fault("two resume= at the same moment", rare=True)
def test_two_that_resume_at_once(tmp_path: Path, seen: Seen) -> None:
    with training(tmp_path) as process:
        process.kill()
    (tmp_path / "go").touch()
    with started(tmp_path, "resume=s") as one, started(tmp_path, "resume=s") as other:
        errors = [wait_for_the_end(each)[1] for each in (one, other)]
    codes = sorted(each.returncode for each in (one, other))
    assert 0 in codes
    assert set(codes) <= {0, 2}, errors
    assert statuses(tmp_path / "s") == "2 completed"
    attempts = [(each / "train.log").read_text().count(" - Training") for each in (tmp_path / "s").glob("seed-*")]
    assert sum(attempts) <= 3
    seen(f"exit {codes[0]} and {codes[1]}; {statuses(tmp_path / 's')}, each once")


@fault("the sweep's folder is renamed while it trains")
def test_a_folder_that_is_renamed(tmp_path: Path, seen: Seen) -> None:
    with training(tmp_path) as process:
        (tmp_path / "s").rename(tmp_path / "elsewhere")
        out, err = wait_for_the_end(process)
    assert process.returncode == 1, out + err
    assert "Traceback" not in out + err
    assert not (tmp_path / "s").exists()
    assert not (tmp_path / "elsewhere" / "report").exists()
    assert " s " in err or "/s " in err
    seen(f'exit 1: "{err.strip().splitlines()[-1].partition(": ")[2]}"; the old path is not made again')


@fault("the sweep's folder is deleted while it trains", rare=True)
def test_a_folder_that_is_deleted(tmp_path: Path, seen: Seen) -> None:
    with training(tmp_path) as process:
        (tmp_path / "s").rename(tmp_path / "trash")
        subprocess.run(["rm", "-rf", str(tmp_path / "trash")], check=True)
        out, err = wait_for_the_end(process)
    assert process.returncode == 1, out + err
    assert "Traceback" not in out + err
    assert not (tmp_path / "s").exists()
    seen("exit 1; the path is not made again")


@fault("another command has become the owner of a sweep that trains", rare=True)
def test_an_owner_that_is_replaced(tmp_path: Path, seen: Seen) -> None:
    with training(tmp_path) as process:
        place = tmp_path / "s" / OWNER
        owner = json.loads(place.read_text()) | {"token": "f" * 32, "pid": 1, "host": "elsewhere"}
        (tmp_path / "new").write_text(json.dumps(owner))
        (tmp_path / "new").replace(place)
        out, err = wait_for_the_end(process)
    assert process.returncode == 1, out + err
    assert "Traceback" not in out + err
    assert json.loads(place.read_text())["token"] == "f" * 32
    seen(f'exit 1: "{err.strip().splitlines()[-1].partition(": ")[2]}"; the other\'s owner.json stays')


def an_owner(folder: Path) -> dict[str, object]:
    """What owner.json holds while this machine's sweep trains; the sweep is ended."""
    with training(folder) as process:
        owner: dict[str, object] = json.loads((folder / "s" / OWNER).read_text())
        _, err = go(folder, process)
    assert process.returncode == 0, err
    return owner


@fault(
    "owner.json of another container whose PID a process here has",
    "owner.json of the time before a reboot",
    "owner.json of another container that lives, whose PID nobody here has",
    "owner.json that is damaged",
    rare=True,
)
def test_owners_that_may_be_alive(tmp_path: Path, seen: Seen) -> None:
    owner = an_owner(tmp_path)
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    namespace = str(Path("/proc/self/ns/pid").readlink())
    start = Path(f"/proc/{os.getpid()}/stat").read_text().rpartition(")")[2].split()[19]
    here = owner | {"pid": os.getpid(), "start": start}
    place, long_ago = tmp_path / "s" / OWNER, time.time() - 3600

    def resumed(content: str, when: float | None) -> subprocess.CompletedProcess[str]:
        place.write_text(content)
        if when is not None:
            os.utime(place, (when, when))
        return run(tmp_path, "resume=s")

    def elsewhere(what: dict[str, object], mine: str) -> str:
        assert mine in what.values()
        return json.dumps({key: "another" if value == mine else value for key, value in what.items()})

    done = resumed(json.dumps(here), None)
    assert f"process {os.getpid()}" in complaint(done)
    assert resumed(elsewhere(here, namespace), long_ago).returncode == 0
    seen("its heartbeat is an hour old: exit 0", "owner.json of another container whose PID a process here has")
    assert resumed(elsewhere(here, boot), long_ago).returncode == 0
    seen("its heartbeat is an hour old: exit 0", "owner.json of the time before a reboot")
    complaint(resumed(elsewhere(owner | {"pid": 2**22 + 1}, namespace), None))
    seen("a fresh heartbeat: exit 2", "owner.json of another container that lives, whose PID nobody here has")
    for content in ("[" * 100_000, '{"host": 1}', "\x00\ufffd", '{"host": {}, "pid": [], "token": null}'):
        complaint(resumed(content, None))
        assert resumed(content, long_ago).returncode == 0
    seen("by its age: exit 2 where it is fresh, 0 an hour later", "owner.json that is damaged")


@fault("SIGSTOP for the command while another wants its folder", rare=True)
def test_an_owner_that_is_stopped(tmp_path: Path, seen: Seen) -> None:
    with training(tmp_path) as process:
        process.send_signal(signal.SIGSTOP)
        text = refused(tmp_path, "resume=s")
        process.send_signal(signal.SIGCONT)
        _, err = go(tmp_path, process)
    assert process.returncode == 0, err
    seen(f'exit 2: "{text.partition(" on ")[0]} ..."; the first goes on: {statuses(tmp_path / "s")}')


@pytest.mark.parametrize("what", [
    pytest.param("folder", marks=fault("owner.json that cannot be read", rare=True)),
    pytest.param("loop", marks=fault("owner.json that cannot be read", rare=True)),
])  # fmt: skip
def test_an_owner_that_cannot_be_read(tmp_path: Path, seen: Seen, what: str) -> None:
    done = run(tmp_path, "-m", "seed=0", *QUICK, IN_S)
    assert done.returncode == 0, done.stderr
    place = tmp_path / "s" / OWNER
    if what == "folder":
        place.mkdir()
    else:
        place.symlink_to(place)
    text = complaint(run(tmp_path, "resume=s"))
    assert OWNER in text
    seen(f'a {what}: exit 2: "{text}"')
