"""Refuses names that are not UTF-8: configs, records and reports could not be written with them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from fashion_sweep.errors import UserError


def check_names(arguments: Sequence[str] | None = None) -> None:
    """Raise UserError if the current folder or an argument is not UTF-8. arguments: those of this process if None."""
    given = sys.argv[1:] if arguments is None else arguments
    for what, text in [("current folder", _current_folder()), *(("argument", each) for each in given)]:
        shown = text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
        if shown != text:
            raise UserError(f"the {what} {shown} is not UTF-8; give it a name in UTF-8 (or of plain letters)")


def _current_folder() -> str:
    try:
        return str(Path.cwd())
    except FileNotFoundError as error:
        raise UserError("the current folder is gone; change to another one") from error
