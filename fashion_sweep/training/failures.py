"""Why a run failed, in one line for people."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from fashion_sweep.errors import UserError

if TYPE_CHECKING:
    pass

OUT_OF_MEMORY = "out of memory"


def reason(error: BaseException, hide: Callable[[str], str] = str) -> str:
    """Why a run failed, in one line for people. hide: keeps from a text what is not to be in it."""
    if any(_is_out_of_memory(each) for each in _chain(error)):
        return OUT_OF_MEMORY
    if any(_is_full_disk(each) for each in _chain(error)):
        return "disk full"
    if isinstance(error, SystemExit):
        return f"the run called sys.exit({hide(str(error.code))})"
    text = " ".join(hide(str(error)).split())
    return text if isinstance(error, UserError) else f"{type(error).__name__}: {text}"[:500]


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error, and those that it came of."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _is_out_of_memory(error: BaseException) -> bool:
    """Whether the error says so: TensorFlow's own, or oneDNN's, whose status 1 is dnnl_out_of_memory."""
    name = type(error).__name__
    is_of_one_dnn = name == "AbortedError" and re.search(r"Status: ?1, message: could not create", str(error))
    return isinstance(error, MemoryError) or name == "ResourceExhaustedError" or bool(is_of_one_dnn)


def _is_full_disk(error: BaseException) -> bool:
    """Whether the error says so: HDF5 does in words alone."""
    full = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    return isinstance(error, OSError) and (error.errno in full or any(os.strerror(n) in str(error) for n in full))
