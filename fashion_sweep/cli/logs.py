"""Where log messages and errors of the command line go."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def log_on_stderr() -> Iterator[None]:
    """Within the block, what our modules log (a dataset being fetched) is seen on the terminal."""
    logger, handler = logging.getLogger("fashion_sweep"), logging.StreamHandler()
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


def say_error(text: str) -> None:
    """Print an error on stderr, under the name of the command."""
    print(f"fashion-sweep: {text}", file=sys.stderr)


@contextmanager
def log_to(path: Path) -> Iterator[None]:
    """Within the block, a run's log is written, as Hydra does it."""
    handler, root = logging.FileHandler(path), logging.getLogger()
    handler.setFormatter(logging.Formatter("[%(asctime)s][%(name)s][%(levelname)s] - %(message)s"))
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    try:
        yield
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
        handler.close()
