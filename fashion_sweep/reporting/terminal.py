"""The summary on a terminal, fitted to its width."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from fashion_sweep.analysis import summary
from fashion_sweep.analysis.load import AVERAGES, MEASURES
from fashion_sweep.analysis.measure import Measure
from fashion_sweep.reporting.table import (
    INTERVAL,
    NUMBERS,
    SHOWN,
    among_the_best,
    best_marked,
    cell,
    for_people,
    informative,
    presented,
    settings_caption,
)

BEST_SHOWN = 30
"""Rows of the terminal's table."""

LEAST_NEEDED = ("run", "parameters", "last_accuracy", "last_loss", "seconds", "last_val_accuracy", "last_val_loss")
"""Columns that are dropped on a narrow terminal, in this order."""


def print_to(
    console: Console, table: pd.DataFrame, settings: pd.DataFrame, swept: Sequence[str], measure: Measure
) -> None:
    """Print the best BEST_SHOWN settings and runs, then every run that did not complete, with its reason."""
    if not settings.empty:
        texts = for_people(settings.head(BEST_SHOWN), table, swept, measure)
        marked = among_the_best(settings.head(BEST_SHOWN), measure)
        console.print(_rich_settings(_fitting_settings(texts, measure, console.width), marked))
        console.print(settings_caption(settings.head(SHOWN), measure), style="dim", highlight=False)
        if len(settings) > BEST_SHOWN:
            console.print(f"{len(settings) - BEST_SHOWN} more in replicates.csv")
        console.print()
    shown = presented(table).head(BEST_SHOWN)
    names = _fitting(shown, informative(table, swept), console.width)
    console.print(_rich_table(shown, names, best_marked(table, settings)))
    if (more := len(table) - len(shown)) > 0:
        console.print(f"{more} more in summary.csv")
    for row in summary.incomplete(table).to_dict("records"):
        reason = escape(str(row["reason"] or "no reason was recorded"))
        console.print(
            f"[red]{row['status']}[/red] {escape(str(row['run']))}: {reason}", highlight=False, soft_wrap=True
        )


def _fitting_settings(texts: pd.DataFrame, measure: Measure, width: int) -> pd.DataFrame:
    """Without the columns that are needed least, where all do not fit into ``width`` characters."""
    for name in (f"{measure.other}{INTERVAL}", f"{measure.column}{INTERVAL}", "left_out", measure.other):
        if name in texts and _texts_width(texts) > width:
            texts = texts.drop(columns=name)
    return texts


def _rich_settings(texts: pd.DataFrame, marked: Sequence[bool]) -> Table:
    drawn = Table(box=None, header_style="bold", pad_edge=False, show_edge=False)
    for name in map(str, texts):
        drawn.add_column(escape(_heading(name)), vertical="bottom")
    for row, is_marked in zip(texts.itertuples(index=False), marked, strict=True):
        drawn.add_row(*map(escape, row), style="bold green" if is_marked else None)
    return drawn


def _rich_table(rows: pd.DataFrame, names: Sequence[str], best: str | None) -> Table:
    drawn = Table(box=None, header_style="bold", pad_edge=False, show_edge=False)
    for name in names:
        drawn.add_column(escape(_heading(name)), justify="right" if name in NUMBERS else "left", vertical="bottom")
    for row in rows.to_dict("records"):
        texts = (escape(cell(name, row[name])) for name in names)
        drawn.add_row(*texts, style="bold green" if row["run"] == best else None)
    return drawn


def _heading(name: str) -> str:
    """A column's name at the terminal, where the table must be narrow."""
    is_ours = name.removesuffix(INTERVAL) in (*MEASURES, *AVERAGES, "epochs_run", "against_the_best", "left_out")
    return name.replace("_", "\n") if is_ours else name.rpartition(".")[2]


def _fitting(rows: pd.DataFrame, names: Sequence[str], width: int) -> list[str]:
    """As many columns as fit into ``width`` characters; the run's name is kept if settings do not identify runs."""
    fitting = list(names)
    settings = [name for name in names if name not in ("run", "status", *NUMBERS)]
    is_identified = bool(settings) and not rows[settings].astype(str).duplicated().any()
    for name in LEAST_NEEDED:
        if _width(rows, fitting) > width and name in fitting and (name != "run" or is_identified):
            fitting.remove(name)
    return fitting


def _width(rows: pd.DataFrame, names: Sequence[str]) -> int:
    return _texts_width(
        pd.DataFrame({name: [cell(name, value) for value in rows[name]] for name in names}, dtype=object)
    )


def _texts_width(texts: pd.DataFrame) -> int:
    """Of a table with these cells."""
    columns = [[*_heading(str(name)).split("\n"), *texts[name]] for name in texts]
    return sum(max(map(len, column)) + 2 for column in columns)
