"""Images and labels from a NumPy ``.npz`` file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fashion_sweep.data.dataset import Dataset, checked, one_line, user_path
from fashion_sweep.errors import DataError, UnreadableError
from fashion_sweep.storage.archive import read_arrays
from packed_jobs.local import memory

ARRAY_PAIRS = (("images", "labels"), ("x_train", "y_train"), ("x", "y"))
"""Names under which an .npz file may hold its images and labels, in the order in which they are tried."""


def npz(
    *, path: str, images: str | None = None, labels: str | None = None, class_names: Sequence[str] | None = None
) -> Dataset:
    """Images and labels from an .npz file; Python objects in it are never unpickled.

    Args:
        path: the file; ``~`` is the home folder.
        images: name of the array of images; None: the first of ARRAY_PAIRS.
        labels: name of the array of labels; None: the first of ARRAY_PAIRS.
        class_names: one name a class; None: "0", "1", ... up to the highest label.

    Raises:
        DataError: no such file, no such array, or arrays that do not make a dataset (see ``checked``).
    """
    file = user_path(path)
    try:
        arrays = read_arrays(file, lambda available: _pair(file, available, images, labels), memory_bytes())
    except FileNotFoundError as error:
        raise DataError(f"{file}: no such file; data.path must name an .npz file of images and labels") from error
    except (UnreadableError, ValueError) as error:
        raise DataError(f"{file}: cannot be read as an .npz file of plain arrays ({one_line(error)})") from error
    x, y = arrays.values()
    return checked(x, y, class_names, source=str(file), names=list(arrays))


def memory_bytes() -> int:
    """What arrays may take that nobody has looked at: no more than this process may have."""
    return int(memory.memory_gib() * memory.GIB)


def _pair(file: Path, available: Sequence[str], images: str | None, labels: str | None) -> tuple[str, str]:
    """The names of the two arrays: those given, completed from the first of ARRAY_PAIRS that the file has."""
    pairs = [(images or name, labels or other) for name, other in ARRAY_PAIRS]
    for pair in pairs:
        if set(pair) <= set(available):
            return pair
    expected = " or ".join(f"{name} and {other}" for name, other in dict.fromkeys(pairs))
    raise DataError(f"{file}: has the arrays {', '.join(available) or '(none)'}; expected {expected}")
