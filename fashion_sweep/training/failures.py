"""Why a run failed, in one line for people."""

from __future__ import annotations

import errno
import os
import re
import sys
from collections.abc import Callable, Iterator

from fashion_sweep.errors import UserError

OUT_OF_MEMORY = "out of memory"


def reason(error: BaseException, hide: Callable[[str], str] = str) -> str:
    """Why a run failed, in one line for people. hide: removes from a text what must not be written to disk."""
    if any(_is_out_of_memory(each) for each in _chain(error)):
        return OUT_OF_MEMORY
    if any(is_full_disk(each) for each in _chain(error)):
        return "disk full"
    if isinstance(error, SystemExit):
        return f"the run called sys.exit({hide(str(error.code))})"
    text = " ".join(hide(str(error)).split())
    return text if isinstance(error, UserError) else f"{type(error).__name__}: {text}"[:500]


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error, and those that caused it."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _is_out_of_memory(error: BaseException) -> bool:
    """Whether it is the error for that of Python, TensorFlow, oneDNN or JAX."""
    return isinstance(error, MemoryError) or _is_of_tensorflow(error) or _is_of_jax(error)


def _is_of_tensorflow(error: BaseException) -> bool:
    if "tensorflow" not in sys.modules:
        return False
    kinds = sys.modules["tensorflow"].errors
    # oneDNN's status 1 is dnnl_out_of_memory.
    is_one_dnn = re.search(r"Status: ?1, message: could not create", str(error))
    return isinstance(error, kinds.ResourceExhaustedError) or bool(isinstance(error, kinds.AbortedError) and is_one_dnn)


def _is_of_jax(error: BaseException) -> bool:
    if "jax" not in sys.modules:
        return False
    return isinstance(error, sys.modules["jax"].errors.JaxRuntimeError) and "RESOURCE_EXHAUSTED" in str(error)


def is_full_disk(error: BaseException) -> bool:
    """Whether it is an OSError for that, by its number or, as HDF5 raises it, by its text alone."""
    full = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    return isinstance(error, OSError) and (error.errno in full or any(os.strerror(n) in str(error) for n in full))
