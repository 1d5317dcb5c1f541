"""Regular expressions for a value in all the ways in which programs write text.

Libraries quote a value for a URL, encode it in base64 for a header or print its ``repr``, so that an error message has
it in another form than the config. Each character is matched in any of its forms: mixtures are found, too.
"""

from __future__ import annotations

import html
import re
import string
from collections.abc import Iterator
from itertools import product

LEAST_ENCODED = 8
"""Least number of characters of a base64 or hexadecimal form that is searched for; shorter ones occur by chance."""

_BASE64 = string.ascii_uppercase + string.ascii_lowercase + string.digits + "+/"
_OTHERWISE = {"+": "-", "/": "_"}
"""What base64 for URLs has instead."""
_PLAIN = frozenset(string.ascii_letters + string.digits)
_BACKSLASHES = r"\\+"
"""Text that was escaped twice has two of them, or three."""
_NAMED = {"\n": "n", "\r": "r", "\t": "t", "\f": "f", "\v": "v", "\b": "b", "\a": "a"}
_QUOTED_IN_SHELLS = """'"'"'"""


def expressions(value: str) -> Iterator[str]:
    """Regular expressions that together match a text in every spelling, the longest first."""
    data = value.encode("utf-8", "surrogatepass")
    try:
        float(value)
        yield rf"(?<!\d)(?<!\d\.){re.escape(value)}(?!\d|\.\d)"  # not inside a longer number
    except ValueError:
        yield _spelled(value)
        if value != value.strip():
            yield _spelled(value.strip()) if len(value.strip()) >= LEAST_ENCODED else re.escape(value)
    yield from _base64(data)
    if 2 * len(data) >= LEAST_ENCODED:
        yield f"(?i:{data.hex()})"


def _spelled(value: str) -> str:
    """A text with each character in any spelling, and each run of blanks as any other."""
    parts = re.split(r"(\s+)", value)
    return "".join(_blanks(part) if part.isspace() else "".join(map(_character, part)) for part in parts)


def _blanks(run: str) -> str:
    forms = "|".join({form for char in {*run, " ", "\n", "\r", "\t"} for form in _encoded(char)})
    return rf"(?:\s|\+|{forms})+"


def _character(char: str) -> str:
    if char in _PLAIN:
        return char
    return rf"(?:{'|'.join(_encoded(char))}|\\*{re.escape(char)})"


def _encoded(char: str) -> Iterator[str]:
    """A character as URLs, Python, JSON, HTML and shells write it."""
    data, code = char.encode("utf-8", "surrogatepass"), ord(char)
    units = char.encode("utf-16-be", "surrogatepass").hex()
    yield "(?i:" + "".join(f"%(?:25)*{byte:02x}" for byte in data) + ")"
    yield "(?i:" + "".join(rf"{_BACKSLASHES}x{byte:02x}" for byte in data) + ")"
    yield "(?i:" + "".join(rf"{_BACKSLASHES}u{units[at : at + 4]}" for at in range(0, len(units), 4)) + ")"
    yield rf"(?i:{_BACKSLASHES}U{code:08x}|&#(?:0*{code}|x0*{code:x});)"
    if code < 256:  # noqa: PLR2004
        yield rf"(?i:{_BACKSLASHES}x{code:02x})"
    if char in _NAMED:
        yield _BACKSLASHES + _NAMED[char]
    if html.escape(char) != char:
        yield re.escape(html.escape(char))
    if char == "'":
        yield re.escape(_QUOTED_IN_SHELLS)


def _base64(data: bytes) -> Iterator[str]:
    """Bytes in base64, standard or for URLs, wherever in a text they begin: three bytes are four characters.

    A character that also holds bits of the text before or after matches whatever these are.
    """
    bits = "".join(f"{byte:08b}" for byte in data)
    for before in range(3):
        known = "?" * (8 * before % 6) + bits
        known += "?" * (-len(known) % 6)
        groups = [known[at : at + 6] for at in range(0, len(known), 6)]
        if len(groups) >= LEAST_ENCODED:
            yield r"(?:\\n|\n)?".join(map(_digits, groups)) + "(?:={1,2}|%3[dD](?:%3[dD])?)?"


def _digits(bits: str) -> str:
    """The characters of base64 for six bits, of which some may be unknown: ``?``."""
    choices = ("01" if bit == "?" else bit for bit in bits)
    chars = [_BASE64[int("".join(each), 2)] for each in product(*choices)]
    return "[" + re.escape("".join([*chars, *(_OTHERWISE[char] for char in chars if char in _OTHERWISE)])) + "]"
