"""How a job can fail other than by its own exception (its JobReturn holds one of these), and messages for people."""

from __future__ import annotations

import signal


class LaneDiedError(RuntimeError):
    """The process that ran the job ended without a result, twice for this job."""


class JobTimeoutError(TimeoutError):
    """The job took longer than run_timeout_min, and its lane was killed."""


class JobExitedError(RuntimeError):
    """The job called sys.exit, which in a sweep ends the job alone."""


class JobNotOpenedError(RuntimeError):
    """The job's folder, its log or its config could not be made, so that the task function never saw it."""


class NotStartedError(RuntimeError):
    """The job was never started, because another one failed before."""


class UnsendableError(RuntimeError):
    """What the job returned or raised could not be sent to the parent process."""


class LaneTraceback(Exception):  # noqa: N818
    """The cause of an exception that a lane sent: its traceback there, as text."""

    def __str__(self) -> str:
        return f"\n{self.args[0]}"


def require_positive(node: str, **options: float | None) -> None:
    """Raise ValueError where an option is neither None nor above 0. node: of the config, such as hydra.launcher."""
    for name, value in options.items():
        if value is not None and value <= 0:
            raise ValueError(f"{node}.{name} is {value}, expected more than 0, or null")


def how_it_ended(code: int | None) -> str:
    """A process's exit code (negative: the signal that killed it) in words."""
    if code is None:
        return "closed its connection"
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        name = f" ({signal.Signals(-code).name})"
    except ValueError:  # a real-time signal has no name
        name = ""
    return f"was killed by signal {-code}{name}"
