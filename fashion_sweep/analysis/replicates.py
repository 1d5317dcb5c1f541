"""Statistics over replicates: the mean result of each setting, how certain it is, and which settings differ.

Pure functions, frame in, frame out. Only completed runs count, each seed once: an unfinished run cannot be compared
with finished ones.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from fashion_sweep.analysis.columns import LEFT_OUT, STATISTICS, measured
from fashion_sweep.analysis.measure import Measure
from fashion_sweep.analysis.settings import FACTORS
from fashion_sweep.analysis.statistics import LEVEL, interval
from fashion_sweep.analysis.summary import TRUSTED, counted, is_ranked, summarize
from fashion_sweep.analysis.verdict import comparisons, optimism
from fashion_sweep.storage.record import METRICS, Status

RANGES = {"val_loss": (0.0, np.inf), "val_accuracy": (0.0, 1.0)}
"""What their means can be; intervals end there."""


def factors(swept: Sequence[str]) -> list[str]:
    """The columns that describe a setting."""
    return [name for name in (*FACTORS, *swept) if name != "seed"]


def replicates(table: pd.DataFrame, swept: Sequence[str], measure: Measure) -> pd.DataFrame:
    """One row per setting, best mean first; no rows if no setting has two seeds.

    table: ``summary.summarize`` by the same measure. Columns: run (the setting's first), ``factors``, ``measured``,
    such as best_val_loss_mean, and COMPARED. Settings none of whose runs count come last.
    """
    number = table.groupby("setting", sort=False).ngroup()
    included = counted(table.assign(number=number))  # a frame without rows would get those of the new column
    groups = dict(iter(included.groupby("number")))
    has_replicates = included["number"].duplicated().any()
    rows = table.groupby(number) if has_replicates else ()
    described = [_row(runs, groups.get(each, included.iloc[:0]), swept, measure) for each, runs in rows]
    frame = pd.DataFrame(described, columns=["run", *factors(swept), *measured(measure)])
    frame = frame.sort_values(f"{measure.column}_mean", kind="stable", ascending=measure.sign == 1)
    by_seed = included.assign(seed=included["seed"].map(str)).pivot(
        index="number", columns="seed", values=measure.column
    )
    by_seed = by_seed.reindex(frame.index)
    found = pd.concat([frame, comparisons(by_seed)], axis=1).reset_index(drop=True)
    return found.assign(optimism=pd.Series([optimism(measure.sign * by_seed)] if len(found) else [], dtype="float64"))


def _row(runs: pd.DataFrame, counted: pd.DataFrame, swept: Sequence[str], measure: Measure) -> dict[str, object]:
    """A setting's row. counted: those of its runs whose results count."""
    first = (counted if len(counted) else runs).iloc[0]
    statuses = runs["status"].value_counts()
    completed = runs[runs["status"].eq(Status.COMPLETED.value)]
    counts = {"seeds": len(counted)} | {name: int(statuses.get(name, 0)) for name in LEFT_OUT}
    without = int((~is_ranked(completed)).sum())
    counts |= {"at_chance": int(counted["at_chance"].eq(True).sum())}
    counts |= {"without_result": without, "repeated": len(completed) - len(counted) - without}
    return {name: first[name] for name in ("run", *factors(swept))} | counts | _statistics(counted, measure)


def _statistics(runs: pd.DataFrame, measure: Measure) -> dict[str, float]:
    return {
        f"{name}_{what}": value
        for name, within in zip(measure.columns, RANGES.values(), strict=True)
        for what, value in zip(STATISTICS, interval(runs[name].astype("float64"), within), strict=True)
    }


def over_seeds(
    table: pd.DataFrame, histories: pd.DataFrame, metric: str, measure: Measure
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Average the frames over seeds: one row per setting, and one per setting and epoch.

    Metrics become means over the seeds that reached the epoch. MEASURES are those of the mean curve up to the last
    epoch that all seeds reached: those that go on for longer are not the same as all. Failed and diverged runs are left
    out if their setting has others. A setting has the name of its first run, and no seed.
    New columns: ``runs`` of the table is the number of runs averaged, and ``seeds`` of the histories that of an epoch;
    ``low`` and ``high`` are the ends of the interval of ``metric``'s mean, NaN for a single seed.
    """
    rows = table[table["run"].isin(histories["run"])]
    trusted = rows["status"].isin([status.value for status in TRUSTED])
    rows = rows[trusted | ~trusted.groupby(rows["setting"]).transform("any")]
    first = rows.groupby("setting")["run"].transform("first")
    if first.nunique() == len(rows):
        return rows.assign(runs=1), histories.assign(seeds=1, low=np.nan, high=np.nan)
    representative = dict(zip(rows["run"], first, strict=True))
    means = _mean_curves(
        histories[histories["run"].isin(rows["run"])].assign(run=lambda frame: frame["run"].map(representative)), metric
    )
    alone = rows[rows["run"] == first].assign(runs=first.map(first.value_counts()), seed=None, is_partial=False)
    reached = means["seeds"] == means.groupby("run")["seeds"].transform("max")
    return summarize(alone, means[reached], measure), means


def _mean_curves(rows: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Mean metrics by run and epoch, how many were averaged, and the interval of ``metric``'s mean."""
    groups = rows[np.isfinite(rows[list(METRICS)].to_numpy()).all(axis=1)].groupby(["run", "epoch"], sort=False)
    count, sd = groups[metric].count(), groups[metric].std()
    means = groups[list(METRICS)].mean()
    half = stdtrit(count.clip(2) - 1, (1 + LEVEL) / 2) * sd / count**0.5
    low, high = RANGES[metric]
    curves: pd.DataFrame = means.assign(
        seeds=count, low=(means[metric] - half).clip(lower=low), high=(means[metric] + half).clip(upper=high)
    )
    return curves.reset_index().astype({"epoch": "int64"})
