import base64
import csv
import io
import re
import shutil
import unicodedata
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from analysis_folders import config, curve, grid, record, run_folder, write_run, write_samples, write_sweep
from html_page import Page
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from optional import present
from rich.console import Console

from fashion_sweep.analysis import summary
from fashion_sweep.analysis.load import collect
from fashion_sweep.analysis.replicates import replicates
from fashion_sweep.errors import FolderError
from fashion_sweep.reporting import markdown, table
from fashion_sweep.reporting.html import render
from fashion_sweep.reporting.report import Report, print_table, write_report
from fashion_sweep.storage.claim import REPORT_MARKER
from fashion_sweep.storage.plain_text import clean
from fashion_sweep.storage.record import Status

NOW = datetime(2025, 1, 2, 5, 4, tzinfo=timezone(timedelta(hours=2)))
FIGURES = ["accuracy.png", "train_vs_val.png", "val_loss.png", "val_loss.svg"]
TEXTS = ["index.html", "summary.csv", "summary.md"]
POINTS = grid(optimizer=["sgd", "adam"], model__dropout=[0, 0.3])
ATTACK = "<script>alert(1)</script>"


def page(folder: Path) -> Page:
    return Page((folder / "index.html").read_text("utf-8"))


def names(folder: Path) -> list[str]:
    """Names of the files in a report's folder besides the one that marks it as ours."""
    return sorted(path.name for path in folder.iterdir() if path.name != REPORT_MARKER)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """A sweep with runs in every state, and its report."""
    sweep = write_sweep(tmp_path_factory.mktemp("sweeps") / "sweep", POINTS)
    write_samples(sweep)
    write_run(run_folder(sweep, POINTS[0]).path, POINTS[0], [], status=Status.FAILED, reason=f"ValueError: {ATTACK}")
    shutil.rmtree(run_folder(sweep, POINTS[1]).path)
    (sweep.path / "broken").mkdir()
    (sweep.path / "broken" / "run.json").write_text(ATTACK)
    return write_report([sweep.path], now=NOW)


def test_a_report_has_all_its_files_and_no_others(written: Report) -> None:
    assert written.output.name == "report"
    assert names(written.output) == sorted([*FIGURES, *TEXTS, "cost.csv", "dynamics.csv", "samples.png"])
    assert all((written.output / name).stat().st_size > 300 for name in [*FIGURES, *TEXTS, "samples.png"])


def test_a_report_returns_its_data(written: Report) -> None:
    assert written.table["status"].tolist() == ["failed", "pending", "completed", "completed"]
    assert written.table["reason"].tolist()[0] == f"ValueError: {ATTACK}"
    assert written.page == written.output / "index.html"
    assert len(written.warnings) == 1
    assert "broken/run.json" in written.warnings[0]


def test_the_page_is_self_contained(written: Report) -> None:
    text = written.page.read_text("utf-8")
    parsed = page(written.output)
    images = [present(image["src"]) for image in parsed.all("img")]
    assert len(images) == 4
    for source, name in zip(images, ["val_loss", "accuracy", "train_vs_val", "samples"], strict=True):
        kind, _, data = source.partition(",")
        assert kind == "data:image/png;base64"
        assert base64.b64decode(data, validate=True) == (written.output / f"{name}.png").read_bytes()
    names = r'src="data:[^"]*"|"values":"[^"]*"|http://www\.w3\.org/2000/svg'
    assert not re.search(r"https?:|//[a-z]|@import|url\(", re.sub(names, "", text))
    assert not {"link", "iframe", "object", "base", "form"} & {tag for tag, _ in parsed.tags}
    assert all(not attrs.get("src") and not attrs.get("href") for tag, attrs in parsed.tags if tag != "img")


def test_the_page_escapes_everything(written: Report) -> None:
    text = written.page.read_text("utf-8")
    assert ATTACK not in text
    assert text.count("<script") == 2  # the data and the program
    assert f"failed: ValueError: {ATTACK}" in page(written.output).text


def test_the_page_shows_the_command_and_its_outcome(written: Report) -> None:
    text = page(written.output).text
    assert "python -m fashion_sweep -m sweep" in text
    assert re.search(r"4 runs\s+1 pending\s+2 completed\s+1 failed", text)
    assert "Lowest validation loss: adam, dropout 0: " in text
    assert "broken/run.json: cannot be read as a run's record" in text
    assert "f" * 64 in text
    assert "keras 3.15.1" in text
    assert "kind cpu, name a CPU, host host" in text
    assert "1234567890abcdef1234567890abcdef12345678" in text
    assert "Written 2025-01-02 03:04 UTC" in text


