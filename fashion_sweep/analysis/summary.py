"""Best epochs, rankings and counts of a sweep: pure functions, frame in, frame out.

Runs are ranked by a measure, such as the lowest finite validation loss of their epochs; a run that diverged, failed or
has not started is never ranked among the others.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from fashion_sweep.analysis.load import AVERAGES, MEASURES
from fashion_sweep.analysis.measure import Measure
from fashion_sweep.storage.record import METRICS, Status

TRUSTED = (Status.COMPLETED, Status.RUNNING, Status.INTERRUPTED)
"""Statuses of runs whose metrics count."""

INCOMPLETE = (Status.FAILED, Status.DIVERGED, Status.INTERRUPTED)
"""Statuses of runs that ended without completing."""

_TIERS = [*TRUSTED, Status.DIVERGED, Status.FAILED, Status.PENDING]


def best_epochs(histories: pd.DataFrame, measure: Measure) -> pd.DataFrame:
    """Each run's row where a finite metric is best, the first if tied; no row for a run without a finite one."""
    finite = histories[np.isfinite(histories[measure.metric])].reset_index(drop=True)
    scores = measure.sign * finite[measure.metric]
    best: pd.DataFrame = finite.loc[scores.groupby(finite["run"], sort=False).idxmin()]
    return best.reset_index(drop=True)


def summarize(runs: pd.DataFrame, histories: pd.DataFrame, measure: Measure) -> pd.DataFrame:
    """The same runs with MEASURES from their histories, and whether they end ``at_chance``; None where unknown.

    A run whose history is missing or partial keeps those of its record, if it has any. ``score`` is the measure, or its
    negative where higher is better; a measure over several epochs adds AVERAGES.
    """
    from_record = runs.loc[runs["is_partial"] & runs["last_val_loss"].notna(), "run"]
    rows = histories[~histories["run"].isin(from_record)].reset_index(drop=True)
    last = rows.loc[rows.groupby("run", sort=False)["epoch"].idxmax()].set_index("run")[list(METRICS)]
    best = best_epochs(rows, measure).set_index("run")[["epoch", "val_loss", "val_accuracy"]]
    measured = best.add_prefix("best_").join(last.add_prefix("last_"), how="outer").reindex(columns=list(MEASURES))
    recorded = runs.set_index("run")[list(MEASURES)].astype("float64")
    measures = pd.concat([measured.astype("float64"), recorded.drop(index=measured.index)]).reindex(runs["run"])
    found = runs.assign(**{name: measures[name].to_numpy() for name in MEASURES}).astype(runs.dtypes)
    if isinstance(measure.at, int):
        found = found.assign(**_averages(found, rows, measure.at))
    return found.assign(at_chance=_at_chance(found), score=measure.sign * found[measure.column])


def _averages(runs: pd.DataFrame, rows: pd.DataFrame, epochs: int) -> dict[str, pd.Series]:
    """AVERAGES over the last epochs; where there is no history, what is recorded of the last."""
    names = [name.removeprefix("mean_") for name in AVERAGES]
    tail = rows.sort_values("epoch", kind="stable").groupby("run", sort=False).tail(epochs)
    groups = tail[names].where(np.isfinite(tail[names])).groupby(tail["run"], sort=False)
    means = groups.mean().where(groups.count().eq(groups.size(), axis=0)).reindex(runs["run"]).set_axis(runs.index)
    alone = ~runs["run"].isin(rows["run"])
    return {f"mean_{name}": means[name].where(~alone, runs[f"last_{name}"]) for name in names}


def _at_chance(runs: pd.DataFrame) -> pd.Series:
    """Whether the last validation accuracy is one that guessing reaches."""
    is_known = runs["last_val_accuracy"].notna() & runs["guessed_accuracy"].notna()
    is_low = runs["last_val_accuracy"] <= runs["guessed_accuracy"]
    return is_low.astype(object).where(is_known, None)


def is_ranked(table: pd.DataFrame) -> pd.Series[bool]:
    """Which runs have a score that counts."""
    trusted = table["status"].isin([status.value for status in TRUSTED])
    return trusted & table["score"].between(-np.inf, np.inf, inclusive="neither")


def counted(table: pd.DataFrame) -> pd.DataFrame:
    """The runs whose results count for their settings: completed, each seed once."""
    counts = is_ranked(table) & table["status"].eq(Status.COMPLETED.value)
    return table[counts].drop_duplicates(["setting", "seed"])


def ranked(table: pd.DataFrame) -> pd.DataFrame:
    """The same rows best first; those without a rank follow by status, each kind in plan order."""
    tiers = {status.value: tier for tier, status in enumerate(_TIERS)}
    tier = table["status"].map(tiers).astype("int64").where(~is_ranked(table), -1)
    score = table["score"].where(is_ranked(table), 0.0)
    order = pd.DataFrame({"tier": tier, "score": score}).sort_values(["tier", "score"], kind="stable").index
    return table.loc[order].reset_index(drop=True)


def best_run(table: pd.DataFrame) -> str | None:
    """Name of the best completed run; None if there is none."""
    completed = table[table["status"].eq(Status.COMPLETED.value) & is_ranked(table)]
    return None if completed.empty else str(ranked(completed)["run"].iloc[0])


def incomplete(table: pd.DataFrame) -> pd.DataFrame:
    """The runs that failed, diverged or were interrupted, in plan order."""
    return table[table["status"].isin([status.value for status in INCOMPLETE])].reset_index(drop=True)


def status_counts(table: pd.DataFrame) -> dict[str, int]:
    """Status -> number of runs, in the order in which statuses are declared; absent ones are left out."""
    counts = table["status"].value_counts()
    return {status.value: int(counts[status.value]) for status in Status if status.value in counts}


def started(table: pd.DataFrame) -> pd.DataFrame:
    """The runs whose settings are known in full; all of them if none has started."""
    known = table[table["status"] != Status.PENDING.value]
    return table if known.empty else known
