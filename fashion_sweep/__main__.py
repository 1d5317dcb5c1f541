"""``python -m fashion_sweep``, and the other commands: what each does before it imports anything that takes a while."""

from __future__ import annotations

import importlib
import os
import signal
import sys
from types import FrameType
from typing import NoReturn


def main() -> NoReturn:
    """The command that trains; with ``cluster`` first, the one that sees to sweeps on a cluster."""
    if sys.argv[1:2] == ["cluster"]:
        del sys.argv[1]
        _run("fashion_sweep.cli.cluster")
    _run("fashion_sweep.app")


def report() -> NoReturn:
    """``fashion-sweep-report``."""
    _run("fashion_sweep.cli.report")


def evaluate() -> NoReturn:
    """``fashion-sweep-evaluate``."""
    _run("fashion_sweep.cli.evaluate")


def reproduce() -> NoReturn:
    """``fashion-sweep-reproduce``."""
    _run("fashion_sweep.cli.reproduce")


def check_engine() -> NoReturn:
    """``fashion-sweep-check-engine``."""
    _run("fashion_sweep.cli.check_engine")


def _run(module: str) -> NoReturn:
    """Call a module's ``main``; before and after it, Ctrl-C ends the process without a word."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # not ignored, as by a shell's background jobs
        signal.signal(signal.SIGINT, _leave)
    command = importlib.import_module(module).main
    importlib.import_module("packed_jobs.streams").protect()
    if signal.getsignal(signal.SIGINT) is _leave:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        command()
        sys.exit(0)
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
    finally:
        if callable(signal.getsignal(signal.SIGINT)):
            signal.signal(signal.SIGINT, _leave)


def _leave(number: int, _frame: FrameType | None) -> NoReturn:
    os._exit(128 + number)


if __name__ == "__main__":
    main()
