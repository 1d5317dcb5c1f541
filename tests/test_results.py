"""Results for notebooks: frames, answers and figures of sweep folders, with hand-computed statistics."""

from __future__ import annotations

import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from analysis_folders import curve, grid, planned, run_folder, write_run, write_samples, write_sweep
from matplotlib.figure import Figure
from result_sweeps import CLEAR, GRID, by_seed, loaded

import fashion_sweep
from fashion_sweep import FolderError, UserError, load_sweep
from fashion_sweep.analysis.settings import label
from fashion_sweep.reporting.report import write_report
from fashion_sweep.storage.record import Status

NAN = math.nan


def test_runs_have_what_was_set_what_came_out_and_where(tmp_path: Path) -> None:
    write_sweep(tmp_path / "s", GRID)
    runs = load_sweep(str(tmp_path / "s")).runs
    assert list(runs["run"]) == [planned(point).run for point in GRID]
    assert list(runs["setting"].unique()) == [
        "sgd, dropout 0", "sgd, dropout 0.3", "adam, dropout 0", "adam, dropout 0.3",
    ]  # fmt: skip
    assert list(runs["dropout"]) == [point["model.dropout"] for point in GRID]
    assert runs["seed"].dtype == "int64"
    assert set(runs["status"]) == {"completed"}
    best = min(row["val_loss"] for row in curve("sgd", 0, 5, 0))
    assert runs["best_val_loss"][0] == pytest.approx(best)
    assert runs["folder"][0] == str(tmp_path / "s" / runs["run"][0])


def test_histories_have_every_column_of_the_files_and_what_was_set(tmp_path: Path) -> None:
    sweep = write_sweep(tmp_path / "s", GRID[:2])
    rows = [row | {"learning_rate": 0.1 / row["epoch"]} for row in curve("sgd", epochs=3)]
    write_run(run_folder(sweep, GRID[0]).path, GRID[0], rows)
    histories = load_sweep(sweep.path).histories
    assert len(histories) == 3 + 5
    first = histories[histories["run"] == planned(GRID[0]).run]
    for name in ("epoch", "loss", "accuracy", "val_loss", "val_accuracy", "seconds"):
        assert list(first[name]) == [row[name] for row in rows]
    assert list(first["epoch_learning_rate"]) == [row["learning_rate"] for row in rows]
    assert histories["epoch_learning_rate"].isna().sum() == 5
    assert set(first["learning_rate"]) == {0.01}
    assert set(first["setting"]) == {"mlp, sgd, learning rate 0.01, dropout 0"}
    assert set(first["folder"]) == {str(run_folder(sweep, GRID[0]).path)}


def test_settings_are_those_of_replicates_csv_with_their_names(tmp_path: Path) -> None:
    write_sweep(tmp_path / "s", GRID)
    report = write_report([tmp_path / "s"])
    settings = load_sweep(tmp_path / "s").settings
    written = pd.read_csv(report.output / "replicates.csv")
    assert list(settings.columns) == ["setting", *written.columns]
    shown = settings[written.columns].replace(np.inf, np.nan)  # where the seed changes nothing, an effect is infinite
    pd.testing.assert_frame_equal(shown, written, check_dtype=False)
    assert settings["setting"][0] == "adam, dropout 0"


def test_each_setting_has_a_row_where_none_has_two_seeds(tmp_path: Path) -> None:
    results = loaded(tmp_path / "s", {"adam": by_seed(0.4), "sgd": by_seed(0.3)})
    assert list(results.settings["setting"]) == ["sgd", "adam"]
    assert list(results.settings["best_val_loss_mean"]) == [0.3, 0.4]
    assert "against the best" not in repr(results)


def test_the_verdict_is_that_of_the_report(tmp_path: Path) -> None:
    results = loaded(tmp_path / "s", CLEAR)
    report = write_report([tmp_path / "s"])
    assert results.verdict()
    assert results.verdict() in (report.output / "summary.md").read_text()


def test_the_best_setting_names_those_that_cannot_be_told_from_it(tmp_path: Path) -> None:
    """The corrected p-values are 0.15 and 0.0082."""
    best = loaded(tmp_path / "s", CLEAR).best()
    assert (best.setting, best.tied, best.is_certain) == ("adam", ["rmsprop"], False)
    assert list(best.runs["seed"]) == [0, 1, 2]
    assert set(best.runs["optimizer"]) == {"adam"}
    assert "cannot be told from rmsprop" in repr(best)


def test_a_setting_that_is_better_than_all_is_certain(tmp_path: Path) -> None:
    best = loaded(tmp_path / "s", {"adam": CLEAR["adam"], "sgd": CLEAR["sgd"]}).best()
    assert (best.setting, best.tied, best.is_certain) == ("adam", [], True)


