"""Whether a run does better than guessing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

ERRORS = 2
"""Standard errors above the share of the most frequent class that an accuracy has to reach."""


def guessed_accuracy(data: Mapping[str, Any]) -> float | None:
    """The highest validation accuracy that says nothing: that of naming the most frequent class, and ERRORS above it.

    data: of a run's record. The standard error of a share p of n images is sqrt(p (1 - p) / n). None where the record
    does not say how many validation images each class has.
    """
    counts = data.get("validation_classes")
    if (
        not isinstance(counts, list)
        or not all(type(count) is int and count >= 0 for count in counts)
        or not sum(counts)
    ):
        return None
    total = sum(counts)
    share = max(counts) / total
    return float(share + ERRORS * (share * (1 - share) / total) ** 0.5)
