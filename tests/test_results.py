"""Results for notebooks: frames, answers and figures of sweep folders, with hand-computed statistics."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from analysis_folders import curve, grid, planned, run_folder, write_run, write_samples, write_sweep
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure

import fashion_sweep
from fashion_sweep import FolderError, Results, UserError, load_sweep
from fashion_sweep.analysis.measure import Measure
from fashion_sweep.analysis.settings import label
from fashion_sweep.reporting.report import write_report
from fashion_sweep.results.answers import compare
from fashion_sweep.storage.record import Status

GRID = grid(optimizer=["sgd", "adam"], model__dropout=[0, 0.3], seed=[0, 1, 2])
NAN = math.nan


def loaded(folder: Path, losses: Mapping[str, Mapping[int, float]]) -> Results:
    """The results of a sweep whose runs have these losses in their one epoch: optimizer -> seed -> loss."""
    points: list[dict[str, Any]] = [{"optimizer": name, "seed": seed} for name, each in losses.items() for seed in each]
    sweep = write_sweep(folder, points, epochs=1)
    for point in points:
        row = curve(epochs=1)[0] | {"val_loss": losses[point["optimizer"]][point["seed"]]}
        write_run(run_folder(sweep, point).path, point, [row])
    return load_sweep(folder)


def by_seed(*losses: float) -> dict[int, float]:
    return dict(enumerate(losses))


CLEAR = {"adam": by_seed(1.0, 2.0, 4.0), "rmsprop": by_seed(1.1, 2.2, 4.3), "sgd": by_seed(2.0, 3.1, 5.2)}
"""Paired differences from adam: 0.1, 0.2, 0.3 (t = 2 sqrt(3)) and 1, 1.1, 1.2 (t = 11 sqrt(3))."""


def p_value(t: float) -> float:
    """Two-sided, of Student's t with two degrees of freedom."""
    return 1 - t / math.sqrt(t**2 + 2)


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


def test_two_settings_are_compared_by_seed(tmp_path: Path) -> None:
    found = loaded(tmp_path / "s", CLEAR).compare("rmsprop", {"optimizer": "adam"})
    assert (found.a, found.b) == ("rmsprop", "adam")
    assert found.by_seed.to_dict() == pytest.approx({0: 0.1, 1: 0.2, 2: 0.3})
    half = 4.302653 * 0.1 / math.sqrt(3)  # of Student's t with two degrees of freedom
    assert (found.mean, found.low, found.high) == pytest.approx((0.2, 0.2 - half, 0.2 + half))
    assert found.p_value == pytest.approx(p_value(2 * math.sqrt(3)))
    assert found.corrected == pytest.approx(2 * found.p_value)  # by Holm, the second of three pairs, as in the report
    assert repr(found) == (
        "rmsprop minus adam: lowest validation loss +0.2000 (95% interval -0.0484 to +0.4484; "
        "t-test paired by 3 seeds, p 0.074; 0.15 if the results chose the two). Neither can be told from the other."
    )


def test_a_pair_without_the_best_is_corrected_for_all_pairs(tmp_path: Path) -> None:
    """The differences are 0.9, 0.9 and 0.8: their mean is 26 standard errors (0.1 / 3)."""
    found = loaded(tmp_path / "s", {**CLEAR, "sgd": by_seed(2.0, 3.1, 5.1)}).compare("sgd", "rmsprop")
    assert found.p_value == pytest.approx(p_value(26))
    assert found.corrected == pytest.approx(3 * found.p_value)
    assert repr(found).endswith("rmsprop is better.")


def test_a_difference_that_only_a_pair_chosen_before_shows_is_said_to_be_one(tmp_path: Path) -> None:
    """Differences of 0.2, 0.25 and 0.3 are 5 sqrt(3) standard errors, p 0.013; by Holm 0.039 of three pairs. With two
    further settings it is one of ten.
    """
    more = {name: by_seed(9.0, 9.5, 8.5) for name in ("sgd", "adagrad", "momentum")}
    losses = {"adam": by_seed(1.0, 2.0, 4.0), "rmsprop": by_seed(1.2, 2.25, 4.3), **more}
    found = loaded(tmp_path / "s", losses).compare("adam", "rmsprop")
    assert found.p_value == pytest.approx(p_value(5 * math.sqrt(3)))
    assert found.corrected > 0.05
    assert repr(found).endswith("adam is better if these two were chosen before the results were seen; otherwise that "
                                "is no claim.")  # fmt: skip


def test_settings_without_shared_seeds_are_compared_by_welch(tmp_path: Path) -> None:
    """Means 2 and 5, variances 1 and 4: t = 3 / sqrt(5 / 3) with 50 / 17 degrees of freedom."""
    losses = {"adam": by_seed(1.0, 2.0, 3.0), "sgd": {7: 3.0, 8: 5.0, 9: 7.0}}
    found = loaded(tmp_path / "s", losses).compare("sgd", "adam")
    assert not found.is_paired
    assert found.by_seed.empty
    assert found.mean == 3
    assert found.p_value == pytest.approx(0.1045, abs=5e-5)
    assert math.isnan(found.low)
    assert repr(found) == (
        "sgd minus adam: lowest validation loss +3.0000 (Welch's t-test, p 0.1). Neither can be told from the other."
    )


