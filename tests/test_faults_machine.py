"""Machines that are strange: clocks that jump, file systems without links and locks; and secrets in what fails."""

from __future__ import annotations

import base64
import shutil
import subprocess
import urllib.parse
from pathlib import Path

import pytest
from fault_table import fault
from fixture_types import Seen
from optional import present
from sweeping import (
    IN_S,
    QUICK,
    by_act,
    complaint,
    in_namespace,
    records,
    run,
    script,
    site,
    started,
    statuses,
    until,
    words,
)
from sweeping import environment as surroundings

from fashion_sweep.storage.sweep_dir import SweepDir

JUMP = """
import time
_real, _ns = time.time, time.time_ns
def _shift():
    try:
        return float(open({file!r}).read() or 0)
    except (OSError, ValueError):
        return 0.0
time.time = lambda: _real() + _shift()
time.time_ns = lambda: int(_ns() + 1e9 * _shift())
"""
"""The clock of Python's code jumps; not that of datetime, whose class C code knows by its size."""
DAY_S = 86_400


@pytest.mark.parametrize("days", [
    pytest.param(3, marks=fault("the clock jumps three days ahead while runs train", rare=True)),
    pytest.param(-3, marks=fault("the clock jumps three days back while runs train", rare=True)),
])  # fmt: skip
def test_a_clock_that_jumps(tmp_path: Path, seen: Seen, days: int) -> None:
    env = site(tmp_path, JUMP.format(file=str(tmp_path / "shift")))
    with started(tmp_path, "-m", "seed=0,1", *QUICK, f"trainer.wait_for={tmp_path}/go", IN_S,
                 "hydra.launcher.run_timeout_min=1", **env) as process:  # fmt: skip
        until(lambda: list((tmp_path / "s").glob("*/run.json")), "a run")
        (tmp_path / "shift").write_text(str(days * DAY_S))
        second = run(tmp_path, "resume=s", **env)
        assert f"process {process.pid}" in complaint(second)
        (tmp_path / "go").touch()
        _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert statuses(tmp_path / "s") == "2 completed"
    assert all(0 <= present(record.seconds) < 60 for record in records(tmp_path / "s").values())
    assert script(tmp_path, "report", "s", "--strict", **env).returncode == 0
    assert run(tmp_path, "resume=s", **env).returncode == 0
    seen(f"exit 0; {statuses(tmp_path / 's')}, their seconds are right; the folder stays the first command's")


NO_LINKS = """
import errno, os, fcntl
def refuse(*_arguments, **_more):
    raise OSError(errno.{error}, os.strerror(errno.{error}))
os.link = refuse
fcntl.flock = fcntl.lockf = refuse
"""


@fault("a file system without hard links and locks", rare=True)
@pytest.mark.parametrize("error", ["EPERM", pytest.param("EOPNOTSUPP", marks=pytest.mark.rare)])
def test_no_links(tmp_path: Path, seen: Seen, error: str) -> None:
    env = site(tmp_path, NO_LINKS.format(error=error))
    with started(tmp_path, "-m", "seed=0,1", *QUICK, f"trainer.wait_for={tmp_path}/go", IN_S, **env) as process:
        until(lambda: list((tmp_path / "s").glob("*/run.json")), "a run")
        assert f"process {process.pid}" in complaint(run(tmp_path, "resume=s", **env))
        process.kill()
    (tmp_path / "go").touch()
    done = run(tmp_path, "resume=s", **env)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    seen(f"os.link refused with {error}: the second command exits with 2; after a kill -9, {statuses(tmp_path / 's')}")


@fault("a disk with FAT", rare=True)
def test_a_disk_with_fat(tmp_path: Path, seen: Seen) -> None:
    maker = next((each for each in ("mkfs.vfat", "mkfs.fat") if shutil.which(each)), None)
    if maker is None:
        pytest.skip("no mkfs.vfat here")
    image, disk = tmp_path / "image", tmp_path / "disk"
    disk.mkdir()
    with image.open("wb") as file:
        file.truncate(64 * 2**20)
    subprocess.run([maker, str(image)], check=True, capture_output=True)
    mount = f'mount -o loop "{image}" "{disk}"'
    steps = f'{mount} || exit 77; cd "{disk}"; "$@" && ls s/report/index.html'
    command = ["unshare", "--mount", "sh", "-c", steps, "sh", *words("-m", "seed=0,1", *QUICK, IN_S)]
    done = subprocess.run(command, env=surroundings(), capture_output=True, text=True, timeout=120, check=False)
    if done.returncode == 77:
        pytest.skip("no image can be mounted here")
    assert done.returncode == 0, done.stderr
    assert in_namespace("true")
    seen("exit 0, two runs and the report")


