"""The confusion matrix of an evaluation as a figure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import seaborn as sns
from matplotlib.figure import Figure

from fashion_sweep.evaluation.measure import Evaluation
from fashion_sweep.reporting.figure_style import ShownFigure, style

MAX_ANNOTATED_CLASSES = 25
"""With more classes than this, cells are too small for numbers."""


def matrix(found: Evaluation, classes: int) -> np.ndarray:
    """Number of images [true class, predicted class]."""
    counts = np.zeros((classes, classes), int)
    np.add.at(counts, (found.truth, found.predicted), 1)
    return counts


def figure(found: Evaluation, class_names: Sequence[str]) -> Figure:
    """Counts, in cells coloured by their share of the row, which is a true class."""
    counts = matrix(found, len(class_names))
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = min(3.0 + 0.42 * len(class_names), 16.0)
    with style():
        drawn = ShownFigure(figsize=(side + 1.7, side), layout="constrained")
        axes = drawn.subplots()
        sns.heatmap(
            shares,
            annot=_texts(counts) if len(class_names) <= MAX_ANNOTATED_CLASSES else None,
            fmt="",
            annot_kws={"size": 8},
            cmap="Blues",
            vmin=0,
            vmax=1,
            square=True,
            linewidths=0.5,
            xticklabels=class_names,
            yticklabels=class_names,
            cbar_kws={"label": "share of the true class", "shrink": 0.75},
            ax=axes,
        )
        axes.set(xlabel="predicted class", ylabel="true class")
        axes.tick_params(length=0)
        axes.tick_params(axis="y", labelrotation=0)
        for name in axes.get_xticklabels():
            name.set(rotation=40, ha="right", rotation_mode="anchor")
        what = f"{len(found.truth):,} {found.images} images, {found.correct:,} correct ({found.accuracy:.4f})"
        axes.set_title(what, fontsize=10)
    return drawn


def _texts(counts: np.ndarray) -> np.ndarray:
    """Counts as text, empty for zero, so that errors stand out."""
    return np.array([[f"{count:,}" if count else "" for count in row] for row in counts])
