import csv
import io
from pathlib import Path

import pandas as pd
import pytest
from analysis_folders import curve, grid, run_folder, write_run, write_sweep
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from fashion_sweep.analysis import escaping, summary
from fashion_sweep.analysis.load import Collected, collect
from fashion_sweep.analysis.replicates import replicates
from fashion_sweep.reporting import markdown, table, terminal, verdict
from fashion_sweep.storage.record import Status

COLUMNS = (
    "run,status,model,optimizer,learning_rate,dropout,seed,parameters,epochs_run,best_epoch,best_val_loss,"
    "best_val_accuracy,last_loss,last_accuracy,last_val_loss,last_val_accuracy,seconds,at_chance"
)


def summarized(folder: Path) -> tuple[pd.DataFrame, Collected]:
    collected = collect([folder])
    return summary.summarize(collected.runs, collected.histories, collected.measure), collected


def settings_of(runs: pd.DataFrame, collected: Collected) -> pd.DataFrame:
    return replicates(runs, collected.swept, collected.measure)


def page_of(folder: Path, *warnings: str, written: str = "now") -> str:
    runs, collected = summarized(folder)
    return markdown.markdown(runs, settings_of(runs, collected), collected, warnings, written)


def csv_of(folder: Path) -> str:
    runs, collected = summarized(folder)
    return table.csv_text(runs[table.columns(runs, collected.swept)])


def test_a_row_of_the_csv_has_every_digit(tmp_path: Path) -> None:
    rows = [{"epoch": 1, "loss": 0.1 + 0.2, "accuracy": 0.5, "val_loss": 1 / 3, "val_accuracy": 0.875}]
    write_run(tmp_path / "run", {"model.dropout": 0.3, "seed": 7}, rows, seconds=2.0)
    assert csv_of(tmp_path / "run") == (
        f"{COLUMNS}\n"
        "run,completed,mlp,adam,0.001,0.3,7,79510,1,1,0.3333333333333333,0.875,0.30000000000000004,0.5,"
        "0.3333333333333333,0.875,2.0,False\n"
    )


def test_swept_overrides_come_between_seed_and_parameters(tmp_path: Path) -> None:
    write_sweep(tmp_path, grid(model__hidden_units=[[100], [300, 100]]))
    lines = list(csv.reader(io.StringIO(csv_of(tmp_path))))
    assert lines[0][6:9] == ["seed", "model.hidden_units", "parameters"]
    assert [line[7] for line in lines[1:]] == ["[100]", "[300,100]"]


def test_missing_and_non_finite_values_are_empty(tmp_path: Path) -> None:
    rows = [curve(epochs=1)[0] | {"val_loss": float("inf"), "loss": float("nan")}]
    write_run(tmp_path / "run", {}, rows, status=Status.DIVERGED, parameters=None, seconds=None)
    (row,) = csv.DictReader(io.StringIO(csv_of(tmp_path / "run")))
    empty = [name for name, value in row.items() if not value]
    assert empty == ["parameters", "best_epoch", "best_val_loss", "best_val_accuracy", "last_loss", "last_val_loss"]


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", " =1", "\t=1", "\ta", "\uff1d1"])
def test_text_that_a_spreadsheet_would_compute_is_escaped(text: str) -> None:
    assert table.csv_text(pd.DataFrame({"a": [text]})) == f"a\n'{text}\n"


def test_text_that_begins_with_a_carriage_return_is_escaped() -> None:
    assert escaping.escape_formula("\ra") == "'\ra"


def test_numbers_are_not_escaped() -> None:
    assert table.csv_text(pd.DataFrame({"a": [-1.5, -2.0]})) == "a\n-1.5\n-2.0\n"


@given(st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1), min_size=1))
def test_no_cell_is_a_formula_and_no_text_is_lost(texts: list[str]) -> None:
    (_, *rows) = csv.reader(io.StringIO(table.csv_text(pd.DataFrame({"name": texts}, dtype=object))))
    for text, (cell,) in zip(texts, rows, strict=True):
        assert not cell.lstrip().startswith(("=", "+", "-", "@"))
        assert cell in (text, f"'{text}")


