"""Results at a glance, at a prompt and in a notebook."""

from __future__ import annotations

import html as escaping
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

SHOWN = 10
"""Settings, incomplete runs and warnings that are shown; more are counted."""


@dataclass(frozen=True)
class Page:
    """head: how many runs, and where; settings: texts for people, best first; more: settings beyond these.

    incomplete: a line for each run that failed, diverged or was interrupted.
    """

    head: str
    verdict: str
    settings: pd.DataFrame
    more: int
    incomplete: Sequence[str]
    warnings: Sequence[str]


def text(page: Page) -> str:
    """Several lines."""
    table = "" if page.settings.empty else _titled(page.settings).to_string(index=False)
    return "\n".join(filter(None, [page.head, page.verdict, table, *_notes(page)]))


def html(page: Page) -> str:
    """A fragment; everything in it is escaped."""
    table = "" if page.settings.empty else _titled(page.settings).to_html(index=False, border=0)
    paragraphs = [f"<p>{escaping.escape(line)}</p>" for line in (page.head, page.verdict) if line]
    return "\n".join([*paragraphs, table, *(f"<p>{escaping.escape(line)}</p>" for line in _notes(page))])


def _titled(settings: pd.DataFrame) -> pd.DataFrame:
    """Without columns of which nothing is known."""
    return pd.DataFrame({str(name).replace("_", " "): cells for name, cells in settings.items() if any(cells)})


def _notes(page: Page) -> list[str]:
    more = [f"{page.more} more: .settings has all."] if page.more else []
    warnings = [f"Warning: {line}" for line in page.warnings]
    return [*more, *_some(page.incomplete, "runs did not complete: .runs"), *_some(warnings, "warnings: .warnings")]


def _some(lines: Sequence[str], what: str) -> list[str]:
    """The first lines, and how many more there are."""
    return [*lines[:SHOWN], *([f"{len(lines) - SHOWN} more {what} has all."] if len(lines) > SHOWN else [])]
