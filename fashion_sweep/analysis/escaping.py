"""Escapes text for spreadsheets and Markdown."""

from __future__ import annotations

import re

FORMULAS = tuple(
    "=+-@\N{FULLWIDTH EQUALS SIGN}\N{FULLWIDTH PLUS SIGN}\N{FULLWIDTH HYPHEN-MINUS}\N{FULLWIDTH COMMERCIAL AT}"
)
"""Characters that start a formula; some spreadsheets accept the full-width forms, too."""


def escape_formula(value: object) -> object:
    """Prefix text that a spreadsheet would evaluate as a formula with an apostrophe; return anything else unchanged."""
    is_formula = isinstance(value, str) and (value.lstrip().startswith(FORMULAS) or value.startswith(("\t", "\r")))
    return f"'{value}" if is_formula else value


def escape_markdown(text: object) -> str:
    """Escape text so that Markdown shows it literally."""
    return re.sub(r"([\\`*_{}\[\]<>#|~$&])", r"\\\1", str(text))
