"""What is worth knowing about a sweep, computed from frames: pure functions, frame in, frame out.

The best epoch of a run is the one with the lowest finite validation loss, and the best run is the one whose best
epoch has the lowest; a run that diverged, failed or has not begun is never ranked among the others.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Literal

import numpy as np
import pandas as pd

from fashion_sweep.analysis.collect import MEASURES
from fashion_sweep.analysis.settings import FACTORS, NONE, label
from fashion_sweep.run_dir import METRICS, Status

TRUSTED = (Status.COMPLETED, Status.RUNNING, Status.INTERRUPTED)
"""Runs whose metrics count, so far as they have any."""

TROUBLE = (Status.FAILED, Status.DIVERGED, Status.INTERRUPTED)
"""Runs that ended otherwise than they should have."""

_TIERS = [*TRUSTED, Status.DIVERGED, Status.FAILED, Status.PENDING]


def best_epochs(histories: pd.DataFrame) -> pd.DataFrame:
    """The row of each run with the lowest finite val_loss, the first of equals; none for a run without any."""
    finite = histories[np.isfinite(histories["val_loss"])].reset_index(drop=True)
    best: pd.DataFrame = finite.loc[finite.groupby("run", sort=False)["val_loss"].idxmin()]
    return best.reset_index(drop=True)


def summarize(runs: pd.DataFrame, histories: pd.DataFrame) -> pd.DataFrame:
    """The same runs with MEASURES from their histories.

    A run without a history, or with a part of one, keeps those of its record where that has any.
    """
    kept = runs.loc[runs["is_partial"] & runs["best_val_loss"].notna(), "run"]
    rows = histories[~histories["run"].isin(kept)].reset_index(drop=True)
    last = rows.loc[rows.groupby("run", sort=False)["epoch"].idxmax()].set_index("run")[list(METRICS)]
    best = best_epochs(rows).set_index("run")[["epoch", "val_loss", "val_accuracy"]]
    measured = best.add_prefix("best_").join(last.add_prefix("last_"), how="outer").reindex(columns=list(MEASURES))
    recorded = runs.set_index("run")[list(MEASURES)].astype("float64")
    measures = pd.concat([measured.astype("float64"), recorded.drop(index=measured.index)]).reindex(runs["run"])
    return runs.assign(**{name: measures[name].to_numpy() for name in MEASURES}).astype(runs.dtypes)


def is_ranked(table: pd.DataFrame) -> pd.Series[bool]:
    """Which runs have a best validation loss that counts."""
    trusted = table["status"].isin([status.value for status in TRUSTED])
    return trusted & table["best_val_loss"].between(-np.inf, np.inf, inclusive="neither")


def ranked(table: pd.DataFrame) -> pd.DataFrame:
    """The same rows best first; those without a rank follow by status, each kind in plan order."""
    tiers = {status.value: tier for tier, status in enumerate(_TIERS)}
    tier = table["status"].map(tiers).astype("int64").where(~is_ranked(table), -1)
    loss = table["best_val_loss"].where(is_ranked(table), 0.0)
    order = pd.DataFrame({"tier": tier, "loss": loss}).sort_values(["tier", "loss"], kind="stable").index
    return table.loc[order].reset_index(drop=True)


def best_run(table: pd.DataFrame) -> str | None:
    """Name of the best run; None where no run has a rank."""
    return str(ranked(table)["run"].iloc[0]) if is_ranked(table).any() else None


def in_trouble(table: pd.DataFrame) -> pd.DataFrame:
    """The runs that failed, diverged or were interrupted, in plan order."""
    return table[table["status"].isin([status.value for status in TROUBLE])].reset_index(drop=True)


def status_counts(table: pd.DataFrame) -> dict[str, int]:
    """Status -> number of runs, in the order in which statuses are declared; absent ones are left out."""
    counts = table["status"].value_counts()
    return {status.value: int(counts[status.value]) for status in Status if status.value in counts}


def begun(table: pd.DataFrame) -> pd.DataFrame:
    """The runs whose settings are known in full; all of them where none has begun."""
    known = table[table["status"] != Status.PENDING.value]
    return table if known.empty else known


def constant_factors(table: pd.DataFrame) -> dict[str, str]:
    """The columns of FACTORS with one value in all runs, and that value for people."""
    values = {name: levels(begun(table)[name]) for name in FACTORS}
    return {name: labels[0] for name, labels in values.items() if len(labels) == 1}


def levels(values: pd.Series) -> list[str]:
    """Labels of the distinct values: numbers ascending, text as it first appears, ``none`` last."""
    labels = {label(value): value for value in values}
    if all(isinstance(value, (int, float)) for name, value in labels.items() if name != NONE):
        return sorted(labels, key=lambda name: (name == NONE, labels[name]))
    return sorted(labels, key=lambda name: name == NONE)


def panel_factors(table: pd.DataFrame, swept: Sequence[str]) -> list[str]:
    """The columns that curves are split by: every swept one without a look of its own (colour, style, replicates).

    The learning rate splits only where one optimizer has several: default rates differ between optimizers.
    """
    known = begun(table)
    rates = known["learning_rate"].map(label).groupby(known["optimizer"].map(label)).nunique()
    candidates = ["model", *(["learning_rate"] if rates.gt(1).any() else []), *swept]
    return [name for name in candidates if len(levels(known[name])) > 1]


def run_labels(table: pd.DataFrame, swept: Sequence[str]) -> dict[str, str]:
    """Run -> what sets it apart, such as ``adam, dropout 0.3``; its name where nothing does."""
    varying = [name for name in ("optimizer", "dropout", "seed") if len(levels(begun(table)[name])) > 1]
    factors = [*panel_factors(table, swept), *varying]
    order = [name for name in (*FACTORS, *swept) if name in factors]
    return {row["run"]: describe(row, order) or row["run"] for row in table.to_dict("records")}


def describe(row: Mapping[Hashable, object], factors: Sequence[str]) -> str:
    """``adam, learning rate 0.1``: the values of some columns in words."""
    return ", ".join(_words(name, label(row[name])) for name in factors)


def inner_range(curves: pd.DataFrame, bad_end: Literal["low", "high"]) -> tuple[float, float]:
    """The lowest and the highest value, but for those far off at the bad end, which would stretch an axis.

    curves: columns run and value (finite), at least one row. Far off is judged by the run in the middle: from the best
    value, 30 times as far as that run's bad quartile for losses, and 5 times for accuracies, which have a floor.
    """
    values = curves["value"]
    low, high = float(values.min()), float(values.max())
    quartiles = curves.groupby("run")["value"].quantile(0.75 if bad_end == "high" else 0.25)
    typical = float(quartiles.quantile(0.5, interpolation="lower" if bad_end == "high" else "higher"))
    if bad_end == "high":
        return low, float(values[values <= low + 30 * max(typical - low, 0.1 * abs(typical))].max())
    return float(values[values >= high - 5 * max(high - typical, 0.05 * abs(typical))].min()), high


def _words(name: str, value: str) -> str:
    if name in ("model", "optimizer") and value != NONE:
        return value
    return f"{name.rpartition('.')[2].replace('_', ' ')} {value}"
