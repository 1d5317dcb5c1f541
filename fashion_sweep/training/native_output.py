"""Where the C++ code of TensorFlow and JAX writes.

It logs to file descriptor 2 before any setting can stop it, and would overwrite a progress line. So during training
that descriptor is redirected to the run's log, while Python's own sys.stderr is not.
"""

from __future__ import annotations

import gc
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO, cast

from packed_jobs.streams import opened

ASKED_FOR = "TF_CPP_MIN_LOG_LEVEL"
"""Set this environment variable, to any value, and TensorFlow's messages go to the terminal as usual."""


class _Stderr:
    """sys.stderr within a block. A logger that keeps it, as TensorFlow's does, writes to the current one afterwards."""

    def __init__(self, file: TextIO) -> None:
        self.file: TextIO | None = file

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file or sys.stderr, name)

    def close(self) -> None:
        """Do nothing: absl's logger closes its stream when logging is set up again, and must not close sys.stderr."""


@contextmanager
def native_output_to(path: Path | None) -> Iterator[None]:
    """Within the block, append what C and C++ code writes to stderr to a file, or drop it if path is None."""
    if ASKED_FOR in os.environ:
        yield
        return
    sys.stderr.flush()
    before, python_stderr = os.dup(2), sys.stderr
    target = os.open(path or os.devnull, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    os.dup2(target, 2)
    os.close(target)
    try:
        with opened(before) as file:
            inside = _Stderr(file)
            sys.stderr = cast("TextIO", inside)
            try:
                yield
            finally:
                inside.file, sys.stderr = None, python_stderr
    finally:
        os.dup2(before, 2)
        os.close(before)


@contextmanager
def importing(path: Path | None) -> Iterator[None]:
    """``native_output_to`` for a block that may be the first one to import Keras.

    TensorFlow's Python logger adds a handler to itself when it finds none, as in a lane that has no job yet. That
    handler is removed, so that warnings go to the log of the run that they are about. JAX, which Keras imports where it
    is installed, sets ASKED_FOR, which nobody has asked for then.
    """
    is_first, is_asked = "keras" not in sys.modules, ASKED_FOR in os.environ
    with native_output_to(path):
        yield
    if not is_asked:
        os.environ.pop(ASKED_FOR, None)  # JAX sets it as it is imported, by TensorFlow as well
        logging.getLogger("tensorflow").handlers.clear()
        logging.getLogger("jax").setLevel(logging.WARNING)  # it names the devices that this machine does not have
    if is_first and "keras" in sys.modules:
        gc.freeze()  # Keras collects garbage before each model, and would search these libraries for it: 0.2 s a run
