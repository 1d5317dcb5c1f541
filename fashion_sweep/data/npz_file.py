"""Images and labels from a NumPy ``.npz`` file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from fashion_sweep.data.dataset import Dataset, checked, one_line, user_path
from fashion_sweep.errors import DataError, UnreadableError
from fashion_sweep.storage.archive import read_arrays
from packed_jobs.local import memory

ARRAY_PAIRS = (("images", "labels"), ("x_train", "y_train"), ("x", "y"))
"""Names under which an .npz file may hold its images and labels, in the order in which they are tried."""

TEST_PAIR = ("x_test", "y_test")
"""Names under which it may hold test images and their labels, which training never reads."""


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
    return _read(file, lambda available: _pair(file, available, images, labels), class_names)


def load_test(path: str, train: Dataset) -> Dataset:
    """The test images of an .npz file, TEST_PAIR: images like those of ``train``, whose classes they have.

    Raises:
        DataError: no such file or arrays, or images of another shape or scale, or labels of other classes.
    """
    file = user_path(path)
    test = _read(file, lambda available: _test_pair(file, available), train.class_names)
    shape, kind = train.images.shape[1:], train.images.dtype
    name = f"{file}: array '{TEST_PAIR[0]}'"
    if test.images.shape[1:] != shape:
        wanted = f"[images, {', '.join(map(str, shape))}]"
        raise DataError(f"{name} has shape {test.images.shape}; expected {wanted}, as in training")
    if _is_whole(test.images.dtype) != _is_whole(kind):  # only whole numbers are divided by 255
        raise DataError(f"{name} has {test.images.dtype} values; expected {kind}, as in training")
    return test


def _read(file: Path, choose: Callable[[Sequence[str]], Sequence[str]], class_names: Sequence[str] | None) -> Dataset:
    """The dataset in two arrays of a file. choose: from the names of all arrays, those of images and labels."""
    try:
        arrays = read_arrays(file, choose, memory_bytes())
    except FileNotFoundError as error:
        raise DataError(f"{file}: no such file; data.path must name an .npz file of images and labels") from error
    except (UnreadableError, ValueError) as error:
        raise DataError(f"{file}: cannot be read as an .npz file of plain arrays ({one_line(error)})") from error
    x, y = arrays.values()
    return checked(x, y, class_names, source=str(file), names=list(arrays))


def _is_whole(kind: np.dtype) -> bool:
    return np.issubdtype(kind, np.integer)


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


def _test_pair(file: Path, available: Sequence[str]) -> tuple[str, str]:
    if set(TEST_PAIR) <= set(available):
        return TEST_PAIR
    raise DataError(f"{file}: has no test images: expected {' and '.join(TEST_PAIR)}, found {', '.join(available)}")
