"""Terminals that go away, fill up or cannot show a character: training goes on and the exit code tells of the runs."""

from __future__ import annotations

import contextlib
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TextIO

import pytest
from fault_table import fault
from fixture_types import Seen
from sweeping import HERE, IN_S, QUICK, environment, run, script, started, statuses, until, words

PRINTING = ("-m", "seed=0,1", *QUICK, "trainer.act=prints", IN_S)
"""Each run prints and logs, besides what the command itself says."""


def whole(folder: Path, code: int, error: str = "") -> str:
    """What was seen of a sweep that has to be whole."""
    assert statuses(folder / "s") == "2 completed", error
    assert code == 0, error
    assert "Traceback" not in error
    assert "Exception ignored" not in error
    assert (folder / "s" / "report" / "index.html").exists()
    assert len((folder / "s" / "report" / "summary.csv").read_text().splitlines()) == 3
    return f"exit {code}; {statuses(folder / 's')}, the report is written"


@fault("the terminal goes away, without SIGHUP")
@pytest.mark.parametrize("after", ["run.json", pytest.param("sweep.json", marks=pytest.mark.rare)])
def test_a_terminal_that_goes_away(tmp_path: Path, seen: Seen, after: str) -> None:
    ours, theirs = pty.openpty()
    given: dict[str, Any] = {"cwd": tmp_path, "env": environment(), "start_new_session": True}
    grid = [*PRINTING, "trainer.seconds=0.5"]
    with subprocess.Popen(words(*grid), stdin=theirs, stdout=theirs, stderr=theirs, **given) as process:
        os.close(theirs)
        os.set_blocking(ours, False)
        until(lambda: _drained(ours) and list((tmp_path / "s").rglob(after)), after)
        os.close(ours)
        process.wait(timeout=120)
    seen(f"once there is a {after}: {whole(tmp_path, process.returncode)}")


def _drained(descriptor: int) -> bool:
    with contextlib.suppress(OSError):
        os.read(descriptor, 65536)
    return True


def _streams(folder: Path, how: str) -> dict[str, Any]:
    """Streams of a command."""
    full = "/dev/full"
    descriptors: dict[str, Callable[[], dict[str, Any]]] = {
        "full": lambda: {"stdout": Path(full).open("w"), "stderr": subprocess.PIPE},  # noqa: SIM115 - closed with pytest
        "full both": lambda: {"stdout": Path(full).open("w"), "stderr": Path(full).open("w")},  # noqa: SIM115
        "broken": lambda: {"stdout": _broken_pipe(), "stderr": subprocess.PIPE},
        "broken both": lambda: {"stdout": _broken_pipe(), "stderr": _broken_pipe()},
    }
    return descriptors[how]()


def _broken_pipe() -> TextIO:
    reader, writer = os.pipe()
    os.close(reader)
    return os.fdopen(writer, "w")


@pytest.mark.parametrize("how", [
    pytest.param("full", marks=fault("stdout on a disk that is full", rare=True)),
    pytest.param("full both", marks=fault("stdout and stderr on a disk that is full", rare=True)),
    pytest.param("broken", marks=fault("stdout is a pipe that nobody reads")),
    pytest.param("broken both", marks=fault("stdout and stderr are pipes that nobody reads", rare=True)),
])  # fmt: skip
def test_streams_that_take_nothing(tmp_path: Path, seen: Seen, how: str) -> None:
    streams = _streams(tmp_path, how)
    done = subprocess.run(words(*PRINTING), cwd=tmp_path, env=environment(), text=True, timeout=120, check=False,
                          **streams)  # fmt: skip
    for stream in streams.values():
        if hasattr(stream, "close"):
            stream.close()
    seen(whole(tmp_path, done.returncode, done.stderr or ""))


CLOSED = {
    "stdout closed": "1>&-",
    "stderr closed": "2>&-",
    "stdin closed": "0<&-",
    "all streams closed": "0<&- 1>&- 2>&-",
}


