"""A value is hidden in whatever form a library writes it."""

from __future__ import annotations

import base64
import html
import json
import shlex
import urllib.parse
from collections.abc import Callable

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from fashion_sweep.config.redaction import Redaction

FORMS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "in a URL": urllib.parse.quote,
    "in a URL, slashes too": lambda value: urllib.parse.quote(value, safe=""),
    "in a form": urllib.parse.quote_plus,
    "in a URL, lower case": lambda value: lower(urllib.parse.quote(value, safe="")),
    "in a URL in a URL": lambda value: urllib.parse.quote(urllib.parse.quote(value)),
    "base64": lambda value: base64.b64encode(value.encode()).decode(),
    "base64 for URLs": lambda value: base64.urlsafe_b64encode(value.encode()).decode(),
    "base64 without padding": lambda value: base64.b64encode(value.encode()).decode().rstrip("="),
    "base64 after a byte": lambda value: base64.b64encode(b"u" + value.encode()).decode(),
    "base64 between others": lambda value: base64.b64encode(b"u:" + value.encode() + b"@host").decode(),
    "base64 after three": lambda value: base64.urlsafe_b64encode(b"me:" + value.encode() + b"\n").decode(),
    "base64 in lines": lambda value: base64.encodebytes(value.encode()).decode(),
    "base64 in a URL": lambda value: urllib.parse.quote(base64.b64encode(value.encode())).replace("%2B", "+"),
    "hex": lambda value: value.encode().hex(),
    "hex in capitals": lambda value: value.encode().hex().upper(),
    "HTML": html.escape,
    "HTML by numbers": lambda value: "".join(char if char.isalnum() else f"&#{ord(char)};" for char in value),
    "JSON": json.dumps,
    "JSON with Unicode": lambda value: json.dumps(value, ensure_ascii=False),
    "JSON in JSON": lambda value: json.dumps(json.dumps(value)),
    "repr": repr,
    "repr of bytes": lambda value: repr(value.encode()),
    "ascii": ascii,
    "quoted for a shell": shlex.quote,
    "blanks collapsed": lambda value: " ".join(value.split()),
    "one word a line": lambda value: "\n".join(value.split()),
}


def lower(quoted: str) -> str:
    """A quoted URL with small hexadecimal digits."""
    first, *others = quoted.split("%")
    return "".join([first, *(f"%{other[:2].lower()}{other[2:]}" for other in others)])


@settings(deadline=None)
@given(value=st.text(min_size=6, max_size=40))
@example(value="wJal/rXU+tnF=EMI/K7")
@example(value='it\'s a "quote" & \\back\\')
@example(value="two  blanks\tand\nlines")
@example(value="ключ-пароль-😀")
@example(value="/+/+/+/+")
@example(value="?>?>?>~~~")
@example(value="x" * 200)
def test_every_form_is_hidden(value: str) -> None:
    assume(not is_number(value))
    hidden = Redaction(values=frozenset({value}))
    for form, spelled in FORMS.items():
        written = spelled(value)
        if form in ("blanks collapsed", "one word a line") and len(written) < 8:
            continue
        shown = hidden.in_text(f"GET [{written}] failed")
        assert written not in shown, form
        assert "<redacted>" in shown, form
        around = 12  # quotes, and what the form itself puts around the value
        assert len(shown) <= len("GET [<redacted>] failed") + around, form


def is_number(value: str) -> bool:
    """Whether a text is a number: of these some forms alone are searched for."""
    try:
        float(value)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize("value", ["abcd", "main", "1234", "0.01", "a b "])
def test_ordinary_text_is_left_alone_where_values_are_short(value: str) -> None:
    text = "Epoch 12 of 340: val_loss 0.1234, sha256 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
    assert Redaction(values=frozenset({value})).in_text(text) == text


@given(text=st.text(max_size=200), value=st.text(min_size=6, max_size=20))
def test_text_without_the_value_is_left_alone(text: str, value: str) -> None:
    assume(" ".join(value.split()) not in " ".join(text.split()))
    assert Redaction(values=frozenset({value})).in_text(text) == text
