"""The dataset type: validated arrays of images and labels, and the errors for invalid ones."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from fashion_sweep.errors import DataError

MOST_UNNAMED_CLASSES = 100_000
"""Labels above this are assumed not to be class numbers, unless class names are given."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images with their classes. Arrays are C-contiguous and read-only; ``checked`` makes one from any arrays."""

    images: np.ndarray  # [N, H, W] or [N, H, W, C] (any [N, ...]); integers 0..255, booleans or finite floats
    labels: np.ndarray  # [N] int64 in [0, len(class_names))
    class_names: tuple[str, ...]

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 (64 hex digits) over shapes, dtypes, all bytes of images and labels, and the class names."""
        arrays = (self.images, self.labels)
        what = [[array.dtype.str, array.shape] for array in arrays], self.class_names
        digest = hashlib.sha256(json.dumps(what).encode())
        for array in arrays:
            digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()


def checked(
    images: Any,
    labels: Any,
    class_names: Sequence[str] | None,
    *,
    source: str,
    names: Sequence[str] = ("images", "labels"),
) -> Dataset:
    """Validate anything that numpy can read as images and labels, and make a dataset of it.

    Args:
        images: [N, ...] with at least one more axis; integers in 0..255, booleans or finite floats.
        labels: [N] or [N, 1] whole numbers of any type.
        class_names: one name a class; None: "0", "1", ... up to the highest label.
        source: where the arrays came from, for error messages.
        names: what the arrays are called there, for error messages.

    Raises:
        DataError: in one line, what came and what was expected.
    """
    images_name, labels_name = (f"{source}: array '{name}'" for name in names)
    pixels = _checked_images(_numbers(images, images_name), images_name)
    numbers = _numbers(labels, labels_name)
    if numbers.shape not in ((len(pixels),), (len(pixels), 1)):
        expected = f"({len(pixels)},), one label for each image in '{names[0]}'"
        raise DataError(f"{labels_name} has shape {numbers.shape}; expected {expected}")
    whole = _checked_labels(numbers.reshape(-1), None if class_names is None else len(class_names), labels_name)
    if class_names is None:
        class_names = [str(number) for number in range(whole.max() + 1)]
    return Dataset(read_only(pixels), read_only(whole), tuple(str(name) for name in class_names))


def read_only(array: np.ndarray) -> np.ndarray:
    """A view that cannot be written through: C-contiguous, in the machine's byte order, copied only where needed."""
    view = np.ascontiguousarray(array, array.dtype.newbyteorder("=")).view()
    view.setflags(write=False)
    return view


def user_path(text: str) -> Path:
    """Expand ``~`` in a path given by the user; ``~name`` of an unknown user is left as it is."""
    return Path(os.path.expanduser(text))  # noqa: PTH111 Path.expanduser raises if there is no home


def one_line(error: BaseException) -> str:
    """An error's message on one line, at most 400 characters."""
    return " ".join(str(error).split())[:400] or type(error).__name__


def _checked_images(images: np.ndarray, name: str) -> np.ndarray:
    if images.ndim < 2 or not images.size:  # noqa: PLR2004
        raise DataError(f"{name} has shape {images.shape}; expected [N, H, W] or [N, H, W, C], none of them 0")
    low, high = images.min(), images.max()
    if images.dtype.kind in "iu" and not 0 <= low <= high <= 255:  # noqa: PLR2004
        raise DataError(f"{name} has {images.dtype} values {low}..{high}; expected 0..255, or floats")
    if not (np.isfinite(low) and np.isfinite(high)):
        raise DataError(f"{name} has values that are NaN or infinite; expected finite numbers")
    return images


def _checked_labels(labels: np.ndarray, classes: int | None, name: str) -> np.ndarray:
    """The labels [N] as int64; classes: how many there are; None: the labels decide."""
    if not (np.isfinite(labels).all() and np.array_equal(labels, np.trunc(labels))):
        raise DataError(f"{name} has {labels.dtype} values that are not whole numbers; expected class numbers from 0")
    low, high = int(labels.min()), int(labels.max())
    most = MOST_UNNAMED_CLASSES if classes is None else classes
    if not 0 <= low <= high < most:
        hint = " (more need class_names)" if classes is None else f", as there are {classes} class names"
        raise DataError(f"{name} has labels {low}..{high}; expected 0..{most - 1}{hint}")
    return labels.astype(np.int64)


def _numbers(values: Any, name: str) -> np.ndarray:
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise DataError(f"{name} is not an array: {one_line(error)}") from error
    if array.dtype.kind not in "biuf":
        raise DataError(f"{name} has shape {array.shape} and dtype {array.dtype}; expected numbers")
    return array
