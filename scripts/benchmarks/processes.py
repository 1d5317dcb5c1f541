"""Runs the commands to be timed, each in its own processes, and measures their cost."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

SCRIPTS = Path(__file__).parents[1]
LAST_LINES = 15
"""Lines of a failed command's output that are shown."""
WAIT_TIMEOUT_S = 300
"""The longest time that a process waits for those that are timed together with it."""


class CommandError(Exception):
    """A timed command has failed. The message has the command, its exit code and the last lines of its output."""


@dataclass(frozen=True)
class Finished:
    """The cost of a command that ended with exit code 0."""

    seconds: float  # wall time
    cpu_seconds: float  # of it and of the processes that it waited for
    peak_mb: float  # resident memory of the largest of these processes, in MiB
    output: str  # stdout

    @property
    def result(self) -> dict[str, Any]:
        """The result of a program of this package, which prints JSON as its last line."""
        found: dict[str, Any] = json.loads(self.output.strip().splitlines()[-1])
        return found

    @property
    def costs(self) -> dict[str, float]:
        return {"wall_seconds": self.seconds, "cpu_seconds": self.cpu_seconds, "peak_mb": self.peak_mb}


def program(module: str, *arguments: str) -> list[str]:
    """The command of a program of this package; environment() lets Python find it."""
    return [sys.executable, "-m", f"benchmarks.{module}", *arguments]


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's environment, in which programs find this package and write byte code, as on a user's machine."""
    own = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    path = os.pathsep.join(filter(None, (str(SCRIPTS), own.get("PYTHONPATH"))))
    return own | {"PYTHONPATH": path} | dict(extra or {})


def run(command: Sequence[str], folder: Path) -> Finished:
    """Run a command in a folder. Raises CommandError if it fails."""
    return run_together([command], folder)[0]


def run_together(
    commands: Sequence[Sequence[str]], folder: Path, extra: Mapping[str, str] | None = None
) -> list[Finished]:
    """Run commands at the same time; extra: environment variables. Raises CommandError if one fails."""
    with ExitStack() as stack:
        children = [_Child(stack, command, folder, environment(extra)) for command in commands]
        try:
            return [child.finished() for child in children]
        finally:
            for child in children:
                child.end()


class _Child:
    """A process that runs a command."""

    def __init__(self, stack: ExitStack, command: Sequence[str], folder: Path, env: Mapping[str, str]) -> None:
        self.command = command
        self.out, self.err = (_temporary(stack) for _ in range(2))
        self.started = time.perf_counter()
        self.process = subprocess.Popen(command, stdout=self.out, stderr=self.err, cwd=folder, env=env)

    def finished(self) -> Finished:
        """Wait for the process and return its cost."""
        _, status, usage = os.wait4(self.process.pid, 0)
        seconds = time.perf_counter() - self.started
        self.process.returncode = os.waitstatus_to_exitcode(status)
        if self.process.returncode:
            raise CommandError(_failure(self.command, self.process.returncode, _text(self.out) + _text(self.err)))
        unit = 2**20 if sys.platform == "darwin" else 2**10  # macOS counts bytes, others kilobytes
        return Finished(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / unit, _text(self.out))

    def end(self) -> None:
        """Stop the process if it is still running, after another one failed or Ctrl-C."""
        if self.process.returncode is None:
            self.process.terminate()
            self.process.wait()


def _temporary(stack: ExitStack) -> IO[bytes]:
    file: IO[bytes] = stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 - the stack does
    return file


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")


def _failure(command: Sequence[str], code: int, output: str) -> str:
    last = "\n".join(f"    {line}" for line in output.strip().splitlines()[-LAST_LINES:])
    return f"exit code {code} of: {shown(command)}\n{last}"


def shown(command: Sequence[str], folder: Path | None = None) -> str:
    """A command that a reader can repeat; folder: replaced by FOLDER in it."""
    words = ["python" if word == sys.executable else word for word in command]
    text = shlex.join(words if folder is None else [word.replace(str(folder), "FOLDER") for word in words])
    return f"PYTHONPATH=scripts {text}" if "-m benchmarks." in text else text


def wait_for_others(folder: Path, stage: str, number: int, count: int) -> None:
    """Return when all of ``count`` processes have called this with the same stage. number: of this one, from 0.

    Raises TimeoutError if one does not.
    """
    (folder / f"{stage}.{number}").touch()
    deadline = time.monotonic() + WAIT_TIMEOUT_S
    while not all((folder / f"{stage}.{other}").exists() for other in range(count)):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{stage}: not all of {count} processes were ready within {WAIT_TIMEOUT_S} s")
        time.sleep(0.002)
