"""Images and labels from a NumPy ``.npz`` file."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fashion_sweep.data.dataset import Dataset, checked, one_line, user_path
from fashion_sweep.errors import DataError

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
        with _open_npz(file) as archive:
            names = _pair(file, archive.files, images, labels)
            x, y = archive[names[0]], archive[names[1]]
    except FileNotFoundError as error:
        raise DataError(f"{file}: no such file; data.path must name an .npz file of images and labels") from error
    except (OSError, ValueError, EOFError, RuntimeError, MemoryError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{file}: cannot be read as an .npz file of plain arrays ({one_line(error)})") from error
    return checked(x, y, class_names, source=str(file), names=names)


def _open_npz(file: Path) -> np.lib.npyio.NpzFile:
    archive = np.load(file, allow_pickle=False)
    if not isinstance(archive, np.lib.npyio.NpzFile):
        raise ValueError("it is a single array")  # noqa: TRY004
    return archive


def _pair(file: Path, available: Sequence[str], images: str | None, labels: str | None) -> tuple[str, str]:
    """The names of the two arrays: those given, completed from the first of ARRAY_PAIRS that the file has."""
    pairs = [(images or name, labels or other) for name, other in ARRAY_PAIRS]
    for pair in pairs:
        if set(pair) <= set(available):
            return pair
    expected = " or ".join(f"{name} and {other}" for name, other in dict.fromkeys(pairs))
    raise DataError(f"{file}: has the arrays {', '.join(available) or '(none)'}; expected {expected}")
