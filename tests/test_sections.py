"""What reports say about parameters and runs, and when they say nothing."""

import csv
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from analysis_folders import curve, grid, run_folder, write_run, write_sweep
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from fashion_sweep.analysis.load import Collected, collect
from fashion_sweep.analysis.parameters import swept_parameters
from fashion_sweep.analysis.summary import summarize
from fashion_sweep.reporting import effect_figures
from fashion_sweep.reporting.report import write_report
from fashion_sweep.reporting.section import Section
from fashion_sweep.reporting.sections import sections
from fashion_sweep.storage.record import Objective, Status

POINTS = grid(optimizer=["sgd", "adam", "rmsprop"], model__dropout=[0, 0.3], seed=[0, 1, 2])
LONG = [f"a_long_name_of_an_architecture_of_number_{place}" for place in range(30)]


def read(folder: Path, metric: Objective | None = None) -> tuple[pd.DataFrame, Collected, list[str]]:
    collected = collect([folder], metric)
    table = summarize(collected.runs, collected.histories, collected.measure)
    return table, collected, swept_parameters(table, collected.swept, collected.records)


def said(folder: Path, metric: Objective | None = None) -> dict[str, Section]:
    table, collected, _ = read(folder, metric)
    return {section.title: section for section in sections(table, collected)}


def rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.open()))


def test_a_report_says_what_the_parameters_did(tmp_path: Path) -> None:
    write_sweep(tmp_path, POINTS, epochs=20)
    output = write_report([tmp_path]).output
    text = (output / "summary.md").read_text()
    assert text.index("## Effects") < text.index("## Dynamics")
    assert "Best and worst level differ for optimizer" in text
    assert "| optimizer | 3 | adam | sgd | " in text
    assert "| 2 of 2 x 3 seeds |" in text
    assert [row["level"] for row in rows(output / "effects.csv")] == ["sgd", "adam", "rmsprop", "0", "0.3"]
    assert sum(float(row["share"]) for row in rows(output / "importance.csv")) == pytest.approx(1)
    assert len(rows(output / "dynamics.csv")) == 18
    assert {"levels.png", "pairs.png"} <= {path.name for path in output.iterdir()}


def test_a_report_says_nothing_where_nothing_was_swept(tmp_path: Path) -> None:
    write_sweep(tmp_path, POINTS)
    output = write_report([tmp_path]).output
    for point in POINTS[1:]:
        run_folder(write_sweep(tmp_path, POINTS[:1]), point).record.unlink()
        run_folder(write_sweep(tmp_path, POINTS[:1]), point).history.unlink()
    assert said(tmp_path) == {}
    write_report([tmp_path])
    assert not [
        path.name for path in output.iterdir() if path.stem in ("effects", "importance", "dynamics", "levels", "pairs")
    ]
    assert "## Effects" not in (output / "summary.md").read_text()


def test_a_difference_that_seeds_do_not_carry_is_not_claimed(tmp_path: Path) -> None:
    sweep = write_sweep(tmp_path, points := grid(batch_size=[32, 64], seed=[0, 1, 2]))
    for point, loss in zip(points, (0.3, 0.5, 0.4, 0.6, 0.4, 0.45), strict=True):
        write_run(run_folder(sweep, point).path, point, [row | {"val_loss": loss} for row in curve()])
    text = " ".join(said(tmp_path)["Effects"].sentences)
    assert "No difference between levels is shown for batch size." in text
    assert "differ for" not in text
    assert "An interval from 3 of them, or fewer, is weak evidence." in text
    assert "so that no importance of parameters is given" in text
    assert "importance.csv" not in said(tmp_path)["Effects"].files


def test_levels_whose_runs_diverged_are_named(tmp_path: Path) -> None:
    sweep = write_sweep(tmp_path, POINTS)
    for point in POINTS[:2]:
        write_run(run_folder(sweep, point).path, point, [], status=Status.DIVERGED, reason="loss became NaN")
    text = " ".join(said(tmp_path)["Effects"].sentences)
    assert "2 of 6 at optimizer sgd, 2 of 9 at dropout 0" in text
    assert "may look better than it is" in text


def test_an_incomplete_grid_is_left_to_a_forest_or_to_nobody(tmp_path: Path) -> None:
    points = grid(optimizer__learning_rate=[0.1, 0.01, 0.001, 0.0001], model__dropout=[step / 20 for step in range(8)])
    write_sweep(tmp_path / "many", points[1:])
    assert any(
        "The grid is incomplete: a random forest" in each for each in said(tmp_path / "many")["Effects"].sentences
    )
    assert [list(table) for table in said(tmp_path / "many")["Effects"].tables][1] == ["term", "importance", "folds"]
    write_sweep(tmp_path / "few", points[1:18])
    assert len(said(tmp_path / "few")["Effects"].tables) == 1


def figures(folder: Path, metric: Objective | None = None) -> tuple[Figure, Figure]:
    table, collected, parameters = read(folder, metric)
    what = (table, parameters, collected.measure)
    return effect_figures.draw_levels(*what), effect_figures.draw_pairs(*what)