TOKEN = "wJal/rXU+tnF=EMI K7/bPx"
SPOKEN = {
    "a secret in an error, as it is": ("plain", TOKEN),
    "a secret in an error, percent-encoded": ("quoted", urllib.parse.quote(TOKEN, safe="")),
    "a secret in an error, in base64": ("base64", base64.b64encode(TOKEN.encode()).decode()),
    "a secret in an error, in base64 behind a user's name": (
        "basic", base64.b64encode(b"user:" + TOKEN.encode()).decode(),
    ),
    "a secret in an error, in hex": ("hex", TOKEN.encode().hex()),
}  # fmt: skip
TELLING = """
import base64, sys, urllib.parse
def load(token, how):
    lane = any("worker_main" in word for word in sys.orig_argv)
    texts = {
        "plain": token, "quoted": urllib.parse.quote(token, safe=""), "hex": token.encode().hex(),
        "base64": base64.b64encode(token.encode()).decode(),
        "basic": base64.b64encode(b"user:" + token.encode()).decode(),
    }
    if lane:
        print("loading with", texts[how], flush=True)
        raise RuntimeError(f"401 for {texts[how]}, refused")
    from fashion_sweep.data import synthetic
    found = synthetic(samples=160, image_size=8, classes=10, noise=1.0, seed=0)
    return found.images, found.labels
"""


@fault(*SPOKEN)
def test_secrets_in_errors(tmp_path: Path, seen: Seen) -> None:
    (tmp_path / "mine" / "data").mkdir(parents=True)
    (tmp_path / "mine" / "data" / "own.yaml").write_text(
        "_target_: telling.load\ntoken: ${oc.env:TOKEN}\nhow: plain\nvalidation_fraction: 0.2\nsplit_seed: 42\n"
        "limit: null\n"
    )
    (tmp_path / "telling.py").write_text(TELLING.replace('print("loading with", texts[how], flush=True)', "pass"))
    env = {"TOKEN": TOKEN, "PYTHONPATH": f"{surroundings()['PYTHONPATH']}:{tmp_path}"}
    hows = ",".join(how for how, _ in SPOKEN.values())
    given = [each for each in QUICK if not each.startswith("data")]
    done = run(tmp_path, "--config-dir", "mine", "-m", "data=own", f"data.how={hows}", *given, IN_S, **env)
    assert done.returncode == 1, done.stderr
    found = [present(each.read_record()) for each in SweepDir(tmp_path / "s").run_dirs()]
    assert len(found) == len(SPOKEN)
    told = done.stdout + done.stderr + "".join(
        path.read_text(errors="replace") for path in (tmp_path / "s").rglob("*") if path.is_file()
    )  # fmt: skip
    for row, (how, text) in SPOKEN.items():
        middle = text[4:-4] if how in ("base64", "basic") else text
        assert middle not in told, how
        assert middle.rstrip("=")[:-2] not in told, how
        [record] = [each for each in found if each.config["data"]["how"] == how]
        seen(f'"{record.reason}"; it stands in no file and not on the terminal', row)


@fault("a secret that a callback prints to its log", rare=True)
def test_secrets_in_logs(tmp_path: Path, seen: Seen) -> None:
    quick = [each.replace("wait_for: null}", "wait_for: null, token: '${oc.env:TOKEN}'}") for each in QUICK]
    done = run(tmp_path, "-m", *quick, "trainer.act=tells_the_token,null", IN_S, TOKEN="geheim1234")
    assert done.returncode == 1, done.stderr
    told = done.stdout + done.stderr + "".join(
        path.read_text(errors="replace") for path in (tmp_path / "s").rglob("*") if path.is_file()
    )  # fmt: skip
    assert "geheim1234" not in told
    seen(f'"{by_act(tmp_path / "s")["tells_the_token"].reason}"')
