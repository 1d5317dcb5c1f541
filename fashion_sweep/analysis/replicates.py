"""Statistics over replicates: the mean result of each setting, how certain it is, and which settings differ.

Pure functions, frame in, frame out. Only completed runs count, each seed once: an unfinished run cannot be compared
with finished ones.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from fashion_sweep.analysis.columns import LEFT_OUT, measured
from fashion_sweep.analysis.measure import Measure
from fashion_sweep.analysis.settings import FACTORS
from fashion_sweep.analysis.statistics import intervals
from fashion_sweep.analysis.summary import TRUSTED, counted, is_ranked, summarize
from fashion_sweep.analysis.verdict import comparisons, optimism
from fashion_sweep.storage.record import METRICS, Status

RANGES = {"val_loss": (0.0, np.inf), "val_accuracy": (0.0, 1.0)}
"""What their means can be; intervals end there."""


def factors(swept: Sequence[str]) -> list[str]:
    """The columns that describe a setting."""
    return [name for name in (*FACTORS, *swept) if name != "seed"]


def replicates(table: pd.DataFrame, swept: Sequence[str], measure: Measure) -> pd.DataFrame:
    """The rows of ``every_setting``; none if no setting has two seeds."""
    has_replicates = counted(table)["setting"].duplicated().any()
    return every_setting(table if has_replicates else table.iloc[:0], swept, measure)


def every_setting(table: pd.DataFrame, swept: Sequence[str], measure: Measure) -> pd.DataFrame:
    """One row per setting, best mean first.

    table: ``summary.summarize`` by the same measure. Columns: run (the setting's first), ``factors``, ``measured``,
    such as best_val_loss_mean, and COMPARED. Settings none of whose runs count come last.
    """
    table = table.assign(number=table.groupby("setting", sort=False).ngroup())
    included = counted(table)
    frame = _rows(table, included, swept, measure)
    frame = frame.sort_values(f"{measure.column}_mean", kind="stable", ascending=measure.sign == 1)
    values = _by_seed(included, "number", measure).reindex(frame.index)
    found = pd.concat([frame, comparisons(values)], axis=1).reset_index(drop=True)
    return found.assign(optimism=pd.Series([optimism(measure.sign * values)] if len(found) else [], dtype="float64"))


def by_seed(table: pd.DataFrame, measure: Measure) -> pd.DataFrame:
    """What settings are compared by: a row for each value of ``setting`` with results, a column for each seed as text.

    NaN where a setting lacks a seed.
    """
    return _by_seed(counted(table), "setting", measure)


def _by_seed(included: pd.DataFrame, index: str, measure: Measure) -> pd.DataFrame:
    return included.assign(seed=included["seed"].map(str)).pivot(index=index, columns="seed", values=measure.column)


def _rows(table: pd.DataFrame, included: pd.DataFrame, swept: Sequence[str], measure: Measure) -> pd.DataFrame:
    """A row per setting of the table, its number as index. included: the runs whose results count."""
    described = pd.concat([included, table]).drop_duplicates("number").set_index("number")[["run", *factors(swept)]]
    numbers = pd.Index(table["number"].drop_duplicates(), name="number")
    statistics = [
        intervals(included[name].astype("float64"), [included["number"]], within).add_prefix(f"{name}_")
        for name, within in zip(measure.columns, RANGES.values(), strict=True)
    ]
    frame = pd.concat([described.reindex(numbers), _counts(table, included).reindex(numbers), *statistics], axis=1)
    return frame.reindex(index=numbers, columns=["run", *factors(swept), *measured(measure)])


def _counts(table: pd.DataFrame, included: pd.DataFrame) -> pd.DataFrame:
    """How many runs of each setting are included, how many of these are at chance, and why others are left out."""
    completed = table["status"].eq(Status.COMPLETED.value)
    flags = pd.DataFrame({status: table["status"].eq(status) for status in LEFT_OUT})
    flags = flags.assign(completed=completed, without_result=completed & ~is_ranked(table))
    flags = flags.assign(seeds=table.index.isin(included.index), at_chance=False)
    flags.loc[included.index, "at_chance"] = included["at_chance"].eq(True)
    counts = flags.astype("int64").groupby(table["number"]).sum()
    return counts.assign(repeated=counts["completed"] - counts["seeds"] - counts["without_result"])


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
    rows = averaged(table, histories)
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


def averaged(table: pd.DataFrame, histories: pd.DataFrame) -> pd.DataFrame:
    """The runs whose curves are averaged: without failed and diverged ones if their setting has others.

    Each seed counts once, a completed run of it if there is one: two sweeps may have trained the same.
    """
    rows = table[table["run"].isin(histories["run"])]
    trusted = rows["status"].isin([status.value for status in TRUSTED])
    rows = rows[trusted | ~trusted.groupby(rows["setting"]).transform("any")]
    completed_first = rows.sort_values("status", key=lambda status: status != Status.COMPLETED.value, kind="stable")
    return completed_first.drop_duplicates(["setting", "seed"]).sort_index()


def _mean_curves(rows: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Mean metrics by run and epoch, how many were averaged, and the interval of ``metric``'s mean."""
    rows = rows[np.isfinite(rows[list(METRICS)].to_numpy()).all(axis=1)]
    groups, spans = (
        rows.groupby(["run", "epoch"]),
        intervals(rows[metric], [rows["run"], rows["epoch"]], RANGES[metric]),
    )
    means = groups[list(METRICS)].mean()
    curves: pd.DataFrame = means.assign(seeds=groups.size(), low=spans["low"], high=spans["high"])
    return curves.reset_index().astype({"epoch": "int64"})
