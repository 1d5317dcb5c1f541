"""Where log messages and errors of the command line go."""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from fashion_sweep.errors import UserError
from fashion_sweep.storage.atomic import write_text
from fashion_sweep.storage.plain_text import clean_lines


@contextmanager
def log_on_stderr() -> Iterator[None]:
    """Within the block, what our modules log (a dataset being fetched) is seen on the terminal."""
    with _added(logging.getLogger("fashion_sweep"), logging.StreamHandler()):
        yield


def say_error(text: str, before: str = "fashion-sweep") -> None:
    """Print an error on stderr, under the name of the command. It may quote files, so it is made safe for terminals."""
    print(f"{before}: {clean_lines(text)}", file=sys.stderr)


@contextmanager
def errors_said() -> Iterator[None]:
    """Within the block, an error of the user's is printed, and ends the process with its exit code; so does Ctrl-C."""
    try:
        yield
    except UserError as error:
        say_error(str(error), "error")
        raise SystemExit(error.exit_code) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None


@contextmanager
def log_to(path: Path) -> Iterator[None]:
    """Within the block, a run's log is written, as Hydra does it."""
    handler = logging.FileHandler(path)
    handler.setFormatter(logging.Formatter("[%(asctime)s][%(name)s][%(levelname)s] - %(message)s"))
    with _added(logging.getLogger(), handler):
        yield


@contextmanager
def _added(logger: logging.Logger, handler: logging.Handler) -> Iterator[None]:
    """Within the block the handler gets what the logger logs, from INFO on."""
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        handler.close()


def keep_traceback(path: Path, hide: Callable[[str], str] = str) -> str:
    """Write the current exception's traceback to a file. Returns a clause that names it; nothing on a full disk.

    hide: removes from a text what must not be written.
    """
    try:
        write_text(path, hide(traceback.format_exc()))
    except OSError:
        return ""
    return f", the traceback is in {path}"
