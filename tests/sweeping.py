"""A real command that trains in the background, to be watched, signalled and killed."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from optional import present

from fashion_sweep.storage.record import RunRecord
from fashion_sweep.storage.run_dir import RunDir
from fashion_sweep.storage.sweep_dir import SweepDir

TINY = ("data=synthetic", "data.samples=320", "data.image_size=8")
SMALL = ("data=synthetic", "data.samples=160", "data.image_size=8", "model.hidden_units=[4]", "epochs=2",
         "callbacks=none", "save=none", "hydra.launcher.lanes=1")  # fmt: skip
"""A sweep that is over soon."""
QUICK = (*SMALL, "~trainer", "+trainer={_target_: faulty_trainer.acting, act: null, seconds: 0, wait_for: null}")
"""The same with a trainer that imports no TensorFlow and does what ``trainer.act`` names, of ``faulty_acts``."""
ON_SLURM = (*(each for each in QUICK if "lanes" not in each), "hydra/launcher=packed_slurm",
            "hydra.launcher.runs_per_task=1")  # fmt: skip
"""The same, submitted to a cluster, a task for each run."""
IN_S = "hydra.sweep.dir=s"
HERE = Path(__file__).parent
PATIENCE_S = 120


def words(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "fashion_sweep", *arguments]


def environment(**more: str) -> dict[str, str]:
    """Such that the command finds the modules of tests, and nothing of this process's TensorFlow settings."""
    mine = {key: value for key, value in os.environ.items() if not key.startswith("TF_")}
    return mine | {"PYTHONPATH": os.pathsep.join(map(str, (HERE, HERE.parent)))} | more


