"""The summary as Markdown."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence

import pandas as pd

from fashion_sweep.analysis import summary
from fashion_sweep.analysis.escaping import escape_markdown
from fashion_sweep.analysis.load import Collected
from fashion_sweep.reporting.section import Section
from fashion_sweep.reporting.table import (
    NUMBERS,
    SHOWN,
    best_marked,
    cell,
    constants_sentence,
    for_people,
    informative_name_last,
    presented,
    sentence,
    settings_caption,
)
from fashion_sweep.reporting.verdict import verdict


def markdown(
    table: pd.DataFrame,
    settings: pd.DataFrame,
    collected: Collected,
    warnings: Sequence[str],
    written: str,
    *,
    sections: Sequence[Section] = (),
) -> str:
    """The page: commands, outcome and date, tables with the best first, then sections, failed runs and warnings."""
    failures = [_failure(row) for row in summary.incomplete(table).to_dict("records")]
    facts = [verdict(table, settings, collected.swept, collected.measure), constants_sentence(table)]
    parts = [
        "# Sweep report",
        *(f"    {command}" for command in collected.commands),
        f"{sentence(table)} Written {written}.",
        *(escape_markdown(fact) for fact in facts if fact),
        *_markdown_settings(table, settings, collected),
        "\n".join(_markdown_rows(table, informative_name_last(table, collected.swept), best_marked(table, settings))),
        *([f"The best {SHOWN} of {len(table)} runs: summary.csv has all."] if len(table) > SHOWN else []),
        *(part for section in sections for part in _section(section)),
        *(["## Runs that did not complete", "\n".join(failures)] if failures else []),
        *(["## Warnings", "\n".join(f"- {escape_markdown(text)}" for text in warnings)] if warnings else []),
    ]
    return "\n\n".join(parts) + "\n"


def _failure(row: Mapping[Hashable, object]) -> str:
    reason = escape_markdown(row["reason"] or "No reason was recorded.")
    return f"- {escape_markdown(row['run'])}: {row['status']}. {reason}"


def _markdown_settings(table: pd.DataFrame, settings: pd.DataFrame, collected: Collected) -> list[str]:
    """The table of settings with its heading, and the heading of the runs; nothing without replicates."""
    if settings.empty:
        return []
    texts = for_people(settings.head(SHOWN), table, collected.swept, collected.measure)
    caption = settings_caption(settings, collected.measure)
    return ["## Settings, best first", caption, _texts(texts), "## Runs, best first"]


def _section(section: Section) -> list[str]:
    return [f"## {section.title}", escape_markdown(" ".join(section.sentences)), *map(_texts, section.tables)]


def _texts(texts: pd.DataFrame) -> str:
    """A table of texts."""
    heading, rules = [escape_markdown(str(name).replace("_", " ")) for name in texts], ["---"] * texts.shape[1]
    rows = [[escape_markdown(text) for text in row] for row in texts.itertuples(index=False)]
    return "\n".join(_row(cells) for cells in (heading, rules, *rows))


def _markdown_rows(table: pd.DataFrame, names: Sequence[str], best: str | None) -> list[str]:
    rules = ["---:" if name in NUMBERS else "---" for name in names]
    rows = [
        _cells(row, names, "**" if row["run"] == best else "")
        for row in presented(table).head(SHOWN).to_dict("records")
    ]
    return [_row(cells) for cells in ([escape_markdown(name.replace("_", " ")) for name in names], rules, *rows)]


def _cells(row: Mapping[object, object], names: Sequence[str], mark: str) -> list[str]:
    texts = (escape_markdown(cell(name, row[name])) for name in names)
    return [f"{mark}{text}{mark}" if text else "" for text in texts]


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
