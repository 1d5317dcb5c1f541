"""A part of a report besides its tables of runs and settings, and how its texts are written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

ROWS = 15
"""Rows of a section's table; its file has all."""


@dataclass(frozen=True)
class Section:
    """Sentences and tables, as texts for people; files: name -> frame with every row and digit."""

    title: str
    sentences: Sequence[str]
    tables: Sequence[pd.DataFrame] = ()
    files: Mapping[str, pd.DataFrame] = field(default_factory=dict)


def listed(names: Sequence[str]) -> str:
    """``a, b and c``."""
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def spoken(term: object) -> str:
    """The name of a column, for people."""
    return str(term).replace("_", " ")


def text(value: object) -> str:
    """Empty without a value."""
    return "" if pd.isna(value) else str(value)  # type: ignore[call-overload]


def decimals(value: float) -> str:
    """``0.1234``; empty without a value."""
    return "" if pd.isna(value) else f"{value:.4f}"


def percent(value: float) -> str:
    """``12.3%``; empty without a value."""
    return "" if pd.isna(value) else f"{value:.1%}"


def bounds(frame: pd.DataFrame) -> pd.Series[str]:
    """``0.1000 to 0.2000``, of the columns low and high; empty without an interval."""
    found = frame["low"].map(decimals) + " to " + frame["high"].map(decimals)
    return found.where(frame["low"].notna(), "")
