"""The summary as Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from fashion_sweep.analysis import replicates, summary
from fashion_sweep.analysis.escaping import _literal
from fashion_sweep.analysis.load import Collected
from fashion_sweep.reporting.table import (
    NUMBERS,
    SHOWN,
    best_marked,
    best_sentence,
    cell,
    constants_sentence,
    for_people,
    informative_name_last,
    presented,
    sentence,
    settings_caption,
)


def markdown(table: pd.DataFrame, collected: Collected, warnings: Sequence[str], written: str) -> str:
    """The table best first, under what was run, what came of it and when it was written; then what went wrong."""
    troubled = [
        f"- {_literal(row['run'])}: {row['status']}. {_literal(row['reason'] or 'No reason was recorded.')}"
        for row in summary.incomplete(table).to_dict("records")
    ]
    facts = [best_sentence(table, collected.swept), constants_sentence(table)]
    parts = [
        "# Sweep report",
        *(f"    {command}" for command in collected.commands),
        f"{sentence(table)} Written {written}.",
        *(_literal(fact) for fact in facts if fact),
        *_markdown_settings(table, collected.swept),
        "\n".join(
            _markdown_rows(table, informative_name_last(table, collected.swept), best_marked(table, collected.swept))
        ),
        *([f"The best {SHOWN} of {len(table)} runs: summary.csv has all."] if len(table) > SHOWN else []),
        *(["## Runs that did not complete", "\n".join(troubled)] if troubled else []),
        *(["## Warnings", "\n".join(f"- {_literal(text)}" for text in warnings)] if warnings else []),
    ]
    return "\n\n".join(parts) + "\n"


def _markdown_settings(table: pd.DataFrame, swept: Sequence[str]) -> list[str]:
    """The table of settings under its heading, and the heading of the runs; nothing where there are no replicates."""
    settings = replicates.replicates(table, swept)
    if settings.empty:
        return []
    texts = for_people(settings.head(SHOWN), table, swept)
    heading, rules = [_literal(str(name).replace("_", " ")) for name in texts], ["---"] * texts.shape[1]
    rows = [[_literal(text) for text in row] for row in texts.itertuples(index=False)]
    lines = [_row(cells) for cells in (heading, rules, *rows)]
    return ["## Settings, best first", settings_caption(settings), "\n".join(lines), "## Runs, best first"]


def _markdown_rows(table: pd.DataFrame, names: Sequence[str], best: str | None) -> list[str]:
    rules = ["---:" if name in NUMBERS else "---" for name in names]
    rows = [
        _cells(row, names, "**" if row["run"] == best else "")
        for row in presented(table).head(SHOWN).to_dict("records")
    ]
    return [_row(cells) for cells in ([_literal(name.replace("_", " ")) for name in names], rules, *rows)]


def _cells(row: Mapping[object, object], names: Sequence[str], mark: str) -> list[str]:
    texts = (_literal(cell(name, row[name])) for name in names)
    return [f"{mark}{text}{mark}" if text else "" for text in texts]


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
