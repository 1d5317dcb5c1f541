"""The data behind the tables, the figures and the page, and the sentences that they share."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from fashion_sweep.reporting.html import provenance
from notes.compare import Comparison, Restoration, Trend, comparisons, counts, deviation, trend
from notes.rows import CURVES, EPOCHS, MEASURES, OVERFITTING, STOPPED
from notes.sweeps import Sweep, seconds

FORMULA = "mean ± t(0.975, n − 1) · s · √(1 + 1/n)"  # noqa: RUF001 - a minus sign
DIFFERENCES = (
    "The same in the notes and here: layers, initial weights' distribution, optimizers and their rates, batches of "
    "32, the split into 48,000 and 12,000 images (`train_test_split` with test_size 0.2, random_state 42). What may "
    "differ: the notes show one run each, of a seed that they do not give, trained with another version of Keras and "
    "TensorFlow, on batches in another order."
)


@dataclass(frozen=True)
class Outcome:
    """The results of a reproduction."""

    command: str
    written: str  # the date
    seeds: int
    overrides: Sequence[str]
    sweeps: Mapping[str, Sweep]  # experiment -> its sweep
    restorations: Sequence[Restoration]
    seconds: float  # duration of this call

    @cached_property
    def comparisons(self) -> list[Comparison]:
        """Every number of the notes whose experiment is here."""
        return comparisons({name: sweep.runs for name, sweep in self.sweeps.items()})

    @cached_property
    def trends(self) -> list[Trend]:
        """Summaries of every curve of the notes whose experiment is here."""
        return [trend(each, self.sweeps[each.experiment].runs) for each in CURVES if each.experiment in self.sweeps]

    @property
    def opening(self) -> str:
        """Who wrote this, when, and what it took."""
        records = [record for sweep in self.sweeps.values() for record in sweep.records]
        spent = sum(record.seconds or 0 for record in records)
        changed = " With settings other than the notes' (see the command)." if self.overrides else ""
        return (
            f"Written by `{self.command}` on {self.written}. {len(records)} runs of "
            f"{len(self.sweeps)} experiment{'s' * (len(self.sweeps) != 1)}, "
            f"{self.seeds} replicate{'s' * (self.seeds != 1)} of each training: {duration(spent)} of training in "
            f"{duration(seconds(records))} by the clock, some of them at the same time. This call took "
            f"{duration(self.seconds)}; runs that were already there are not trained again.{changed}"
        )

    @property
    def verdict(self) -> str:
        """How many of the notes' numbers are inside, and how many would be outside by chance."""
        known = [each.distance for each in self.comparisons if each.distance is not None]
        inside, total = sum(distance == 0 for distance in known), len(known)
        if not total:
            return "No intervals: they need at least two replicates."
        return (
            f"{inside} of {total} numbers of the notes lie inside our 95% prediction interval. Of {total} such "
            f"numbers of one more run of our own, {total * 0.05:.1f} would lie outside on average."
        )

    @property
    def outside(self) -> list[str]:
        """A line for each number of the notes that is outside."""
        return [_outside(each) for each in self.comparisons if each.distance]

    @property
    def missing(self) -> list[str]:
        """A line for each run that did not complete."""
        return [text for sweep in self.sweeps.values() for text in sweep.missing]

    @property
    def ordering(self) -> str:
        """Whether the three ways to train overfit in the order that the notes describe."""
        rises = {each.curve.what: mean(each.rise) for each in self.trends if each.curve.what in OVERFITTING}
        if len(rises) < len(OVERFITTING):
            return ""
        values = [rises[name] for name in OVERFITTING]
        shown = "; ".join(f"{name}: {rises[name]:.4f}" for name in OVERFITTING)
        holds = values[0] > values[1] > values[2]
        order = "RMSprop most, dropout least" + (", as in the notes" if holds else " in the notes, but not here")
        return f"Mean rise of val_loss from its lowest to the last epoch: {shown} ({order})."

    @property
    def stopping(self) -> dict[str, dict[int, int]]:
        """Counts over the runs that stop early: name -> epoch -> number of runs."""
        if STOPPED not in self.sweeps:
            return {}
        runs = self.sweeps[STOPPED].runs
        return {"epochs run": counts(runs["epochs_run"]), "epoch of lowest val_loss": counts(runs["best_epoch"])}

    @property
    def provenance(self) -> dict[str, list[str]]:
        """Where the runs come from: heading -> its distinct values; not the machine's name."""
        records = [record for sweep in self.sweeps.values() for record in sweep.records]
        return provenance([replace(record, device={**record.device, "host": None}) for record in records])


def number(each: Comparison, value: float) -> str:
    """A value of the comparison's measure for people."""
    return "-" if math.isnan(value) else f"{value:.1f}" if each.measure in EPOCHS else f"{value:.4f}"


def reported(each: Comparison) -> str:
    """The notes' number as printed."""
    if isinstance(each.reported, tuple):
        return f"{each.reported[0]:g} to {each.reported[1]:g}"
    return f"{each.reported:g}" if each.measure in EPOCHS else f"{each.reported:.4f}"


def ours(each: Comparison) -> str:
    """Mean and standard deviation."""
    return spread(each.ours, 1 if each.measure in EPOCHS else 4)


def interval(each: Comparison) -> str:
    """The prediction interval, or a dash."""
    return " to ".join(number(each, end) for end in each.interval) if each.interval else "-"


def place(each: Comparison) -> str:
    """Where the notes' number is relative to our interval."""
    if each.distance is None:
        return "-"
    if each.distance == 0:
        return "inside"
    return f"{number(each, abs(each.distance))} {'above' if each.distance > 0 else 'below'}"


def epochs(each: Comparison) -> str:
    """How many epochs our runs have."""
    first, last = each.epochs[:1], each.epochs[-1:]
    return " to ".join(str(count) for count in dict.fromkeys((*first, *last))) or "-"


def measure(each: Comparison) -> str:
    """What tables call the comparison's measure."""
    return MEASURES[each.measure]


def spread(values: Sequence[float], digits: int) -> str:
    """Mean ± standard deviation; the mean alone of one value, a dash of none."""
    if not values:
        return "-"
    tail = f" ± {deviation(values):.{digits}f}" if len(values) > 1 else ""
    return f"{mean(values):.{digits}f}{tail}"


def mean(values: Sequence[float]) -> float:
    """The mean; NaN without values."""
    return sum(values) / len(values) if values else math.nan


def duration(seconds: float) -> str:
    """A duration in seconds, or in minutes if it is long."""
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.1f} min"  # noqa: PLR2004


def _outside(each: Comparison) -> str:
    middle = sum(each.span) / 2
    apart = (
        f"{abs(middle - each.mean) / each.deviation:.1f} standard deviations from our mean" if each.deviation else ""
    )
    return (
        f"{each.row.what}, {measure(each)}: the notes' {reported(each)} is {place(each)} "
        f"our {interval(each)}{', ' * bool(apart)}{apart}."
    )