def test_the_plain_table_is_best_first(written: Report) -> None:
    parsed = page(written.output)
    assert [row[:2] + row[-1:] for row in parsed.rows[1:3]] == [
        ["completed", "adam", run_name] for run_name in (written.table["run"][2], written.table["run"][3])
    ]
    assert parsed.all("tr")[1]["class"] == "completed is-marked"
    loss = parsed.rows[0].index("best val loss")
    best = [
        min(row["val_loss"] for row in curve(name, rate)) for name, rate in (("adam", 0), ("adam", 0.3), ("sgd", 0))
    ]
    # the failed run had some epochs, the pending one has none
    assert [row[loss] for row in parsed.rows[1:4]] == [f"{value:.4f}" for value in best]


def test_every_picture_has_an_alternative_text(written: Report) -> None:
    for image in page(written.output).all("img"):
        assert len(present(image["alt"])) > 40
    assert len(page(written.output).all("figcaption")) == 4


def test_before_the_first_epoch_there_is_a_table_and_a_note(tmp_path: Path) -> None:
    sweep = write_sweep(tmp_path, POINTS[:2])
    shutil.rmtree(run_folder(sweep, POINTS[0]).path)
    write_run(run_folder(sweep, POINTS[1]).path, POINTS[1], [], status=Status.RUNNING)
    run_folder(sweep, POINTS[1]).history.unlink()
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "val_loss.png").write_text("of an earlier report")
    (tmp_path / "report" / REPORT_MARKER).touch()
    report = write_report([tmp_path], now=NOW)
    assert names(report.output) == TEXTS
    text = page(report.output).text
    assert "Validation loss. Not drawn: No run has an epoch to draw." in text
    assert "The data. Not drawn: The sweep's folder has no sample images." in text
    assert report.warnings == []


def test_runs_without_a_finite_metric_are_noted(tmp_path: Path) -> None:
    rows = [row | {"val_loss": float("nan")} for row in curve()]
    write_run(tmp_path / "run", {}, rows, status=Status.DIVERGED, reason="loss became NaN")
    report = write_report([tmp_path / "run"])
    assert names(report.output) == ["accuracy.png", *TEXTS[:1], *TEXTS[1:], "train_vs_val.png"]
    assert "Validation loss. Not drawn: No epoch of any run has a finite val_loss." in page(report.output).text


def test_samples_that_cannot_be_read_are_a_warning(tmp_path: Path) -> None:
    sweep = write_sweep(tmp_path, POINTS[:1])
    sweep.samples.write_text("none")
    report = write_report([tmp_path])
    assert len(report.warnings) == 1
    assert f"{sweep.samples}: cannot be read as sample images" in report.warnings[0]


def test_a_single_runs_report_is_in_its_folder(tmp_path: Path) -> None:
    write_run(tmp_path / "run", {}, curve())
    assert names(write_report([tmp_path / "run"]).output) == sorted([*FIGURES, *TEXTS])
    assert (tmp_path / "run" / "report" / "index.html").exists()


def test_several_sweeps_make_one_report(tmp_path: Path) -> None:
    for name in ("first", "second"):
        write_sweep(tmp_path / name, POINTS[:1])
    report = write_report([tmp_path / "first", tmp_path / "second"], tmp_path / "both")
    run = run_folder(write_sweep(tmp_path / "first", POINTS[:1]), POINTS[0]).path.name
    assert report.table["run"].tolist() == [f"first/{run}", f"second/{run}"]
    assert report.table["sweep"].tolist() == ["first", "second"]
    assert "sweep" in (report.output / "summary.csv").read_text("utf-8").partition("\n")[0].split(",")
    assert "sweep" not in write_report([tmp_path / "first"]).table
    assert "-m first" in page(report.output).text
    assert "-m second" in page(report.output).text


def test_a_report_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    write_sweep(tmp_path / "sweep", [])
    (tmp_path / "file").write_text("")
    with pytest.raises(FolderError) as error:
        write_report([tmp_path / "sweep"], tmp_path / "file")
    assert str(error.value) == f"{tmp_path}/file: the report cannot be written there (Not a directory)"


def test_the_terminal_gets_the_table_the_failures_and_the_warnings(written: Report) -> None:
    console = Console(width=200, record=True, file=io.StringIO())
    print_table(written, console)
    text = console.export_text()
    assert f"failed {written.table['run'][0]}: ValueError: {ATTACK}" in text
    assert "warning " in text
    assert text.endswith(f"4 runs: 1 pending, 2 completed, 1 failed. Report: {written.page}\n")


