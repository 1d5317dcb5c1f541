"""Makes text that comes from files safe to show on a terminal."""

from __future__ import annotations

import unicodedata


def clean(text: str) -> str:
    """One line of text that is safe in any terminal, file and font: control characters become blanks.

    So do other characters that nobody sees, such as bidirectional controls: they can make one text look like another.
    """
    if text.isprintable():
        return text.strip()
    encodable = text.encode("utf-8", "replace").decode("utf-8")
    return "".join(" " if _is_control(char) else char for char in encodable).strip()


def clean_lines(text: str) -> str:
    """As ``clean``, for a text of several lines; indentation is kept."""
    lines = (line.expandtabs() for line in text.split("\n"))
    return "\n".join(" " * (len(line) - len(line.lstrip(" "))) + clean(line) for line in lines)


def _is_control(char: str) -> bool:
    joins_letters = char in "\N{ZERO WIDTH NON-JOINER}\N{ZERO WIDTH JOINER}"
    return unicodedata.category(char) in ("Cc", "Cf", "Zl", "Zp") and not joins_letters
