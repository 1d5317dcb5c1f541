"""Makes text that comes from files safe to show on a terminal."""

from __future__ import annotations

import unicodedata


def clean(text: str) -> str:
    """One line of text that is safe in any terminal, file and font: control characters become blanks.

    So do bidirectional controls, which can make one text look like another.
    """
    if text.isprintable():
        return text.strip()
    encodable = text.encode("utf-8", "replace").decode("utf-8")
    return "".join(" " if _is_control(char) else char for char in encodable).strip()


def _is_control(char: str) -> bool:
    bidi_controls = ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")
    return unicodedata.category(char) in ("Cc", "Zl", "Zp") or unicodedata.bidirectional(char) in bidi_controls