@pytest.mark.parametrize("how", [
    pytest.param("stdout closed", marks=fault("stdout closed", rare=True)),
    pytest.param("stderr closed", marks=fault("stderr closed", rare=True)),
    pytest.param("stdin closed", marks=fault("stdin closed", rare=True)),
    pytest.param("all streams closed", marks=fault("all streams closed", rare=True)),
])  # fmt: skip
def test_streams_that_are_closed(tmp_path: Path, seen: Seen, how: str) -> None:
    done = subprocess.run(["sh", "-c", f'"$@" {CLOSED[how]}', "sh", *words(*PRINTING)], cwd=tmp_path,
                          env=environment(), capture_output=True, text=True, timeout=120, check=False)  # fmt: skip
    seen(whole(tmp_path, done.returncode, done.stderr))


@fault("a terminal of ASCII alone")
@pytest.mark.parametrize("settings", [
    {"PYTHONIOENCODING": "ascii"},
    pytest.param({"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}, marks=pytest.mark.rare),
], ids=["PYTHONIOENCODING", "LC_ALL"])  # fmt: skip
def test_a_terminal_of_ascii(tmp_path: Path, seen: Seen, settings: dict[str, str]) -> None:
    done = run(tmp_path, *PRINTING, **settings)
    told = whole(tmp_path, done.returncode, done.stderr)
    shown = run(tmp_path, "resume=s", "plan=true", **settings)
    assert shown.returncode == 0, shown.stderr
    seen(f"{next(iter(settings))}: {told}")


@fault("plan=true and the report's command into a pipe that nobody reads", rare=True)
def test_a_pipe_that_closes_early(tmp_path: Path, seen: Seen) -> None:
    assert run(tmp_path, "-m", "seed=0,1", *QUICK, IN_S).returncode == 0
    report = [sys.executable, str(HERE.parent / "scripts" / "report.py"), "s"]
    for command in (words("resume=s", "plan=true"), words("--help"), report):
        with _broken_pipe() as pipe:
            done = subprocess.run(command, cwd=tmp_path, env=environment(), stdout=pipe, stderr=subprocess.PIPE,
                                  text=True, timeout=120, check=False)  # fmt: skip
        assert "Traceback" not in done.stderr
        assert "Exception ignored" not in done.stderr
        assert done.returncode in (0, 141), done.stderr
    seen("no word on stderr, exit 0")


@fault("a run prints 100 MiB", rare=True)
def test_a_run_that_floods(tmp_path: Path, seen: Seen) -> None:
    with (tmp_path / "out").open("w") as out, (tmp_path / "err").open("w") as err:
        done = subprocess.run(words("-m", *QUICK, "trainer.act=floods,null", IN_S), cwd=tmp_path, env=environment(),
                              stdout=out, stderr=err, timeout=300, check=False)  # fmt: skip
    assert done.returncode == 0
    assert statuses(tmp_path / "s") == "2 completed"
    log = max(path.stat().st_size for path in (tmp_path / "s").glob("*/train.log"))
    (tmp_path / "out").unlink()
    (tmp_path / "err").unlink()
    seen(f"exit 0; {statuses(tmp_path / 's')}; its train.log has {log / 2**20:.0f} MiB")


@fault("the report's command on a terminal that shows no ±", rare=True)
def test_a_report_in_ascii(tmp_path: Path, seen: Seen) -> None:
    assert run(tmp_path, "-m", "seed=0,1", *QUICK, IN_S).returncode == 0
    done = script(tmp_path, "report", "s", PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    seen("exit 0")


@pytest.fixture
def heard_hangups() -> Iterator[None]:
    """Processes that are started meanwhile hear SIGHUP, also where the tests run under nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("heard_hangups")
@fault("SIGHUP", rare=True)
def test_a_hangup(tmp_path: Path, seen: Seen) -> None:
    """What nohup and disown are for: without them, the command ends, and no lane is left."""
    with started(tmp_path, *PRINTING, f"trainer.wait_for={tmp_path}/go") as process:
        until(lambda: list((tmp_path / "s").glob("*/run.json")), "a run")
        process.send_signal(1)
        _, err = process.communicate(timeout=60)
    assert process.returncode in (-1, 129, 143), err
    (tmp_path / "go").touch()
    again = run(tmp_path, "resume=s")
    seen(f"exit {process.returncode}; then {whole(tmp_path, again.returncode, again.stderr)}")