def test_metrics_are_shown_with_four_decimals() -> None:
    row = {"best_val_loss": 1 / 3, "last_loss": float("inf"), "best_epoch": 3, "seconds": 12.345, "dropout": None}
    assert {name: table.cell(name, value) for name, value in row.items()} == {
        "best_val_loss": "0.3333",
        "last_loss": "inf",
        "best_epoch": "3",
        "seconds": "12.3",
        "dropout": "",
    }


def test_markdown_is_best_first_with_failures_below(tmp_path: Path) -> None:
    points = grid(optimizer=["sgd", "adam"])
    sweep = write_sweep(tmp_path / "sweep", points, epochs=2)
    other = {"optimizer": "rmsprop"}
    reason = "ValueError: a|b <b>`x`</b>\nand more"
    write_run(run_folder(sweep, other).path, other, [], status=Status.FAILED, reason=reason)
    text = page_of(sweep.path, "a warning", written="2025-01-02 03:04 UTC")
    lines = text.splitlines()
    assert lines[0] == "# Sweep report"
    assert lines[2] == "    python -m fashion_sweep -m sweep"
    assert lines[4] == "3 runs: 2 completed, 1 failed. Written 2025-01-02 03:04 UTC."
    assert lines[6] == (
        "Lowest validation loss: adam: 0.5208, accuracy 0.8229 in epoch 2. One run each does not say which setting is "
        "best; several seeds would, as with seed=0,1,2,3,4."
    )
    assert lines[8] == "The same in all runs: model mlp, dropout 0, seed 0."
    assert lines[10].startswith("| status | optimizer | learning rate | parameters | epochs run | best epoch |")
    assert lines[10].endswith(" | run |")
    assert [line.split(" | ")[:2] for line in lines[12:15]] == [
        ["| **completed**", "**adam**"],
        ["| completed", "sgd"],
        ["| failed", "rmsprop"],
    ]
    assert len({line.replace(r"\|", "").count("|") for line in lines[10:15]}) == 1
    assert lines[16:18] == ["## Runs that did not complete", ""]
    assert lines[18].endswith(r": failed. ValueError: a\|b \<b\>\`x\`\</b\> and more")
    assert lines[-1] == "- a warning"


def printed(folder: Path, width: int = 200) -> list[str]:
    console = Console(width=width, record=True, file=io.StringIO())
    runs, collected = summarized(folder)
    terminal.print_to(console, runs, settings_of(runs, collected), collected.swept, collected.measure)
    return console.export_text().splitlines()


def test_the_terminal_shows_the_best_thirty_and_every_failure(tmp_path: Path) -> None:
    points = grid(seed=range(40))
    sweep = write_sweep(tmp_path, points, epochs=1)
    for point in points[:8]:
        write_run(run_folder(sweep, point).path, point, [], status=Status.FAILED, reason="[red]boom[/red] [/x]")
    lines = printed(tmp_path)
    assert sum("completed  " in line for line in lines) == 30
    assert "10 more in summary.csv" in lines
    assert [line.endswith(": [red]boom[/red] [/x]") for line in lines[-8:]] == [True] * 8


@pytest.mark.parametrize("width", [80, 100, 120, 200])
def test_the_terminals_table_fits_and_keeps_the_best_metrics(tmp_path: Path, width: int) -> None:
    write_sweep(tmp_path, grid(optimizer=["sgd", "adam", "rmsprop"], model__dropout=[0, 0.3]))
    lines = printed(tmp_path, width)
    assert max(map(len, lines)) <= width
    row = next(line for line in lines if "rmsprop" in line and "0.3 " in line)
    best = min(curve("rmsprop", 0.3), key=lambda epoch: epoch["val_loss"])
    assert f"{best['val_loss']:.4f}" in row
    assert f"{best['val_accuracy']:.4f}" in row
    assert ("optimizer-rmsprop" in row) == (width >= 200)


