"""Compares the notes' numbers with our replicates: pure functions of frames."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from fashion_sweep.analysis.settings import label
from notes.rows import EPOCHS, ROWS, Curve, Reported, Restored, Row

LEVEL = 0.95
PRINTED = 5e-5
"""Half a unit of the notes' last digit."""


@dataclass(frozen=True)
class Comparison:
    """One number of the notes and our replicates of it."""

    row: Row
    measure: str  # a key of MEASURES
    ours: tuple[float, ...]  # one per completed replicate
    epochs: tuple[int, ...] = ()  # run by these runs, ascending; empty for a trainer without epochs

    @property
    def reported(self) -> Reported:
        return self.row.reported[self.measure]

    @property
    def span(self) -> tuple[float, float]:
        """The range of values that round to the printed number."""
        if isinstance(self.reported, tuple):
            return self.reported
        margin = 0 if self.measure in EPOCHS else PRINTED
        return self.reported - margin, self.reported + margin

    @property
    def mean(self) -> float:
        return float(np.mean(self.ours)) if self.ours else math.nan

    @property
    def deviation(self) -> float:
        return deviation(self.ours)

    @property
    def interval(self) -> tuple[float, float] | None:
        return prediction_interval(self.ours)

    @property
    def distance(self) -> float | None:
        """How far the notes' number is above (+) or below (-) our interval; 0: inside; None: no interval."""
        if self.interval is None:
            return None
        return max(0.0, self.span[0] - self.interval[1]) + min(0.0, self.span[1] - self.interval[0])


@dataclass(frozen=True)
class Trend:
    """Summary numbers of a curve, one per replicate."""

    curve: Curve
    best_epoch: tuple[float, ...]  # of the lowest val_loss
    best: tuple[float, ...]  # the lowest val_loss
    rise: tuple[float, ...]  # from there to the val_loss of the last epoch
    last_loss: tuple[float, ...]


def prediction_interval(values: Sequence[float], level: float = LEVEL) -> tuple[float, float] | None:
    """Where one more value of the same normal distribution falls with probability ``level``: mean, less and plus
    t((1 + level) / 2, n - 1) * s * sqrt(1 + 1/n). (Hahn and Meeker, Statistical Intervals, 1991, chapter 4.)

    None for fewer than two values, which have no spread.
    """
    count = len(values)
    if count < 2:  # noqa: PLR2004
        return None
    from scipy import stats

    reach = float(stats.t.ppf((1 + level) / 2, count - 1)) * deviation(values) * math.sqrt(1 + 1 / count)
    return float(np.mean(values)) - reach, float(np.mean(values)) + reach


def deviation(values: Sequence[float]) -> float:
    """Standard deviation with n - 1; NaN for fewer than two values."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else math.nan


def selected(runs: pd.DataFrame, where: Mapping[str, object]) -> pd.DataFrame:
    """The rows whose columns have these values; none where a column is missing."""
    for column, value in where.items():
        runs = runs[runs[column].map(label) == label(value)] if column in runs else runs[:0]
    return runs


def comparisons(frames: Mapping[str, pd.DataFrame]) -> list[Comparison]:
    """Every number of the notes whose experiment is in ``frames`` (experiment -> its completed runs)."""
    found = [(row, selected(frames[row.experiment], row.where)) for row in ROWS if row.experiment in frames]
    return [
        Comparison(row, measure, _values(runs[measure]), tuple(epoch for epoch in counts(runs["epochs_run"]) if epoch))
        for row, runs in found
        for measure in row.reported
    ]


def trend(curve: Curve, runs: pd.DataFrame) -> Trend:
    """runs: the completed runs of the curve's experiment."""
    chosen = selected(runs, curve.where)
    rise = chosen["last_val_loss"] - chosen["best_val_loss"]
    columns = (chosen["best_epoch"], chosen["best_val_loss"], rise, chosen["last_loss"])
    return Trend(curve, *map(_values, columns))


def counts(epochs: pd.Series[int]) -> dict[int, int]:
    """Epoch -> number of runs, ascending."""
    return dict(sorted(Counter(int(epoch) for epoch in epochs.dropna()).items()))


@dataclass(frozen=True)
class Restoration:
    """How the restored models of an experiment's runs perform."""

    what: Restored
    accuracies: tuple[float, ...]  # val_accuracy of the restored models
    same: int  # number of them with the recorded loss and accuracy


def _values(column: pd.Series[float]) -> tuple[float, ...]:
    return tuple(float(value) for value in column.dropna())
