"""Names that are not UTF-8 are refused at once, and shown escaped."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from fashion_sweep.cli import evaluate, report, reproduce
from fashion_sweep.cli.encoding import check_names
from fashion_sweep.errors import UserError

LATIN_1 = os.fsdecode(b"caf\xe9")


def test_names_in_utf_8_are_accepted() -> None:
    check_names(["café", "data.path=/tmp/😀"])


@pytest.mark.parametrize("main", [evaluate.main, report.main, reproduce.main])
def test_an_argument_is_shown_escaped(main: Callable[[list[str]], None], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([LATIN_1])
    assert stopped.value.code == 2
    refused = r"error: the argument caf\xe9 is not UTF-8; give it a name in UTF-8 (or of plain letters)"
    assert capsys.readouterr().err.strip() == refused


def test_the_current_folder_is_shown_escaped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / LATIN_1).mkdir()
    monkeypatch.chdir(tmp_path / LATIN_1)
    with pytest.raises(UserError) as error:
        check_names([])
    assert str(error.value).startswith(rf"the current folder {tmp_path}/caf\xe9 is not UTF-8; ")


def test_a_current_folder_that_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(UserError, match="the current folder is gone; change to another one"):
        check_names([])