def test_with_one_seed_each_all_are_tied(tmp_path: Path) -> None:
    best = loaded(tmp_path / "s", {"adam": by_seed(0.4), "sgd": by_seed(0.3), "rmsprop": by_seed(0.9)}).best()
    assert (best.setting, best.tied) == ("sgd", ["adam", "rmsprop"])


def test_nothing_is_best_where_nothing_has_completed(tmp_path: Path) -> None:
    write_run(tmp_path / "s" / "run", {}, [], status=Status.FAILED, reason="no luck")
    results = load_sweep(tmp_path / "s")
    with pytest.raises(FolderError, match="no run has completed with a result"):
        results.best()
    assert results.verdict() == ""
    assert "failed run: no luck" in repr(results)


def test_a_run_is_read_from_its_folder(tmp_path: Path) -> None:
    sweep = write_sweep(tmp_path / "s", GRID)
    folder = run_folder(sweep, GRID[0])
    folder.log.write_text("started\n\x1b[31mred\n")
    run = load_sweep(sweep.path).run(planned(GRID[0]).run)
    assert run.folder == folder.path
    assert run.config["optimizer"]["learning_rate"] == 0.01
    assert run.record is not None
    assert run.record.status is Status.COMPLETED
    assert list(run.history["val_loss"]) == [row["val_loss"] for row in curve("sgd", 0, 5, 0)]
    assert run.log == "started\n[31mred\n"
    assert repr(run) == f"<Run {run.name}: completed, 5 epochs, {folder.path}>"


def test_a_run_that_has_not_started_is_empty(tmp_path: Path) -> None:
    sweep = write_sweep(tmp_path / "s", GRID[:2])
    for path in run_folder(sweep, GRID[1]).path.iterdir():
        path.unlink()
    results = load_sweep(sweep.path)
    run = results.run(planned(GRID[1]).run)
    assert (run.record, run.config, run.log, len(run.history)) == (None, {}, "", 0)
    assert "pending" in repr(run)
    assert list(results.runs["status"]) == ["completed", "pending"]


def test_an_unknown_run_is_told_with_the_nearest_name(tmp_path: Path) -> None:
    write_sweep(tmp_path / "s", GRID)
    name = planned(GRID[0]).run
    with pytest.raises(UserError, match=f"no such run; did you mean '{name}'"):
        load_sweep(tmp_path / "s").run(name[:-1])


def test_several_folders_are_one_table_and_a_run_alone_is_one(tmp_path: Path) -> None:
    one, two = write_sweep(tmp_path / "one", GRID[:6]), write_sweep(tmp_path / "two", GRID[6:])
    assert list(load_sweep(one.path, str(two.path)).settings["seeds"]) == [3, 3, 3, 3]
    alone = load_sweep(run_folder(one, GRID[0]).path)
    assert len(alone) == 1
    assert list(alone.settings["setting"]) == ["mlp, sgd, learning rate 0.01, dropout 0"]
    assert (alone.best().tied, alone.best().is_certain) == ([], False)  # there is nothing to tell it from


def test_a_sweep_of_which_nothing_has_started_is_shown(tmp_path: Path) -> None:
    sweep = write_sweep(tmp_path / "s", [])
    assert len(load_sweep(sweep.path)) == 0
    assert load_sweep(sweep.path).histories.empty
    sweep.write_plan("command", [planned(point) for point in GRID])
    results = load_sweep(sweep.path)
    assert "12 runs: 12 pending." in repr(results)
    assert results.settings["setting"].is_unique


def test_settings_that_look_alike_have_names_of_their_own(tmp_path: Path) -> None:
    """Of runs that have not started, nobody knows the choices that their overrides do not name."""
    sweep = write_sweep(tmp_path / "s", [{"optimizer": "adam"}])
    entry = planned({"optimizer": "adam"})
    others = {"x": ["optimizer=adam", "+x=1"], "y": ["optimizer=adam", "+x=1", "+y=2"]}
    unstarted = [replace(entry, run=name, overrides=given, identity=name) for name, given in others.items()]
    sweep.write_plan("command", [entry, *unstarted])
    names = load_sweep(sweep.path).settings["setting"]
    assert len(names) == 3
    assert names.is_unique


def test_folders_that_hold_no_runs_are_told(tmp_path: Path) -> None:
    with pytest.raises(FolderError, match="no such folder"):
        load_sweep(tmp_path / "gone")
    with pytest.raises(UserError, match="at least one folder"):
        load_sweep()


def test_damaged_files_are_warnings(tmp_path: Path) -> None:
    sweep = write_sweep(tmp_path / "s", GRID)
    damaged = run_folder(sweep, GRID[0]).history
    damaged.write_text("epoch\nfirst\n")
    results = load_sweep(sweep.path)
    assert [str(damaged) in line for line in results.warnings] == [True]
    assert f"Warning: {damaged}" in repr(results)
    assert list(results.runs["is_partial"]) == [True, *[False] * 11]