@pytest.mark.parametrize(("width", "has_intervals"), [(80, False), (200, True)])
def test_the_terminals_table_of_settings_fits(tmp_path: Path, width: int, has_intervals: bool) -> None:
    sweep = write_sweep(tmp_path, grid(optimizer=["sgd", "adam", "rmsprop"], model__dropout=[0, 0.3], seed=[0, 1]))
    failed = {"optimizer": "sgd", "model.dropout": 0, "seed": 1}
    write_run(run_folder(sweep, failed).path, failed, [], status=Status.FAILED)
    lines = printed(tmp_path, width)[:8]
    assert max(map(len, lines)) <= width
    assert any("±" in line and "no claim" in line for line in lines)
    assert any(" to " in line for line in lines) == has_intervals


def test_runs_with_equal_settings_keep_their_names(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_run(tmp_path / name, {}, curve())
    assert any(line.startswith("one ") for line in printed(tmp_path, 60))


def test_a_sweep_without_runs_is_summarized(tmp_path: Path) -> None:
    write_sweep(tmp_path, [])
    runs, collected = summarized(tmp_path)
    assert table.sentence(runs) == "0 runs."
    assert verdict.verdict(runs, settings_of(runs, collected), collected.swept, collected.measure) == ""
    assert csv_of(tmp_path) == COLUMNS + "\n"


def test_with_replicates_the_best_setting_is_named_and_not_the_luckiest_seed(tmp_path: Path) -> None:
    points = grid(optimizer=["sgd", "adam"], seed=[0, 1])
    sweep = write_sweep(tmp_path, points, epochs=1)
    for point, loss in zip(points, (0.125, 0.875, 0.25, 0.5), strict=True):
        rows = [curve(epochs=1)[0] | {"val_loss": loss, "val_accuracy": 1 - loss}]
        write_run(run_folder(sweep, point).path, point, rows)
    runs, collected = summarized(tmp_path)
    assert verdict.verdict(runs, settings_of(runs, collected), collected.swept, collected.measure).startswith(
        "Lowest mean validation loss: adam: 0.3750 (2 seeds, 95% interval 0.0000 to 1.9633), accuracy 0.6250. "
    )
    lines = page_of(tmp_path).splitlines()
    start = lines.index("## Settings, best first")
    assert lines[start + 4 : start + 8] == [
        "| optimizer | learning rate | seeds | best val loss | best val loss 95% interval | best val accuracy "
        "| best val accuracy 95% interval | against the best |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
        "| adam | 0.001 | 2 | 0.3750 ± 0.1768 | 0.0000 to 1.9633 | 0.6250 ± 0.1768 | 0.0000 to 1.0000 |  |",
        "| sgd | 0.01 | 2 | 0.5000 ± 0.5303 | 0.0000 to 5.2648 | 0.5000 ± 0.5303 | 0.0000 to 1.0000 "
        "| no claim, p 0.7 |",
    ]
    assert not any(line.startswith("| **") for line in lines)  # no single seed is marked as the best
    assert any(line.startswith("adam       0.001") and "0.3750 ± 0.1768" in line for line in printed(tmp_path))


def test_a_partial_history_is_marked_in_the_table(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", {}, curve(epochs=3))
    folder.history.write_text(folder.history.read_text()[:-3])
    assert "| completed, history partial |" in page_of(tmp_path).replace("*", "")
    assert any("completed, history partial" in line for line in printed(tmp_path))
    assert csv_of(tmp_path).splitlines()[1].startswith("run,completed,")  # programs get the plain status


def test_long_tables_are_cut_and_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(markdown, "SHOWN", 2)
    write_sweep(tmp_path, grid(optimizer=["sgd", "adam", "rmsprop"]))
    text = page_of(tmp_path)
    assert "The best 2 of 3 runs: summary.csv has all." in text
    assert sum(line.startswith("| ") for line in text.splitlines()) == 4
