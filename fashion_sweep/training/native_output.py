"""Where TensorFlow's C++ code writes.

It logs to file descriptor 2 before any setting can stop it, and would write over a progress line. So during training
that descriptor leads to the run's log, while Python's own sys.stderr stays where it was.
"""

from __future__ import annotations

import gc
import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO, cast

ASKED_FOR = "TF_CPP_MIN_LOG_LEVEL"
"""Set this environment variable, to any value, and TensorFlow's messages go to the terminal as they always did."""


class _Stderr:
    """sys.stderr within a block. A logger that keeps it, as TensorFlow's does, writes to a later sys.stderr later."""

    def __init__(self, file: TextIO) -> None:
        self.file: TextIO | None = file

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file or sys.stderr, name)

    def close(self) -> None:
        """Close nothing: absl's logger does so when logging is set up anew, and the sys.stderr of later is not its."""


@contextmanager
def native_output_to(path: Path | None) -> Iterator[None]:
    """Within the block, append what C and C++ code writes to stderr to a file, or drop it where path is None."""
    if ASKED_FOR in os.environ:
        yield
        return
    sys.stderr.flush()
    before, python_stderr = os.dup(2), sys.stderr
    target = os.open(path or os.devnull, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    os.dup2(target, 2)
    os.close(target)
    try:
        with open(before, "w", buffering=1, closefd=False) as file:
            inside = _Stderr(file)
            sys.stderr = cast("TextIO", inside)
            try:
                yield
            finally:
                inside.file, sys.stderr = None, python_stderr
    finally:
        os.dup2(before, 2)
        os.close(before)


def trainer(name: str, log: Path | None) -> Callable[..., Any]:
    """The trainer that a config names. Importing it imports TensorFlow, whose C++ messages go to ``log``.

    TensorFlow's Python logger gives itself a handler where it finds none, as in a lane that has no job yet; it is taken
    away, so that its warnings go to the log of the run that they are about.
    """
    from hydra.utils import get_method

    is_first = "tensorflow" not in sys.modules
    with native_output_to(log):
        found: Callable[..., Any] = get_method(name)
    if ASKED_FOR not in os.environ:
        logging.getLogger("tensorflow").handlers.clear()
    if is_first:
        gc.freeze()  # Keras collects garbage before each model, and would search these libraries for it: 0.2 s a run
    return found
