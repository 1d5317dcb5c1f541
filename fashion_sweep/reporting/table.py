"""The table of a sweep, for programs (CSV), for people (Markdown) and for the terminal."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence

import pandas as pd

from fashion_sweep.analysis import replicates, summary
from fashion_sweep.analysis.escaping import escape_formula
from fashion_sweep.analysis.load import MEASURES
from fashion_sweep.analysis.settings import FACTORS, NONE, label
from fashion_sweep.reporting import labels

SHOWN = 200
"""Rows of the tables of summary.md and the page; summary.csv and replicates.csv have all."""

NUMBERS = frozenset({*MEASURES, "parameters", "epochs_run", "seconds"})
"""Columns that hold numbers in every table."""

INTERVAL = "95%_interval"
_INTERVALS = tuple(f"{name}_{INTERVAL}" for name in replicates.AVERAGED)


def columns(swept: Sequence[str]) -> list[str]:
    """The columns of summary.csv."""
    return ["run", "status", *FACTORS, *swept, "parameters", "epochs_run", *MEASURES, "seconds"]


def csv_text(table: pd.DataFrame) -> str:
    """CSV with every digit; empty where there is no finite number. Text that looks like a formula is escaped."""
    cells = {escape_formula(name): [_exact(value) for value in table[name]] for name in table}
    text: str = pd.DataFrame(cells, dtype=object).to_csv(index=False, lineterminator="\n")
    return text


def cell(name: str, value: object) -> str:
    """One cell for people: metrics with 4 decimals, seconds with 1, empty without a value."""
    text = label(value)
    if text == NONE:
        return ""
    if name in MEASURES and name != "best_epoch":
        return f"{float(str(value)):.4f}"
    return f"{float(str(value)):.1f}" if name == "seconds" else text


def informative(table: pd.DataFrame, swept: Sequence[str]) -> list[str]:
    """The columns without those factors that are the same in all runs."""
    constant = labels.constant_factors(table) if len(table) > 1 else {}
    return [name for name in columns(swept) if name not in constant]


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


def best_sentence(table: pd.DataFrame, swept: Sequence[str]) -> str:
    """``Best: adam, dropout 0.3, with validation loss ...``; empty where no run has a rank.

    Where settings have several seeds it is the one with the best mean, not the luckiest run.
    """
    if not (settings := replicates.replicates(table, swept)).empty:
        return _best_setting(for_people(settings, table, swept).to_dict("records")[0], int(settings["seeds"].iloc[0]))
    if (best := summary.best_run(table)) is None:
        return ""
    row = table[table["run"] == best].to_dict("records")[0]
    loss, accuracy = cell("best_val_loss", row["best_val_loss"]), cell("best_val_accuracy", row["best_val_accuracy"])
    what = labels.run_labels(table, swept)[best]
    epoch = cell("best_epoch", row["best_epoch"])
    when = f" in epoch {epoch}" if epoch else ""
    return f"Best: {what}, with validation loss {loss} and accuracy {accuracy or 'unknown'}{when}."


def for_people(settings: pd.DataFrame, table: pd.DataFrame, swept: Sequence[str]) -> pd.DataFrame:
    """The rows of ``replicates`` as texts, their columns named for people: what differs, seeds, mean ± sd, interval."""
    constant = labels.constant_factors(table)
    varying = [name for name in replicates.factors(swept) if name not in constant]
    counts = ["seeds", *(["left_out"] if settings["left_out"].any() else [])]
    texts = {name: settings[name].map(label) for name in (*varying, *counts)}
    for name in replicates.AVERAGED:
        mean, sd, low, high = (settings[f"{name}_{what}"].map(_decimals).astype(str) for what in replicates.STATISTICS)
        texts[name] = mean + sd.map(lambda text: text and f" ± {text}")
        texts[f"{name}_{INTERVAL}"] = low.where(low == "", low + " to " + high)
    return pd.DataFrame(texts)


def settings_caption(settings: pd.DataFrame) -> str:
    """The caption of the table of settings."""
    left_out = " Runs that failed, diverged or have not finished are left out." if settings["left_out"].any() else ""
    cut = f" The best {SHOWN} of {len(settings)} settings: replicates.csv has all." if len(settings) > SHOWN else ""
    return (
        "Mean ± standard deviation over the seeds, each at its best epoch, and the 95% interval of the mean "
        f"(Student's t).{left_out}{cut}"
    )


def best_marked(table: pd.DataFrame, swept: Sequence[str]) -> str | None:
    """The run that tables mark as the best; None if settings have several seeds, as it may just have a lucky one."""
    return summary.best_run(table) if replicates.replicates(table, swept).empty else None


def presented(table: pd.DataFrame) -> pd.DataFrame:
    """The rows for people, best first; the status says if a run's history is partial."""
    status = table["status"].where(~table["is_partial"], table["status"] + ", history partial")
    return summary.ranked(table).assign(status=summary.ranked(table.assign(shown=status))["shown"])


def _best_setting(row: Mapping[Hashable, str], seeds: int) -> str:
    others = {*replicates.COUNTS, *MEASURES, *_INTERVALS}
    what = labels.describe(row, [str(name) for name in row if name not in others])
    loss, accuracy = row["best_val_loss"], row["best_val_accuracy"] or "unknown"
    if seeds == 1:
        return f"Best: {what}, with validation loss {loss} and accuracy {accuracy} of one seed."
    return (
        f"Best: {what or 'the one setting'}, with mean validation loss {loss} "
        f"(95% interval {row[f'best_val_loss_{INTERVAL}']}) and accuracy {accuracy} over {seeds} seeds."
    )


def _decimals(value: float) -> str:
    return f"{value:.4f}" if math.isfinite(value) else ""


def _exact(value: object) -> object:
    return None if isinstance(value, float) and not math.isfinite(value) else escape_formula(value)
