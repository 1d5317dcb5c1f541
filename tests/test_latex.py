"""What a report gives for a paper: figures in other formats, a table of settings and a paragraph on methods."""

from pathlib import Path

import pandas as pd
import pytest
from analysis_folders import grid, run_folder, write_sweep

from fashion_sweep.analysis.escaping import escape_latex
from fashion_sweep.cli import report as command
from fashion_sweep.reporting.files import FIGURES, LATEX
from fashion_sweep.storage.record import RunRecord, Status


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    write_sweep(tmp_path, grid(optimizer=["sgd", "adam"], model__dropout=[0, 0.3], seed=[0, 1, 2]))
    return tmp_path


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        (r"50% & a_b #1 {x} $y$ \n", r"50\% \& a\_b \#1 \{x\} \$y\$ \textbackslash{}n"),
        ("a -- b --- c", "a -{}- b -{}-{}- c"),
        ("[0, 1]* ~^|<>\"`", r"{[}0, 1{]}{*} \textasciitilde{}\textasciicircum{}\textbar{}\textless{}\textgreater{}"
         r"\textquotedbl{}\textasciigrave{}"),
        ("two\n\nlines", "two lines"),
        ("1 ± 2…", r"1 $\pm$ 2\dots{}"),
    ],
)  # fmt: skip
def test_text_for_latex_is_shown_literally(text: str, escaped: str) -> None:
    assert escape_latex(text) == escaped


def test_the_table_has_every_setting_best_first(sweep: Path) -> None:
    command.main([str(sweep), "--latex"])
    lines = (sweep / "report" / "settings.tex").read_text().splitlines()
    assert r"optimizer & learning rate & dropout & loss & accuracy & p \\" in lines
    rows = lines[lines.index(r"\midrule") + 1 : lines.index(r"\bottomrule")]
    ranked = pd.read_csv(sweep / "report" / "replicates.csv")
    expected = [[name, f"{rate:g}", f"{dropout:g}"] for name, rate, dropout in
                zip(ranked["optimizer"], ranked["learning_rate"], ranked["dropout"], strict=True)]  # fmt: skip
    assert [row.split(" & ")[:3] for row in rows] == expected
    assert all(row.count(r"$\pm$") == 2 for row in rows)
    assert "over 3 seeds of completed runs, each at its epoch of lowest validation loss" in lines[2]


def test_the_methods_say_what_was_trained_and_how_it_is_judged(sweep: Path) -> None:
    command.main([str(sweep), "--latex", "--measure", "val_accuracy", "--at", "last"])
    text = (sweep / "report" / "methods.tex").read_text()
    assert "4 settings that vary optimizer (sgd, adam) and dropout (0, 0.3); seeds 0, 1, 2.\n" in text
    assert "12 runs: 12 completed.\n" in text
    assert "the mean over the seeds of completed runs of the validation accuracy in the last epoch.\n" in text
    assert "Welch's where two settings share fewer than two seeds, with Holm's correction" in text


def test_of_one_seed_nothing_is_said_of_tests(tmp_path: Path) -> None:
    write_sweep(tmp_path, grid(optimizer=["sgd", "adam"]))
    command.main([str(tmp_path), "--latex"])
    table, methods = [(tmp_path / "report" / name).read_text() for name in LATEX]
    assert "one run each at its epoch of lowest validation loss." in table
    assert r"\pm" not in table
    assert "one seed each, so that settings are not compared by tests" in methods
    assert "t-test" not in table + methods


def test_without_results_there_is_no_table(tmp_path: Path) -> None:
    sweep = write_sweep(tmp_path, grid(optimizer=["sgd"]))
    run = run_folder(sweep, {"optimizer": "sgd"})
    run.write_record(RunRecord(run.path.name, "0" * 64, Status.FAILED, "it broke"))
    run.history.unlink()
    command.main([str(tmp_path), "--latex"])
    assert (tmp_path / "report" / "settings.tex").read_text() == "% No run has completed with a result.\n"
    assert "1 run: 1 failed." in (tmp_path / "report" / "methods.tex").read_text()


def test_every_figure_has_the_formats_that_are_asked_for_and_no_older_ones(sweep: Path) -> None:
    drawn = set(FIGURES) - {"samples"}  # this sweep has no sample images
    for formats, expected in (("pdf,svg", {".png", ".pdf", ".svg"}), ("png", {".png"})):
        command.main([str(sweep), "--format", formats, "--latex"])
        found = {path.name for path in (sweep / "report").iterdir() if path.suffix in (".png", ".pdf", ".svg")}
        assert found == {name + suffix for name in drawn for suffix in expected}
    assert (sweep / "report" / "levels.png").read_bytes()[:4] == b"\x89PNG"
    command.main([str(sweep)])
    assert (sweep / "report" / "val_loss.svg").exists()
    assert not any((sweep / "report" / name).exists() for name in LATEX)


def test_a_pdf_is_the_same_each_time(sweep: Path) -> None:
    command.main([str(sweep), "--format", "pdf"])
    first = (sweep / "report" / "levels.pdf").read_bytes()
    command.main([str(sweep), "--format", "pdf"])
    assert first[:4] == b"%PDF"
    assert (sweep / "report" / "levels.pdf").read_bytes() == first


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--format", "png,jpg"], "'jpg': expected some of png,svg,pdf, separated by commas"),
        (["--format", ""], "'': expected some of png,svg,pdf"),
        (["--compare", "--watch"], "--watch are for reports"),
        (["--compare", "--latex"], "--latex, --format and --watch are for reports, which --compare does not write"),
    ],
)
def test_wrong_options_are_refused(
    sweep: Path, options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        command.main([str(sweep), *options])
    assert ended.value.code == 2
    assert message in capsys.readouterr().err
    assert not (sweep / "report").exists()
