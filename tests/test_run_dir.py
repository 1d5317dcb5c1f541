from __future__ import annotations

import json
import math
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fashion_sweep.errors import FolderError
from fashion_sweep.storage import atomic
from fashion_sweep.storage.record import RunRecord, Status
from fashion_sweep.storage.run_dir import LOG_END, RunDir

NUMBERS = st.floats(width=64)


@given(st.lists(st.tuples(NUMBERS, NUMBERS, NUMBERS, NUMBERS, NUMBERS), min_size=1, max_size=5))
def test_a_history_reads_back_to_the_last_digit(
    tmp_path_factory: pytest.TempPathFactory, values: list[tuple[float, ...]]
) -> None:
    run = RunDir(tmp_path_factory.mktemp("run"))
    names = ("loss", "accuracy", "val_loss", "val_accuracy", "seconds")
    rows = [{"epoch": i + 1, **dict(zip(names, row, strict=True))} for i, row in enumerate(values)]
    run.write_history(rows)
    read = run.read_history()
    assert [list(row) for row in read] == [["epoch", *names]] * len(rows)
    for row, back in zip(rows, read, strict=True):
        assert all(back[key] == row[key] or (math.isnan(back[key]) and math.isnan(row[key])) for key in row)


def test_the_columns_of_a_history_are_in_order(tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    row = {"seconds": 0.25, "learning_rate": 0.1, "val_accuracy": 0.5, "val_loss": math.inf, "accuracy": 1.0}
    run.write_history([row | {"loss": 2.0, "epoch": 1}])
    assert run.history.read_text() == (
        "epoch,loss,accuracy,val_loss,val_accuracy,learning_rate,seconds\n1,2.0,1.0,inf,0.5,0.1,0.25\n"
    )


def test_a_record_reads_back_and_numbers_that_json_lacks_are_null(tmp_path: Path) -> None:
    run = RunDir(tmp_path / "r")
    record = RunRecord(run="r", identity="ab", status=Status.DIVERGED, best=None, last={"val_loss": math.nan})
    run.path.mkdir(parents=True, exist_ok=True)
    run.write_record(record)
    assert json.loads(run.record.read_text(), parse_constant=pytest.fail)["last"] == {"val_loss": None}
    read = run.read_record()
    assert read is not None
    assert (read.run, read.identity, read.status, read.last) == ("r", "ab", Status.DIVERGED, {"val_loss": None})


@pytest.mark.parametrize("text", ["", "{", "[]", '{"run": 1}', '{"run": "a", "identity": "b", "status": "sunny"}'])
def test_a_damaged_record_is_named(tmp_path: Path, text: str) -> None:
    run = RunDir(tmp_path)
    run.record.write_text(text)
    with pytest.raises(FolderError, match=r"run\.json: cannot be read as a run's record"):
        run.read_record()


HEAD = "epoch,loss,accuracy,val_loss,val_accuracy\n"


@pytest.mark.parametrize(
    ("text", "epochs", "fault"),
    [
        ("", 0, "line 1 is not the column names: ''"),
        ("epoch,loss\n1,0.5\n", 0, "line 1 is not the column names: 'epoch,loss'"),
        ("\x00\x00", 0, r"line 1 is not the column names: '\x00\x00'"),
        (HEAD, 0, "it ends after the column names"),
        (HEAD + "1,1,1,1,1\n2,0.5,0.", 1, "line 3 is damaged: truncated"),
        (HEAD + "1,1,1,1,1\n2,1,1,1,0.", 1, "line 3 is damaged: truncated"),  # only the newline is missing
        (HEAD + "1,1,1,1,1\n2,1,1\n3,1,1,1,1\n", 1, "line 3 is damaged: it has 3 cells, expected 5"),
        (HEAD + "1,1,1,1,1\n2,1,low,1,1\n", 1, "line 3 is damaged: could not convert string to float: 'low'"),
        (HEAD + "1,1,1,1,1\n2,1,\x00,1,1\n", 1, r"line 3 is damaged: could not convert string to float: '\x00'"),
        (HEAD + "1,1,1,1,1\n1,1,1,1,1\n", 1, "line 3 is damaged: its epoch is 1, expected 2"),
        (HEAD + "1,1,1,1,1\n3,1,1,1,1\n", 1, "line 3 is damaged: its epoch is 3, expected 2"),
        (HEAD + "nan,1,1,1,1\n", 0, "line 2 is damaged: its epoch is nan, expected 1"),
    ],
)
def test_a_damaged_history_is_named_and_epochs_before_the_damage_are_returned(
    tmp_path: Path, text: str, epochs: int, fault: str
) -> None:
    run = RunDir(tmp_path)
    run.history.write_text(text)
    assert run.salvage_history() == ([dict.fromkeys(HEAD.strip().split(","), 1.0)] * epochs, fault)
    with pytest.raises(FolderError) as error:
        run.read_history()
    assert str(error.value) == f"{run.history}: cannot be read as a history ({fault})"


@given(st.binary(max_size=60), st.integers(0, 120))
def test_only_whole_epochs_are_read_from_a_damaged_history(
    tmp_path_factory: pytest.TempPathFactory, noise: bytes, place: int
) -> None:
    run = RunDir(tmp_path_factory.mktemp("run"))
    whole = (HEAD + "".join(f"{epoch},1.0,0.5,2.0,0.25\n" for epoch in (1, 2, 3))).encode()
    run.history.write_bytes(whole[:place] + noise)
    rows, fault = run.salvage_history()
    whole_epochs = max(0, whole[:place].count(b"\n") - 1)
    assert [row["epoch"] for row in rows] == list(range(1, len(rows) + 1))
    assert rows[:whole_epochs] == [
        {"epoch": e, "loss": 1.0, "accuracy": 0.5, "val_loss": 2.0, "val_accuracy": 0.25}
        for e in range(1, whole_epochs + 1)
    ]
    assert fault or run.history.read_bytes().endswith(b"\n")


def test_a_new_run_has_neither_record_nor_history(tmp_path: Path) -> None:
    assert RunDir(tmp_path).read_record() is None
    assert RunDir(tmp_path).read_history() == []


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "f.txt"
    atomic.write_text(path, "old")

    def torn() -> None:
        with atomic.replacing(path) as beside:
            beside.write_text("ne")
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        torn()
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["f.txt"]  # noqa: PTH208


def test_the_end_of_a_log_is_its_last_lines_that_say_something(tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    assert run.log_end(2) == []
    run.log.write_bytes(b"x" * 2 * LOG_END + b"\nfirst\n\n \nsecond \xff\n\n")
    assert run.log_end(2) == ["first", "second \N{REPLACEMENT CHARACTER}"]
    assert len(run.log_end(9)[0]) < LOG_END
    run.log.unlink()
    run.log.mkdir()
    assert run.log_end(2) == []


def test_the_files_of_a_run_are_those_that_it_shows(tmp_path: Path) -> None:
    run = RunDir(tmp_path / "run")
    assert run.files() == []
    (run.path / "folder").mkdir(parents=True)
    for name in ("b.txt", "a.txt", ".hidden"):
        (run.path / name).touch()
    (run.path / "link.txt").symlink_to(tmp_path / "elsewhere")
    assert run.files() == ["a.txt", "b.txt"]