def run(folder: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(words(*arguments), cwd=folder, env=environment(**more), capture_output=True, text=True,
                          timeout=300, check=False)  # fmt: skip


def assert_told_briefly(done: subprocess.CompletedProcess[str]) -> None:
    """No traceback reaches the terminal."""
    assert "Traceback" not in done.stdout + done.stderr, done.stderr or done.stdout
    assert "Logging error" not in done.stderr


def complaint(done: subprocess.CompletedProcess[str]) -> str:
    """What a command says that exits with 2, in one line; at most two are allowed."""
    assert done.returncode == 2, done.stderr or done.stdout
    assert_told_briefly(done)
    lines = done.stderr.strip().splitlines()
    assert 1 <= len(lines) <= 3, done.stderr
    return " ".join(lines).partition(": ")[2].replace(str(Path.cwd()), "")


def site(folder: Path, code: str) -> dict[str, str]:
    """Environment in which every Python process runs this code as it starts."""
    (folder / "site").mkdir(exist_ok=True)
    (folder / "site" / "sitecustomize.py").write_text(code)
    return {"PYTHONPATH": os.pathsep.join([str(folder / "site"), environment()["PYTHONPATH"]])}


def script(folder: Path, name: str, *arguments: str | Path, **more: str) -> subprocess.CompletedProcess[str]:
    """Run a command line of scripts/."""
    command = [sys.executable, str(HERE.parent / "scripts" / f"{name}.py"), *map(str, arguments)]
    return subprocess.run(command, cwd=folder, env=environment(**more), capture_output=True, text=True, timeout=300,
                          check=False)  # fmt: skip


def on_a_disk(folder: Path, options: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder that is a file system of its own; what it leaves is kept in ``folder``/kept.

    options: of mount, such as size=4m. The test is skipped where such a file system cannot be made.
    """
    mount, kept = _disk(folder, options)
    steps = f'{mount}; "$@"; code=$?; cp -a . "{kept}"; exit $code'
    return subprocess.run([*in_namespace(steps), *words(*arguments)], env=environment(), capture_output=True,
                          text=True, timeout=300, check=False)  # fmt: skip


def _disk(folder: Path, options: str) -> tuple[str, Path]:
    """The command that mounts a file system and enters it, and the folder for what is to be kept of it."""
    disk, kept = folder / "disk", folder / "kept"
    disk.mkdir()
    kept.mkdir()
    mount = f'mount -t tmpfs -o {options} tmpfs "{disk}" && cd "{disk}"'
    if shutil.which("unshare") is None or subprocess.run(in_namespace(mount), check=False).returncode:
        pytest.skip("no file systems can be mounted here")
    return mount, kept


def script_on_a_disk(folder: Path, options: str, steps: str) -> Path:
    """Run a shell script in a folder that is a file system of its own; what it puts into $kept is kept."""
    mount, kept = _disk(folder, options)
    subprocess.run(in_namespace(f"{mount}\n{steps}"), env=environment(kept=str(kept)), timeout=300,
                   check=False)  # fmt: skip
    return kept


def in_namespace(steps: str) -> list[str]:
    """The words of a shell that may mount; what follows them are its arguments."""
    return ["unshare", "--map-root-user", "--mount", "sh", "-c", steps, "sh"]


@contextmanager
def started(folder: Path, *arguments: str, **more: str) -> Iterator[subprocess.Popen[str]]:
    """A command that runs within the block; whatever is left of it is killed."""
    given: dict[str, Any] = {"cwd": folder, "env": environment(**more), "text": True}
    with subprocess.Popen(words(*arguments), **given, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            for pid in (*children(process.pid), process.pid):
                if alive(pid):
                    os.kill(pid, signal.SIGKILL)


def until(condition: Callable[[], object], what: str) -> float:
    """Wait for a condition. Returns the seconds that it took."""
    start = time.monotonic()
    while not condition():
        assert time.monotonic() < start + PATIENCE_S, f"{what}: not within {PATIENCE_S} s"
        time.sleep(0.05)
    return time.monotonic() - start


def children(pid: int) -> list[int]:
    """Process numbers of a process's children."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return found


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def records(sweep: Path) -> dict[int, RunRecord]:
    """Seed -> record of the runs that have one."""
    return {present(record.seed): record for record in _records(sweep)}


def by_act(sweep: Path) -> dict[str | None, RunRecord]:
    """``trainer.act``, or that of the callback x -> record, of the runs that have one."""
    return {_act(record): record for record in _records(sweep)}


def _records(sweep: Path) -> list[RunRecord]:
    read = [run.read_record() for run in SweepDir(sweep).run_dirs() if run.path.is_dir()]
    return [record for record in read if record is not None]


def _act(record: RunRecord) -> str | None:
    callback = (record.config.get("callbacks") or {}).get("x")
    act: str | None = callback["act"] if callback else record.config["trainer"]["act"]
    return act


def epochs(sweep: Path) -> dict[str, int]:
    """Run -> epochs in its history."""
    return {run.path.name: len(run.read_history()) for run in SweepDir(sweep).run_dirs()}


def statuses(sweep: Path) -> str:
    """What became of the runs, in a few words."""
    found = [record.status.value for record in _records(sweep)]
    return ", ".join(f"{found.count(status)} {status}" for status in dict.fromkeys(found))


def table(sweep: Path) -> list[dict[str, str]]:
    """Rows of summary.csv, without the seconds."""
    with (SweepDir(sweep).report / "summary.csv").open() as file:
        return [{key: value for key, value in row.items() if key != "seconds"} for row in csv.DictReader(file)]


def is_whole(sweep: Path) -> bool:
    """Whether every file of the sweep can be read: none is half written."""
    for run_dir in SweepDir(sweep).run_dirs():
        run_dir.read_record()
        run_dir.read_history()
        for path in run_dir.path.glob("[!.]*.keras"):
            zipfile.ZipFile(path).testzip()
    json.loads(SweepDir(sweep).plan.read_text())
    return True


def log_of(run_dir: RunDir) -> str:
    return run_dir.log.read_text() if run_dir.log.exists() else ""
