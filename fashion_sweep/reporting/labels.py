"""Labels of runs and settings in figures and tables, without what is the same for all."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Literal

import pandas as pd

from fashion_sweep.analysis.settings import FACTORS, NONE, label, levels
from fashion_sweep.analysis.summary import started


def constant_factors(table: pd.DataFrame) -> dict[str, str]:
    """The columns of FACTORS with one value in all runs, and that value for people."""
    values = {name: levels(started(table)[name]) for name in FACTORS}
    return {name: labels[0] for name, labels in values.items() if len(labels) == 1}


def panel_factors(table: pd.DataFrame, swept: Sequence[str]) -> list[str]:
    """The columns that curves are split by: every swept one except those shown by colour, line style or replicates.

    The learning rate splits only where one optimizer has several: default rates differ between optimizers.
    """
    known = started(table)
    rates = known["learning_rate"].map(label).groupby(known["optimizer"].map(label)).nunique()
    candidates = ["model", *(["learning_rate"] if rates.gt(1).any() else []), *swept]
    return [name for name in candidates if len(levels(known[name])) > 1]


def run_labels(table: pd.DataFrame, swept: Sequence[str]) -> dict[str, str]:
    """Run -> what sets it apart, such as ``adam, dropout 0.3``; its name if nothing does."""
    order = telling_factors(table, swept)
    return {row["run"]: describe(row, order) or row["run"] for row in table.to_dict("records")}


def setting_names(settings: pd.DataFrame, table: pd.DataFrame, swept: Sequence[str]) -> list[str]:
    """What sets each row of ``replicates`` apart, such as ``adam, dropout 0.3``; empty for a setting without others."""
    factors = [name for name in telling_factors(table, swept) if name != "seed"]
    return [describe(row, factors) for row in settings.to_dict("records")]


def telling_factors(table: pd.DataFrame, swept: Sequence[str]) -> list[str]:
    """The columns that set runs apart, in the order of tables."""
    varying = [name for name in ("optimizer", "dropout", "seed") if len(levels(started(table)[name])) > 1]
    factors = [*panel_factors(table, swept), *varying]
    return [name for name in (*FACTORS, *swept) if name in factors]


def describe(row: Mapping[Hashable, object], factors: Sequence[str]) -> str:
    """``adam, learning rate 0.1``: the values of some columns in words."""
    return ", ".join(_words(name, label(row[name])) for name in factors)


def inner_range(curves: pd.DataFrame, bad_end: Literal["low", "high"]) -> tuple[float, float]:
    """The range of the values without outliers at the bad end, which would stretch an axis.

    curves: columns run and value (finite), at least one row. An outlier is further from the best value than 30 times
    the distance of the median run's worse quartile for losses, and 5 times for accuracies, which have a floor.
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
