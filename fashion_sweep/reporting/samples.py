"""Sample images of the dataset: file in, matplotlib figure out."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from matplotlib.figure import Figure

from fashion_sweep.errors import FolderError
from fashion_sweep.reporting.figure_style import style


def draw(path: Path) -> Figure:
    """Ten images with the names of their classes. Raises FolderError if the file does not have them."""
    images, names = _read_samples(path)
    with style():
        figure = Figure(figsize=(6.5, 3.1), layout="constrained")
        for axes, image, name in zip(figure.subplots(2, 5).flat, images, names, strict=False):
            axes.imshow(image, cmap="gray_r", vmin=0, vmax=255 if image.dtype.kind in "iu" else 1)
            axes.set_title(name)
        for axes in figure.axes:
            axes.set_axis_off()
        figure.suptitle("Ten images of the dataset and their classes", fontsize=10)
    return figure


def _read_samples(path: Path) -> tuple[list[np.ndarray[Any, Any]], list[str]]:
    """Up to ten images, each [H,W], [H,W,3] or [H,W,4], and their class names."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            images, labels, names = arrays["images"][:10], arrays["labels"][:10], arrays["class_names"]
        return _pixels(images), [str(names[index]) for index in labels]
    except (OSError, ValueError, KeyError, TypeError, IndexError, BadZipFile) as error:
        raise FolderError(f"{path}: cannot be read as sample images ({error})") from error


def _pixels(images: np.ndarray[Any, Any]) -> list[np.ndarray[Any, Any]]:
    """Images as imshow takes them, without the axis of a single channel. Raises ValueError for other shapes."""
    if images.shape[3:] == (1,):
        images = images[..., 0]
    if images.ndim < 3 or images.shape[3:] not in ((), (3,), (4,)):  # noqa: PLR2004
        raise ValueError(f"images are of shape {images.shape[1:]}, expected [height, width] or [height, width, 3]")
    return list(images)
