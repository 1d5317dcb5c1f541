"""What was measured, as numbers: pure functions of samples."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Sample:
    """One measurement of one line."""

    line: str  # A to F, floor, "overhead packed", "gpu 64 runs in a pack", ...
    repeat: int  # from 1
    values: Mapping[str, float] = field(default_factory=dict)  # quantity -> number, the unit in its name
    missing: str = ""  # why there are no values, for people


@dataclass(frozen=True)
class Results:
    """All samples of a benchmark."""

    samples: Sequence[Sample]

    def values(self, line: str, quantity: str) -> list[float]:
        """The values of every repeat that has one."""
        found = [sample.values.get(quantity) for sample in self.samples if sample.line == line]
        return [value for value in found if value is not None]

    def median(self, line: str, quantity: str) -> float | None:
        """The median over the repeats; None if nothing was measured."""
        values = self.values(line, quantity)
        return statistics.median(values) if values else None

    def spread(self, line: str, quantity: str) -> str:
        """Median and range: ``3.05 (3.01 to 3.20)``."""
        values = self.values(line, quantity)
        if not values:
            return "-"
        middle = number(statistics.median(values))
        return middle if len(values) == 1 else f"{middle} ({number(min(values))} to {number(max(values))})"

    def times_faster(self, line: str, than: str, quantity: str) -> float | None:
        """Median of ``than`` divided by median of ``line``; above 1 where ``line`` is faster."""
        own, other = self.median(line, quantity), self.median(than, quantity)
        return None if not own or other is None else other / own

    def mean_of_medians(self, line: str, quantities: Sequence[str]) -> float | None:
        """The mean of the medians; None unless every quantity was measured."""
        medians = [self.median(line, quantity) for quantity in quantities]
        known = [value for value in medians if value is not None]
        return statistics.mean(known) if known and len(known) == len(medians) else None

    def missing(self, line: str) -> str:
        """Why repeats of a line are missing, each reason once; empty if none is."""
        reasons = [sample.missing for sample in self.samples if sample.line == line and sample.missing]
        return "; ".join(dict.fromkeys(reasons))


@dataclass(frozen=True)
class Target:
    """A target and the measurement to compare with it."""

    text: str
    bound: float
    measured: float | None
    unit: str = ""
    at_most: bool = False  # the bound is an upper one

    @property
    def verdict(self) -> str:
        if self.measured is None:
            return "not measured"
        met = self.measured < self.bound if self.at_most else self.measured >= self.bound
        return "met" if met else "missed"


def targets(results: Results, *, on_gpu: bool = False) -> list[Target]:
    """The targets, set for two cores, six runs and 20 epochs. on_gpu: F ran on a GPU, which has no floor here."""
    floor, ours = results.median("floor", "run_epoch_seconds"), results.median("F", "run_epoch_seconds")
    share = None if floor is None or not ours or on_gpu else floor / ours
    seconds = "run_epoch_seconds"
    return [
        Target("E, cold, against A, wall time", 12, results.times_faster("E", "A", "wall_seconds"), "x"),
        Target("F against A, per run-epoch", 20, results.times_faster("F", "A", seconds), "x"),
        Target("F against D, per run-epoch", 6, results.times_faster("F", "D", seconds), "x"),
        Target("floor / F", 0.7, share),
        Target("overhead a job, packed", 10, results.median("overhead packed", "ms_per_job"), " ms", at_most=True),
    ]


def number(value: float) -> str:
    """Three significant digits, with an exponent only for very small numbers."""
    if abs(value) >= 100:  # noqa: PLR2004
        return f"{value:.0f}"
    return f"{value:#.3g}".rstrip(".") if abs(value) >= 0.001 or not value else f"{value:.2e}"  # noqa: PLR2004
