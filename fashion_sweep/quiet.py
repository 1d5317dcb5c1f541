"""Where TensorFlow's C++ code writes.

It logs to file descriptor 2 before any setting can stop it, and would write over a progress line. So during training
that descriptor leads to the run's log, while Python's own sys.stderr stays where it was.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ASKED_FOR = "TF_CPP_MIN_LOG_LEVEL"
"""Set this environment variable, to any value, and TensorFlow's messages go to the terminal as they always did."""


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
        with open(before, "w", buffering=1, closefd=False) as sys.stderr:
            yield
    finally:
        sys.stderr = python_stderr
        os.dup2(before, 2)
        os.close(before)