def test_missing_cells_are_hatched_and_not_coloured(tmp_path: Path) -> None:
    write_sweep(tmp_path, [point for point in POINTS if point["optimizer"] != "sgd" or point["model.dropout"]])
    _, pairs = figures(tmp_path)
    axes = pairs.axes[0]
    hatched = [patch for patch in axes.patches if isinstance(patch, Rectangle)]
    assert [(patch.get_x(), patch.get_y(), patch.get_hatch()) for patch in hatched] == [(-0.5, -0.5, "////")]
    assert np.isnan(np.ma.filled(np.ma.asarray(axes.images[0].get_array()), np.nan)).tolist() == [
        [True, False],
        [False, False],
        [False, False],
    ]
    assert [text.get_text() for text in pairs.legends[0].get_texts()] == ["no result"]


def test_pairs_of_three_parameters_take_a_complete_grid(tmp_path: Path) -> None:
    points = grid(optimizer=["sgd", "adam"], model__dropout=[0, 0.3], batch_size=[32, 64])
    write_sweep(tmp_path / "whole", points)
    write_sweep(tmp_path / "part", points[1:])
    for name, count in (("whole", 3), ("part", 0)):
        table, collected, parameters = read(tmp_path / name)
        assert len(effect_figures.pairs_of(table, parameters, collected.measure)) == count


def test_numbers_that_span_a_decade_have_a_logarithmic_axis(tmp_path: Path) -> None:
    write_sweep(tmp_path, grid(optimizer__learning_rate=[0.1, 0.01], model__dropout=[0, 0.3], batch_size=[32, 64]))
    levels, _ = figures(tmp_path)
    assert {axes.get_title(loc="left"): axes.get_yscale() for axes in levels.axes} == {
        "learning rate": "log",
        "dropout": "linear",
        "batch size": "linear",
    }


def test_thirty_long_names_do_not_overlap(tmp_path: Path) -> None:
    write_sweep(tmp_path, grid(data__name=LONG, model__dropout=[0, 0.3]), epochs=2)
    for figure, axes in ((drawn := figures(tmp_path))[0], drawn[0].axes[1]), (drawn[1], drawn[1].axes[0]):
        figure.draw_without_rendering()
        boxes = [tick.get_window_extent() for tick in axes.get_yticklabels()]
        assert len(boxes) == 30
        assert not any(one.overlaps(other) for one, other in itertools.pairwise(boxes))
        assert min(box.x0 for box in boxes) >= 0


def test_one_huge_loss_does_not_squash_the_others(tmp_path: Path) -> None:
    sweep = write_sweep(tmp_path, POINTS)
    huge: dict[str, Any] = {"val_loss": 1e9}
    write_run(run_folder(sweep, POINTS[0]).path, POINTS[0], [row | huge for row in curve()])
    levels, pairs = figures(tmp_path)
    assert levels.axes[0].get_xlim()[1] < 2
    assert "1 run is above" in levels.get_suptitle()
    assert pairs.axes[0].images[0].get_clim()[1] < 2
    assert "have the colour of the end" in pairs.get_suptitle()


def test_an_objective_of_accuracy_is_what_sections_speak_of(tmp_path: Path) -> None:
    write_sweep(tmp_path, POINTS, epochs=20)
    found = said(tmp_path, "val_accuracy")
    effects, dynamics = (" ".join(found[name].sentences) for name in ("Effects", "Dynamics"))
    assert "Mean highest validation accuracy of a parameter's levels" in effects
    assert found["Effects"].tables[0]["best"].tolist()[0] == "adam"
    assert "at 5% more error rate than the best run" in dynamics
    levels, pairs = figures(tmp_path, "val_accuracy")
    assert levels.axes[-1].get_xlabel() == "highest validation accuracy"
    assert pairs.axes[0].images[0].get_cmap().name == "viridis"


def test_one_seed_makes_no_claim_beyond_it(tmp_path: Path) -> None:
    write_sweep(tmp_path, [point for point in POINTS if not point["seed"]], epochs=20)
    text = " ".join(said(tmp_path)["Effects"].sentences)
    assert "level differ for" not in text
    assert "over combinations of the other parameters, as if these were drawn at random from more" in text


def test_a_schedule_is_another_experiment_with_more_epochs(tmp_path: Path) -> None:
    points = grid(optimizer=["sgd", "adam"], seed=[0, 1])
    sweep = write_sweep(tmp_path, points, epochs=5)
    assert "stretch" not in " ".join(said(tmp_path)["Dynamics"].sentences)
    for point in points:
        falling = [row | {"val_loss": 1 / row["epoch"], "learning_rate": 0.1} for row in curve(epochs=8)]
        write_run(run_folder(sweep, point).path, point, falling)
    text = " ".join(said(tmp_path)["Dynamics"].sentences)
    assert "4 of 4 still improve at the last epoch: with more epochs, their order may be another." in text
    assert "Some of these have a learning-rate schedule" in text
