"""Measures how far two histories of the same run differ."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from fashion_sweep.storage.run_dir import HISTORY_COLUMNS

Row = Mapping[str, float | None]

COMPARED = tuple(name for name in HISTORY_COLUMNS if name not in ("epoch", "seconds"))


@dataclass(frozen=True)
class MetricDifference:
    """The largest differences of one metric between two histories."""

    metric: str
    epochs: int  # number of epochs that both have
    absolute: float  # 0: identical to the last digit
    absolute_epoch: int
    relative: float  # to the larger of the two values
    relative_epoch: int

    def __str__(self) -> str:
        if self.absolute == 0:
            return f"{self.metric}: identical to the last digit"
        absolute = f"{self.absolute:.3g}{self._at(self.absolute_epoch)}"
        relative = f"{self.relative:.3g}{self._at(self.relative_epoch)}"
        return f"{self.metric}: differs by up to {absolute}, relative difference up to {relative}"

    def _at(self, epoch: int) -> str:
        return f" (epoch {epoch})" if self.epochs > 1 else ""


def differences(original: Sequence[Row], new: Sequence[Row]) -> list[MetricDifference]:
    """The largest differences of each metric over the epochs that both have; empty if they have none in common."""
    pairs = list(zip(original, new, strict=False))
    columns = [name for name in COMPARED if pairs and name in original[0] and name in new[0]]
    return [_difference(name, [(_number(a[name]), _number(b[name])) for a, b in pairs]) for name in columns]


def missing(original: Sequence[Row], new: Sequence[Row]) -> Iterator[str]:
    """One line for each range of epochs and each column that only one of the histories has."""
    for name, rows, others in (("the original", original, new), ("the new history", new, original)):
        if len(rows) < len(others):
            epochs = (
                f"epoch {len(others)}" if len(others) == len(rows) + 1 else f"epochs {len(rows) + 1} to {len(others)}"
            )
            yield f"{epochs}: missing in {name}"
        if rows and others:
            yield from (
                f"{column}: missing in {name}" for column in COMPARED if column in others[0].keys() - rows[0].keys()
            )


def _difference(metric: str, pairs: Sequence[tuple[float, float]]) -> MetricDifference:
    absolute = [_distance(a, b) for a, b in pairs]
    relative = [0.0 if gap == 0 else gap / max(abs(a), abs(b)) for gap, (a, b) in zip(absolute, pairs, strict=True)]
    relative = [math.inf if math.isnan(gap) else gap for gap in relative]
    worst, relative_worst = (max(range(len(pairs)), key=values.__getitem__) for values in (absolute, relative))
    return MetricDifference(
        metric, len(pairs), absolute[worst], worst + 1, relative[relative_worst], relative_worst + 1
    )


def _distance(a: float, b: float) -> float:
    """The absolute difference: 0 if both are NaN or the same infinity, infinite if only one of them is finite."""
    if a == b or (math.isnan(a) and math.isnan(b)):
        return 0.0
    return abs(a - b) if math.isfinite(a) and math.isfinite(b) else math.inf


def _number(value: float | None) -> float:
    return math.nan if value is None else value
