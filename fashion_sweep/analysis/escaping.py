"""Escapes text for spreadsheets, Markdown and LaTeX."""

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


_LATEX = str.maketrans(
    {character: f"\\{character}" for character in "&%$#_{}"}
    | {
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "\\": r"\textbackslash{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
        '"': r"\textquotedbl{}",
        "`": r"\textasciigrave{}",
        "[": "{[}",  # an argument of the line before
        "]": "{]}",
        "*": "{*}",
        "±": r"$\pm$",
        "…": r"\dots{}",
    }
)


def escape_latex(text: object) -> str:
    """Escape text so that LaTeX shows it literally, in a table as well."""
    return " ".join(str(text).split()).translate(_LATEX).replace("--", "-{}-").replace("--", "-{}-")  # no dashes
