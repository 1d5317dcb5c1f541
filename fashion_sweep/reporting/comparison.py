"""Two sweeps compared, for people and for programs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from fashion_sweep.analysis.comparison import Comparison
from fashion_sweep.analysis.escaping import escape_markdown
from fashion_sweep.analysis.measure import Measure
from fashion_sweep.analysis.verdict import LEVEL
from fashion_sweep.reporting.table import csv_text
from fashion_sweep.reporting.verdict import p_text

HEADINGS = ("setting", "seeds", "before", "after", "difference", "95% interval", "change")


def failures(found: Comparison, percent: float) -> list[str]:
    """The settings that are worse by more than so many percent, have no result any more, or are gone; in words."""
    rows = found.settings[found.settings["percent_worse"] > percent].to_dict("records")
    return [*(f"{row['setting']}: {_change(row)}" for row in rows), *(f"{name}: gone" for name in found.only_before)]


def print_to(console: Console, found: Comparison, measure: Measure) -> None:
    """Print the settings that both sweeps have, those that one has alone, and what has changed."""
    if len(found.settings):
        console.print(_drawn(found.settings))
    for line in _lines(found, measure):
        console.print(escape(line), highlight=False, soft_wrap=True)


def markdown(found: Comparison, measure: Measure) -> str:
    """The same as a page."""
    rows = [HEADINGS, ["---"] * len(HEADINGS), *map(_cells, found.settings.to_dict("records"))]
    escaped = [[cell if place == 1 else escape_markdown(cell) for cell in row] for place, row in enumerate(rows)]
    table = "\n".join(f"| {' | '.join(row)} |" for row in escaped)
    parts = ["# Two sweeps compared", *([table] if len(found.settings) else [])]
    return "\n\n".join([*parts, *map(escape_markdown, _lines(found, measure))]) + "\n"


def csv(found: Comparison) -> str:
    """The settings with every digit."""
    return csv_text(found.settings)


def _lines(found: Comparison, measure: Measure) -> Iterator[str]:
    if len(found.settings):
        yield (
            f"Means over seeds of the {measure.noun} of each completed run{measure.where}. Differences are paired "
            "by the seeds that both sweeps have, with Student's t interval; p-values are corrected by Holm's "
            "method for all settings."
        )
    else:
        yield "The sweeps have no setting in common."
    for name in found.only_before:
        yield f"Only in the first: {name}"
    for name in found.only_after:
        yield f"Only in the second: {name}"
    for what, (before, after) in found.changes.items():
        yield f"Changed: {what}: {', '.join(before) or 'none'} -> {', '.join(after) or 'none'}"


def _drawn(settings: pd.DataFrame) -> Table:
    drawn = Table(box=None, header_style="bold", pad_edge=False, show_edge=False)
    for heading in HEADINGS:
        drawn.add_column(heading, overflow="fold")
    for row in settings.to_dict("records"):
        drawn.add_row(*map(escape, _cells(row)))
    return drawn


def _cells(row: Mapping[Any, Any]) -> list[str]:
    before, after, shared = (int(row[name]) for name in ("seeds_before", "seeds_after", "shared"))
    seeds = str(shared) if before == after == shared else f"{before} and {after}, {shared} shared"
    interval = "" if math.isnan(row["low"]) else f"{row['low']:+.4f} to {row['high']:+.4f}"
    means = (_number(row[name], "") for name in ("mean_before", "mean_after"))
    return [row["setting"], seeds, *means, _number(row["difference"], "+"), interval, _change(row)]


def _change(row: Mapping[Any, Any]) -> str:
    """``worse by 2.1%, p 0.01``; without the p-value ``one seed``, and with a large one ``no claim``."""
    percent, p_value = row["percent_worse"], row["p_value"]
    if math.isnan(percent):
        return "no result before"
    if math.isinf(percent) and not row["seeds_after"]:
        return "no result any more"
    if percent == 0:
        return "the same"
    size = f"{'worse' if percent > 0 else 'better'} by {abs(percent):.2g}%"
    if math.isnan(p_value):
        return f"{size}, too few seeds for a claim"
    return f"{size}, {'' if p_value < LEVEL else 'no claim, '}p {p_text(p_value)}"


def _number(value: float, sign: str) -> str:
    return "" if math.isnan(value) else f"{value:{sign}.4f}"
