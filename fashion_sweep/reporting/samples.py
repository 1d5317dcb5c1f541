"""Sample images of the dataset: file in, matplotlib figure out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from fashion_sweep.errors import FolderError
from fashion_sweep.reporting.figure_style import ShownFigure, style
from fashion_sweep.storage.archive import read_arrays
from fashion_sweep.storage.plain_text import clean

ARRAYS = ("images", "labels", "class_names")


def draw(path: Path) -> Figure:
    """Ten images with the names of their classes. Raises FolderError if the file does not have them."""
    images, names = _read_samples(path)
    with style():
        figure = ShownFigure(figsize=(6.5, 3.1), layout="constrained")
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
        images, labels, names = read_arrays(path, lambda _: ARRAYS).values()
        return _pixels(images[:10]), [clean(str(names[index])) for index in labels[:10]]
    except (FileNotFoundError, ValueError, TypeError, IndexError) as error:
        raise FolderError(f"{path}: cannot be read as sample images ({error})") from error


def _pixels(images: np.ndarray[Any, Any]) -> list[np.ndarray[Any, Any]]:
    """Images as imshow takes them, without the axis of a single channel. Raises ValueError for other shapes."""
    if images.shape[3:] == (1,):
        images = images[..., 0]
    if images.ndim < 3 or images.shape[3:] not in ((), (3,), (4,)):  # noqa: PLR2004
        raise ValueError(f"images are of shape {images.shape[1:]}, expected [height, width] or [height, width, 3]")
    return list(images)