def test_provenance_lists_what_differs(tmp_path: Path) -> None:
    write_run(tmp_path / "a", {}, curve(), git=None, ended=None)
    write_run(tmp_path / "b", {}, curve(), git={"commit": "abc", "dirty": True}, device={"kind": "gpu"})
    assert record({}, []).git != {"commit": "abc", "dirty": True}
    text = page(write_report([tmp_path]).output).text
    assert "abc with uncommitted changes" in text
    assert "kind cpu, name a CPU, host host\nkind gpu\n" in text


def test_replicates_have_a_file_of_their_own(tmp_path: Path) -> None:
    sweep = write_sweep(tmp_path, grid(optimizer=["sgd", "adam"], seed=[0, 1]), epochs=1)
    output = write_report([tmp_path]).output
    lines = (output / "replicates.csv").read_text().splitlines()
    assert lines[0].startswith(
        "model,optimizer,learning_rate,dropout,seeds,pending,running,diverged,failed,interrupted,without_result,repeated,at_chance,"
        "best_val_loss_mean,best_val_loss_sd,"
    )
    assert [line.split(",")[1] for line in lines[1:]] == ["adam", "sgd"]
    parsed = page(output)
    assert parsed.text.count("Settings, best first") == 1
    assert [row["class"] for row in parsed.all("tr") if "is-marked" in (row.get("class") or "")] == ["is-marked"]
    for point in grid(optimizer=["sgd", "adam"], seed=[1]):
        shutil.rmtree(run_folder(sweep, point).path)
    write_report([tmp_path])
    assert not (output / "replicates.csv").exists()
    assert "Settings, best first" not in page(output).text


def test_the_page_shows_the_best_runs_of_many_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "SHOWN", 3)
    write_sweep(tmp_path, POINTS, epochs=1)
    parsed = page(write_report([tmp_path]).output)
    assert [row[0] for row in parsed.rows].count("completed") == 3
    assert "The best 3 of 4 runs." in parsed.text


def rendered(folder: Path, text: str) -> tuple[Page, str, str, str]:
    """The page, summary.md, summary.csv and the terminal output of two runs, one with ``text`` in every field."""
    write_run(folder / "a", {}, curve(epochs=1))
    hostile = record({}, [], status=Status.FAILED, reason=text, choices={"model": text, "optimizer": text})
    run = write_run(folder / "b", {}, [])
    changes: dict[str, Any] = {"overrides": [f"+x={text}", f"+{text}=1"], "config": config({}) | {"x": text, text: 1}}
    run.write_record(replace(hostile, **changes, git={"commit": text}, device={"name": text}))
    collected = collect([folder])
    runs = summary.summarize(collected.runs, collected.histories, collected.measure)
    settings = replicates(runs, collected.swept, collected.measure)
    warnings = [*collected.warnings, clean(text)]
    shown = io.StringIO()
    console = Console(width=400, file=shown, force_terminal=True, color_system=None)
    print_table(Report(folder, runs, settings, collected.swept, collected.measure, warnings), console)
    return (
        Page(render(runs, settings, collected, [], warnings, written="now", output=folder)),
        markdown.markdown(runs, settings, collected, warnings, "now"),
        table.csv_text(runs[table.columns(runs, collected.swept)]),
        shown.getvalue(),
    )


TEXTS_OF_ALL_KINDS = st.text(min_size=1, max_size=30) | st.sampled_from(
    [
        ATTACK,
        "=HYPERLINK(1)",
        "| a |\n# b",
        "[red]x[/]",
        "\x1b]0;title\x07",
        "`x`",
        "![a](b)",
        "\u202ex",
        "'\"><img>",
        "\\",
    ]
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=25)
@given(text=TEXTS_OF_ALL_KINDS)
def test_text_is_escaped_everywhere(tmp_path: Path, text: str) -> None:
    parsed, markdown, rows, terminal = rendered(tmp_path, text)
    assert {tag for tag, _ in parsed.tags} <= BENIGN_TAGS
    assert parsed.open == []
    assert not re.search(r"(?<!\\)(\\\\)*[<`\[]", markdown)
    assert not any(line.startswith("#") and line not in HEADINGS for line in markdown.splitlines())
    for row in csv.reader(io.StringIO(rows)):
        assert not any(cell.lstrip().startswith(("=", "+", "-", "@")) for cell in row)
    assert not [char for char in terminal if char != "\n" and unicodedata.category(char) == "Cc"]


BENIGN_TAGS = {
    *("html", "head", "meta", "title", "style", "body", "main", "h1", "h2", "ul", "li", "strong", "p", "div", "table"),
    *("thead", "tbody", "tr", "th", "td", "button", "code", "details", "summary", "dl", "dt", "dd", "script", "pre"),
    *("section", "span"),
}
HEADINGS = ["# Sweep report", "## Runs that did not complete", "## Warnings"]
