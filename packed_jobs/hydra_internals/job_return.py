"""The result of a job that failed. Reading ``JobReturn.return_value`` would raise it, and print to stderr."""

from __future__ import annotations

import contextlib
import io
from typing import Any

from hydra.core.utils import JobReturn

from packed_jobs.hydra_internals import versions


def result_of(job_return: JobReturn) -> Any:
    """The value that a job returned, or the exception that it failed with."""
    if versions.KNOWN:
        return job_return._return_value
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            return job_return.return_value
    except Exception as error:
        return error
