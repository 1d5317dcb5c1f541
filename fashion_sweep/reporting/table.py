"""The table of a sweep, for programs (CSV), for people (Markdown) and for the terminal."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence

import pandas as pd

from fashion_sweep.analysis import replicates, summary
from fashion_sweep.analysis.columns import COUNTS, STATISTICS
from fashion_sweep.analysis.escaping import escape_formula
from fashion_sweep.analysis.load import AVERAGES, MEASURES
from fashion_sweep.analysis.measure import Measure
from fashion_sweep.analysis.settings import FACTORS, NONE, is_missing, label
from fashion_sweep.analysis.verdict import tied
from fashion_sweep.reporting import labels
from fashion_sweep.reporting.verdict import relation

SHOWN = 200
"""Rows of the tables of summary.md and the page; summary.csv and replicates.csv have all."""

NUMBERS = frozenset({*MEASURES, *AVERAGES, "parameters", "epochs_run", "seconds"})
"""Columns that hold numbers in every table."""

DECIMALS = dict.fromkeys([*(name for name in MEASURES if name != "best_epoch"), *AVERAGES], 4) | {"seconds": 1}
"""Of the numbers in tables for people."""

INTERVAL = "_95%_interval"


def columns(table: pd.DataFrame, swept: Sequence[str]) -> list[str]:
    """The columns of summary.csv."""
    averages = [name for name in AVERAGES if name in table]
    measures = [*MEASURES, *averages]
    sweep = ["sweep"] if "sweep" in table else []
    return ["run", "status", *sweep, *FACTORS, *swept, "parameters", "epochs_run", *measures, "seconds", "at_chance"]


def csv_text(table: pd.DataFrame) -> str:
    """CSV with every digit; empty where there is no finite number. Text that looks like a formula is escaped."""
    cells = {escape_formula(name): [_exact(value) for value in table[name]] for name in table}
    text: str = pd.DataFrame(cells, dtype=object).to_csv(index=False, lineterminator="\n")
    return text


def cell(name: str, value: object) -> str:
    """One cell for people: metrics with 4 decimals, seconds with 1, empty without a value."""
    if is_missing(value):
        return ""
    return f"{float(str(value)):.{DECIMALS[name]}f}" if name in DECIMALS else label(value)


def informative(table: pd.DataFrame, swept: Sequence[str]) -> list[str]:
    """The columns for people: without those factors that are the same in all runs, and what ``presented`` says."""
    constant = labels.constant_factors(table) if len(table) > 1 else {}
    return [name for name in columns(table, swept) if name not in (*constant, "at_chance")]


def informative_name_last(table: pd.DataFrame, swept: Sequence[str]) -> list[str]:
    """The same, with the runs' long names last."""
    return [*(name for name in informative(table, swept) if name != "run"), "run"]


def sentence(table: pd.DataFrame) -> str:
    """``6 runs: 5 completed, 1 failed.``"""
    counts = ", ".join(f"{count} {status}" for status, count in summary.status_counts(table).items())
    return f"{len(table)} run{'' if len(table) == 1 else 's'}{': ' * bool(counts)}{counts}."


def constants_sentence(table: pd.DataFrame) -> str:
    """``The same in all runs: model mlp, seed 0.``; empty where no factor is."""
    constant = labels.constant_factors(table) if len(table) > 1 else {}
    parts = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in constant.items() if value != NONE)
    return f"The same in all runs: {parts}." if parts else ""


def for_people(settings: pd.DataFrame, table: pd.DataFrame, swept: Sequence[str], measure: Measure) -> pd.DataFrame:
    """The rows of ``replicates`` as texts, their columns named for people.

    What differs, seeds, mean ± sd, interval, how the setting compares with the best, and what was left out.
    """
    constant = labels.constant_factors(table)
    varying = [name for name in replicates.factors(swept) if name not in constant]
    texts = {name: settings[name].map(label) for name in (*varying, "seeds")}
    for name in measure.columns:
        mean, sd, low, high = (settings[f"{name}_{what}"].map(_decimals).astype(str) for what in STATISTICS)
        texts[name] = mean + sd.map(lambda text: text and f" ± {text}")
        texts[f"{name}{INTERVAL}"] = low.where(low == "", low + " to " + high)
    if len(settings) > 1:
        rows = [row for _, row in settings.iterrows()]
        texts["against_the_best"] = pd.Series(
            ["", *(relation(row, measure) for row in rows[1:])], index=settings.index, dtype=object
        )
    left_out = pd.Series([_left_out(row) for row in settings.to_dict("records")], index=settings.index, dtype=object)
    return pd.DataFrame(texts | ({"left_out": left_out} if left_out.any() else {}))


def among_the_best(settings: pd.DataFrame, measure: Measure) -> list[bool]:
    """Which rows of ``replicates`` are marked: the first, and those that cannot be told from it."""
    return [place == 0 or is_tied for place, is_tied in enumerate(tied(settings, measure))]


def settings_caption(settings: pd.DataFrame, measure: Measure) -> str:
    """The caption of the table of settings."""
    cut = f" The best {SHOWN} of {len(settings)} settings: replicates.csv has all." if len(settings) > SHOWN else ""
    return (
        f"Mean ± standard deviation over the seeds of completed runs, each{measure.where}, and the 95% interval of "
        f"the mean over seeds (Student's t).{cut}"
    )


def best_marked(table: pd.DataFrame, settings: pd.DataFrame) -> str | None:
    """The run that tables mark as the best; None if settings have several seeds, as it may just have a lucky one."""
    return summary.best_run(table) if settings.empty else None


def presented(table: pd.DataFrame) -> pd.DataFrame:
    """The rows for people, best first; the status says if a run's history is partial, or its accuracy at chance."""
    status = table["status"].where(~table["is_partial"], table["status"] + ", history partial")
    status = status.where(~table["at_chance"].eq(True), status + ", at chance")
    return summary.ranked(table).assign(status=summary.ranked(table.assign(shown=status))["shown"])


def _left_out(row: Mapping[Hashable, object]) -> str:
    """``1 failed, 2 pending``."""
    counts = [(name, int(str(row[name]))) for name in COUNTS[1:]]
    return ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in counts if count)


def _decimals(value: float) -> str:
    return f"{value:.4f}" if math.isfinite(value) else ""


def _exact(value: object) -> object:
    return None if isinstance(value, float) and not math.isfinite(value) else escape_formula(value)
