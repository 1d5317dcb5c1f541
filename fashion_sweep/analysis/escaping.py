"""Text that is safe to show: without control characters, and without formulas where a spreadsheet reads it."""

from __future__ import annotations

import re
import unicodedata


def clean(text: str) -> str:
    """One line of text that any terminal, file and font takes: control characters become blanks.

    So do those that turn the direction of writing, with which a text can look like another one.
    """
    if text.isprintable():
        return text.strip()
    encodable = text.encode("utf-8", "replace").decode("utf-8")
    return "".join(" " if _is_control(char) else char for char in encodable).strip()


def _is_control(char: str) -> bool:
    turns = ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")
    return unicodedata.category(char) in ("Cc", "Zl", "Zp") or unicodedata.bidirectional(char) in turns


FORMULAS = tuple(
    "=+-@\N{FULLWIDTH EQUALS SIGN}\N{FULLWIDTH PLUS SIGN}\N{FULLWIDTH HYPHEN-MINUS}\N{FULLWIDTH COMMERCIAL AT}"
)
"""What a formula begins with; spreadsheets in some languages take the wide forms too."""


def guarded(value: object) -> object:
    """Text that a spreadsheet would take for a formula, led by an apostrophe; anything else as it is."""
    is_formula = isinstance(value, str) and (value.lstrip().startswith(FORMULAS) or value.startswith(("\t", "\r")))
    return f"'{value}" if is_formula else value


def _literal(text: object) -> str:
    """Text that Markdown shows as it is."""
    return re.sub(r"([\\`*_{}\[\]<>#|~$&])", r"\\\1", str(text))
