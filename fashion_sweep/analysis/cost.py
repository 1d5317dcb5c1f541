"""What a sweep cost: time, failures, and which settings need the least for what they reach.

Runs of a pack are trained by one program, so each of their records has the time of all of them. No number here adds up
such times as if they were apart, and no setting is judged by its seconds: they depend on how many runs shared a
program, and on how many lanes shared the machine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from fashion_sweep.analysis.measure import Measure
from fashion_sweep.analysis.replicates import factors
from fashion_sweep.analysis.summary import counted
from fashion_sweep.storage.record import RunRecord, Status

ENDED = (Status.COMPLETED.value, Status.FAILED.value, Status.DIVERGED.value)
COSTS = ("parameters", "training_images")
"""What a setting costs: weights, and training images that it was shown, each once an epoch."""


@dataclass(frozen=True)
class Clock:
    """When runs were recorded as running.

    covered_s: seconds in which at least one of them was; summed_s: of all runs, each by itself; whole_s: from the first
    start to the last end, pauses included.
    """

    runs: int
    covered_s: float
    summed_s: float
    whole_s: float


@dataclass(frozen=True)
class LaneTime:
    """Seconds that lanes spent on the epochs of runs, each pack counted once.

    is_least: whether it may have been more, as runs left their packs early; left_out: runs whose time is not known.
    """

    runs: int
    seconds: float
    is_least: bool
    left_out: int


def clock(records: Sequence[RunRecord]) -> Clock | None:
    """The last attempts of the runs that completed or diverged; None without any.

    Others may have ended long before somebody noticed, which is what their record has as their end.
    """
    known = [each for each in records if each.status in (Status.COMPLETED, Status.DIVERGED)]
    spans = pd.DataFrame({name: _times([getattr(each, name) for each in known]) for name in ("started", "ended")})
    spans = spans[spans["ended"] >= spans["started"]].sort_values("started")
    if spans.empty:
        return None
    started, ended = spans["started"], spans["ended"]
    free_from = ended.cummax().shift()  # all earlier runs have ended
    begun = started.where(~(free_from > started), free_from)
    covered = (ended - begun).clip(lower=0.0).sum()
    whole = ended.max() - started.min()
    return Clock(len(spans), float(covered), float((ended - started).sum()), float(whole))


def lane_time(records: Mapping[str, RunRecord], histories: pd.DataFrame) -> LaneTime:
    """How long lanes trained. records: by run; histories: columns run and seconds, a row for each epoch.

    An epoch takes a pack as long as it takes each of its runs, so a run's share is its epochs' seconds divided by the
    runs of the pack, and the shares of a pack add up to its time. Where a run leaves early, the others' shares are too
    small by what it no longer carries: the sum is the least that was spent. Epochs have validation, callbacks and
    compiling in them, but neither loading data nor building models. Classifiers train alone and have no epochs: their
    time is that of the whole run. Left out are runs of a second attempt, which may have epochs of the first, trained in
    a pack of another size, and those whose history lacks an epoch or its time.
    """
    ended = {name: each for name, each in records.items() if each.status.value in ENDED and _has_trained(each)}
    seconds = histories["seconds"].fillna(np.inf).groupby(histories["run"])
    epochs = dict(zip(seconds.sum().index, zip(seconds.sum(), seconds.size(), strict=True), strict=True))
    times = {name: _seconds(each, *epochs.get(name, (np.inf, 0))) for name, each in ended.items() if each.attempt == 1}
    known = {name: each / max(ended[name].pack, 1) for name, each in times.items() if each is not None}
    is_least = any(ended[name].pack > 1 and _left_early(ended[name]) for name in known)
    return LaneTime(len(known), sum(known.values()), is_least, len(ended) - len(known))


def failures(table: pd.DataFrame) -> pd.DataFrame:
    """A row for each setting with runs that ended, in plan order.

    Columns: setting, run (its first), runs that ended, failed and diverged among them, and failure_rate, the share of
    these two. An interrupted run may still complete, so it has not ended.
    """
    first = table.drop_duplicates("setting").set_index("setting")["run"]
    counts = pd.crosstab(table["setting"], table["status"])
    counts = counts.reindex(index=first.index, columns=list(ENDED), fill_value=0)
    runs = counts.sum(axis=1)
    lost = counts[["failed", "diverged"]]
    frame = pd.DataFrame({"run": first, "runs": runs}).join(lost).assign(failure_rate=lost.sum(axis=1) / runs)
    return frame[frame["runs"] > 0].reset_index()


def costs(table: pd.DataFrame, swept: Sequence[str], measure: Measure, samples: Mapping[str, int]) -> pd.DataFrame:
    """A row for each setting with runs that ended, in plan order: what it costs, and what for.

    table: of ``summary.summarize`` by the same measure; samples: run -> its number of training images. Columns: those
    of ``failures``, ``replicates.factors``; COSTS, epochs_run and the measure's, as means over the runs that count, NaN
    where none does; is_on_front, see ``on_front``.

    Parameters and images do not depend on how runs were packed or on the machine. They are not multiplied: a weight of
    a convolution works more than one of a dense layer, and more images may cost nothing in a larger batch.
    """
    images = table["run"].map(samples).astype("float64") * table["epochs_run"].astype("float64")
    included = counted(table.assign(training_images=images))
    values = included[["parameters", "epochs_run", "training_images", measure.column]].astype("float64")
    means = values.groupby(included["setting"]).mean()
    described = table.drop_duplicates("setting").set_index("setting")[factors(swept)]
    frame = failures(table).join(described, on="setting").join(means, on="setting")
    scores = frame[[*COSTS, measure.column]].assign(**{measure.column: measure.sign * frame[measure.column]})
    return frame.assign(is_on_front=on_front(scores))


def on_front(values: pd.DataFrame) -> np.ndarray:
    """Which rows no other row beats: as low in every column, and lower in one. Rows with a gap are on no front.

    values: float [N, K], lower is better. Returns bool [N].
    """
    found = np.zeros(len(values), bool)
    known = np.flatnonzero(values.notna().all(axis=1))
    numbers = values.to_numpy("float64")
    front = np.empty((0, numbers.shape[1]))
    for place in known[np.lexsort(numbers[known].T[::-1])]:  # a row that beats another is before it
        row = numbers[place]
        if not ((front <= row).all(axis=1) & (front < row).any(axis=1)).any():
            front, found[place] = np.vstack([front, row]), True
    return found


def _times(texts: Sequence[str | None]) -> pd.Series[float]:
    """Seconds since 1970; NaN for what is no time."""
    times = pd.to_datetime(pd.Series([text or "" for text in texts]), utc=True, errors="coerce", format="ISO8601")
    return (times - pd.Timestamp(0, tz="UTC")).dt.total_seconds()


def _has_trained(record: RunRecord) -> bool:
    return record.epochs_run > 0 or "epochs" not in record.config


def _seconds(record: RunRecord, of_epochs: float, epochs: int) -> float | None:
    """Seconds of a run, as its record or the epochs of its history have them; None where they are not known."""
    if "epochs" not in record.config:
        return record.seconds
    return of_epochs if epochs == record.epochs_run and np.isfinite(of_epochs) else None


def _left_early(record: RunRecord) -> bool:
    return record.epochs_run != record.config.get("epochs")
