"""Statistics over replicates: the mean result of each setting, and how certain it is.

Pure functions, frame in, frame out. A setting is given by FACTORS and the swept keys, without the seed. Only completed
runs count, each seed once: an unfinished run cannot be compared with finished ones.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from fashion_sweep.analysis.settings import FACTORS, label
from fashion_sweep.analysis.statistics import LEVEL, interval
from fashion_sweep.analysis.summary import TRUSTED, is_ranked, summarize
from fashion_sweep.storage.record import METRICS, Status

AVERAGED = ("best_val_loss", "best_val_accuracy")

STATISTICS = ("mean", "sd", "low", "high")
"""Statistics of each of AVERAGED: mean, standard deviation (n - 1), and the ends of the mean's interval."""

COUNTS = ("seeds", "left_out")
"""Seeds included, and runs left out: failed, diverged, unfinished, or of a seed that is already included."""


def factors(swept: Sequence[str]) -> list[str]:
    """The columns that define a setting."""
    return [name for name in (*FACTORS, *swept) if name != "seed"]


def settings_of(table: pd.DataFrame, swept: Sequence[str]) -> pd.Series[int]:
    """The number of each run's setting, from 0 in the order of the table."""
    labels = pd.DataFrame({name: table[name].map(label) for name in factors(swept)})
    return labels.groupby(list(labels), sort=False).ngroup()


def replicates(table: pd.DataFrame, swept: Sequence[str]) -> pd.DataFrame:
    """One row per setting, best mean validation loss first; no rows if no setting has two seeds.

    Columns: run (the setting's first), ``factors``, COUNTS, and AVERAGED with STATISTICS, such as best_val_loss_mean.
    Settings with a single seed come last, because one seed may just be lucky.
    """
    started = table[table["status"] != Status.PENDING.value].reset_index(drop=True)
    setting = settings_of(started, swept)
    counts = is_ranked(started) & started["status"].eq(Status.COMPLETED.value)
    counted = started[counts].assign(setting=setting[counts]).drop_duplicates(["setting", "seed"])
    if not counted["setting"].duplicated().any():
        counted = counted.iloc[:0]
    found = [_row(runs, int(setting.eq(number).sum()), swept) for number, runs in counted.groupby("setting")]
    columns = ["run", *factors(swept), *COUNTS, *(f"{name}_{what}" for name in AVERAGED for what in STATISTICS)]
    frame = pd.DataFrame(found, columns=columns)
    return (
        frame.assign(one=frame["seeds"].eq(1))
        .sort_values(["one", "best_val_loss_mean"], kind="stable")[columns]
        .reset_index(drop=True)
    )


def _row(runs: pd.DataFrame, total: int, swept: Sequence[str]) -> dict[str, object]:
    """A setting's row. runs: those included; total: how many the setting has."""
    first = runs.iloc[0]
    setting = {name: first[name] for name in ("run", *factors(swept))} | {
        "seeds": len(runs),
        "left_out": total - len(runs),
    }
    return setting | {
        f"{name}_{what}": value
        for name in AVERAGED
        for what, value in zip(STATISTICS, interval(runs[name].astype("float64")), strict=True)
    }


def over_seeds(
    table: pd.DataFrame, histories: pd.DataFrame, swept: Sequence[str], metric: str
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Average the frames over seeds: one row per setting, and one per setting and epoch.

    Metrics become means over the seeds that reached the epoch, and MEASURES are those of the mean curve. Failed and
    diverged runs are left out if their setting has others. A setting has the name of its first run, and no seed.
    New columns: ``runs`` of the table is the number of runs averaged; ``low`` and ``high`` of the histories are the
    ends of the interval of ``metric``'s mean, NaN for a single seed.
    """
    rows = table[table["run"].isin(histories["run"])]
    setting = settings_of(rows, swept)
    trusted = rows["status"].isin([status.value for status in TRUSTED])
    rows = rows[trusted | ~trusted.groupby(setting).transform("any")]
    first = rows.groupby(setting[rows.index])["run"].transform("first")
    if first.nunique() == len(rows):
        return rows.assign(runs=1), histories.assign(low=np.nan, high=np.nan)
    representative = dict(zip(rows["run"], first, strict=True))
    means = _mean_curves(
        histories[histories["run"].isin(rows["run"])].assign(run=lambda frame: frame["run"].map(representative)), metric
    )
    alone = rows[rows["run"] == first].assign(runs=first.map(first.value_counts()), seed=None, is_partial=False)
    return summarize(alone, means), means


def _mean_curves(rows: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Mean metrics by run and epoch, and the interval of ``metric``'s mean."""
    groups = rows[np.isfinite(rows[list(METRICS)].to_numpy()).all(axis=1)].groupby(["run", "epoch"], sort=False)
    count, sd = groups[metric].count(), groups[metric].std()
    means = groups[list(METRICS)].mean()
    half = stdtrit(count.clip(2) - 1, (1 + LEVEL) / 2) * sd / count**0.5
    curves: pd.DataFrame = means.assign(low=means[metric] - half, high=means[metric] + half)
    return curves.reset_index().astype({"epoch": "int64"})