def test_too_few_seeds_are_not_tested(tmp_path: Path) -> None:
    found = loaded(tmp_path / "s", {"adam": by_seed(0.3), "sgd": by_seed(0.5, 0.6)}).compare("adam", "sgd")
    assert math.isnan(found.p_value)
    assert math.isnan(found.low)
    assert found.mean == pytest.approx(0.3 - 0.55)
    assert repr(found).endswith("Too few seeds for a test: it takes 2 of each setting.")


losses_of = st.lists(st.floats(0.01, 10), min_size=4, max_size=4)


@given(losses_of, losses_of)
def test_comparing_the_other_way_round_turns_the_signs(one: list[float], two: list[float]) -> None:
    values = pd.DataFrame([one, two], columns=["0", "1", "2", "3"], index=["a", "b"])
    there, back = compare(values, Measure(), None, 1), compare(values.iloc[::-1], Measure(), None, 1)
    assert there.mean == -back.mean
    assert (there.low, there.high) == pytest.approx((-back.high, -back.low))
    assert there.p_value == back.p_value
    assert (there.p_value < 0.05) == (there.low > 0 or there.high < 0) or abs(there.p_value - 0.05) < 1e-9


@pytest.mark.parametrize(
    ("a", "b", "why"),
    [
        ("nadam", "adam", "'nadam': no such setting; expected one of: adam; rmsprop; sgd"),
        ({"optimizer": "nadam"}, "adam", "no such setting"),
        ({"model": "mlp"}, "adam", "3 settings have that; expected one of: adam; rmsprop; sgd"),
        ({"colour": 1}, "adam", "'colour': settings have no such column; expected model, optimizer, learning_rate"),
        ("adam", {"optimizer": "adam"}, "'adam' twice"),
    ],
)  # fmt: skip
def test_what_is_no_pair_of_settings_is_told(tmp_path: Path, a: str, b: str, why: str) -> None:
    with pytest.raises(UserError) as raised:
        loaded(tmp_path / "s", CLEAR).compare(a, b)
    assert why in str(raised.value)


def test_a_setting_without_results_cannot_be_compared(tmp_path: Path) -> None:
    sweep = write_sweep(tmp_path / "s", grid(optimizer=["adam", "sgd"], seed=[0, 1]))
    for seed in (0, 1):
        point = {"optimizer": "sgd", "seed": seed}
        write_run(run_folder(sweep, point).path, point, [], status=Status.FAILED, reason="no luck")
    with pytest.raises(UserError, match="'sgd' has no completed run with a result"):
        load_sweep(sweep.path).compare("adam", "sgd")


def test_another_measure_ranks_by_itself(tmp_path: Path) -> None:
    """Of accuracies, higher is better: 0.7 and 0.9 at seed 0, 0.8 and 0.9 at seed 1."""
    sweep = write_sweep(tmp_path / "s", grid(optimizer=["adam", "sgd"], seed=[0, 1]))
    accuracies = {("adam", 0): 0.7, ("adam", 1): 0.8, ("sgd", 0): 0.9, ("sgd", 1): 0.9}
    for (name, seed), accuracy in accuracies.items():
        point, losses = {"optimizer": name, "seed": seed}, curve(name, epochs=2)
        write_run(run_folder(sweep, point).path, point, [losses[0], losses[1] | {"val_accuracy": accuracy}])
    results = load_sweep(sweep.path, measure="val_accuracy", at="last")
    report = write_report([sweep.path], metric="val_accuracy", at="last")
    assert results.best().setting == "sgd"
    assert results.verdict() in (report.output / "summary.md").read_text()
    assert results.settings["last_val_accuracy_mean"].tolist() == pytest.approx([0.9, 0.75])
    found = results.compare("adam", "sgd")
    assert found.mean == pytest.approx(-0.15)
    assert repr(found).startswith("adam minus sgd: highest validation accuracy in the last epoch -0.1500 ")
    assert "last_val_loss_mean" in load_sweep(sweep.path, at=1).settings
    assert "mean_val_loss_mean" in load_sweep(sweep.path, at=2).settings


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"measure": "loss"}, "measure is 'loss', expected val_loss or val_accuracy"),
        ({"at": "first"}, "at is 'first', expected 'best', 'last' or a number of epochs, at least 1"),
        ({"at": 0}, "at is 0"),
        ({"at": True}, "at is True"),
    ],
)
def test_what_is_no_measure_is_told(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    write_sweep(tmp_path / "s", GRID[:1])
    with pytest.raises(UserError) as raised:
        load_sweep(tmp_path / "s", **options)
    assert message in str(raised.value)


def test_the_better_setting_is_the_one_of_the_higher_accuracy() -> None:
    values = pd.DataFrame([[0.70, 0.71, 0.72], [0.90, 0.911, 0.92]], columns=list("012"), index=["a", "b"])
    assert repr(compare(values, Measure("val_accuracy"), None, 1)).endswith("b is better.")
    assert repr(compare(values, Measure("val_loss"), None, 1)).endswith("a is better.")


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