def test_results_are_shown_with_verdict_and_settings(tmp_path: Path) -> None:
    results = loaded(tmp_path / "s", CLEAR)
    lines = repr(results).splitlines()
    assert lines[0] == f"9 runs: 9 completed. {tmp_path / 's'}"
    assert lines[1] == results.verdict()
    assert lines[2].split()[:4] == ["optimizer", "learning", "rate", "seeds"]
    assert [line.split()[0] for line in lines[3:]] == ["adam", "rmsprop", "sgd"]


def test_in_a_notebook_all_text_is_escaped(tmp_path: Path) -> None:
    write_sweep(tmp_path / "<b>", grid(optimizer=["<script>", "adam"]))
    shown = load_sweep(tmp_path / "<b>")._repr_html_()
    assert "<script>" not in shown
    assert "<b>" not in shown
    assert shown.count("&lt;script&gt;") >= 1
    assert "<td>adam</td>" in shown


def test_long_lists_are_cut_and_counted(tmp_path: Path) -> None:
    points = grid(optimizer__learning_rate=[0.1 / number for number in range(1, 15)])
    sweep = write_sweep(tmp_path / "s", points)
    for point in points[:12]:
        write_run(run_folder(sweep, point).path, point, [], status=Status.FAILED, reason="no luck")
    results = load_sweep(sweep.path)
    shown = repr(results)
    assert [label(rate) for rate in results.settings["learning_rate"][:10]] == [
        line.split()[0] for line in shown.splitlines()[3:13]
    ]
    assert "4 more: .settings has all." in shown
    assert "2 more runs did not complete: .runs has all." in shown


def test_figures_are_matplotlibs_and_notebooks_show_them(tmp_path: Path) -> None:
    sweep = write_sweep(tmp_path / "s", GRID)
    write_samples(sweep)
    plot = load_sweep(sweep.path).plot
    for figure in (plot.curves(), plot.curves("val_accuracy"), plot.train_vs_val(), plot.samples()):
        assert isinstance(figure, Figure)
        assert figure._repr_png_().startswith(b"\x89PNG")  # type: ignore[attr-defined]
    assert plot.curves().get_suptitle().startswith("Validation loss by epoch: 4 settings, model mlp")
    assert plot.curves("val_accuracy").get_suptitle().startswith("Validation accuracy")


def test_figures_without_data_say_why(tmp_path: Path) -> None:
    write_run(tmp_path / "run", {}, [])
    plot = load_sweep(tmp_path / "run").plot
    with pytest.raises(FolderError, match="No run has an epoch to draw"):
        plot.curves()
    with pytest.raises(FolderError, match="No run has an epoch to draw"):
        plot.train_vs_val()
    with pytest.raises(FolderError, match="no sample images"):
        plot.samples()
    with pytest.raises(UserError, match="metric is 'loss', expected val_loss or val_accuracy"):
        plot.curves("loss")  # type: ignore[arg-type]


def test_tables_are_written_with_every_digit(tmp_path: Path) -> None:
    results = loaded(tmp_path / "s", {"adam": by_seed(1 / 3, 0.4), "sgd": by_seed(0.5, NAN)})
    results.to_csv(tmp_path / "csv" / "new")
    read = {path.stem: pd.read_csv(path) for path in (tmp_path / "csv" / "new").iterdir()}
    assert {name: len(frame) for name, frame in read.items()} == {"runs": 4, "settings": 2, "histories": 4}
    assert read["runs"]["best_val_loss"][0] == 1 / 3
    assert list(read["histories"].columns) == list(results.histories.columns)
    (tmp_path / "file").write_text("")
    with pytest.raises(FolderError, match="tables cannot be written there"):
        results.to_csv(tmp_path / "file")


def test_changing_a_frame_changes_no_answer(tmp_path: Path) -> None:
    results = loaded(tmp_path / "s", CLEAR)
    before = results.verdict(), repr(results)
    results.runs["best_val_loss"] = np.nan
    results.settings["best_val_loss_mean"] = np.nan
    assert (results.verdict(), repr(results)) == before
    assert results.best().setting == "adam"


def test_importing_the_package_imports_nothing_that_takes_a_while() -> None:
    code = (
        "import sys, fashion_sweep\n"
        "names = {'pandas', 'numpy', 'matplotlib', 'hydra', 'tensorflow', 'keras', 'jax'}\n"
        "print(sorted(names & set(sys.modules)))\n"
        "fashion_sweep.load_sweep, fashion_sweep.sweep\n"
        "print(sorted({'tensorflow', 'keras', 'jax', 'seaborn', 'matplotlib'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["[]", "[]"]


def test_the_package_offers_what_it_names_and_nothing_else() -> None:
    assert set(fashion_sweep.__all__) <= set(dir(fashion_sweep))
    assert all(getattr(fashion_sweep, name).__name__ == name for name in fashion_sweep.__all__)
    with pytest.raises(AttributeError, match="no attribute 'load_sweeps'"):
        _ = fashion_sweep.load_sweeps
