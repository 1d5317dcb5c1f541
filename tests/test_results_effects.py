"""Effects, dynamics, arrays, methods and other sweeps in notebooks: the same numbers as in the report."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from analysis_folders import curve, grid, planned, run_folder, write_run, write_sweep
from matplotlib.figure import Figure
from result_sweeps import CLEAR, GRID, by_seed, loaded

from fashion_sweep import FolderError, UserError, load_sweep
from fashion_sweep.reporting.report import write_report


def test_effects_and_dynamics_are_those_of_the_report(tmp_path: Path) -> None:
    sweep = write_sweep(tmp_path / "s", GRID)
    found = load_sweep(sweep.path)
    write_report([sweep.path])
    effects = found.effects()
    for name, frame in (("effects", effects.levels), ("importance", effects.importance), ("dynamics", found.dynamics)):
        written = pd.read_csv(sweep.report / f"{name}.csv")
        assert list(written.columns) == list(frame.columns)
        numbers = written.select_dtypes("number").columns
        assert np.allclose(written[numbers], frame[numbers].astype("float64"), equal_nan=True)
    assert list(effects.gaps["parameter"]) == ["optimizer", "dropout"]
    assert repr(effects) in (sweep.report / "summary.md").read_text().replace("\\", "")


def test_without_replicates_of_levels_there_are_no_effects(tmp_path: Path) -> None:
    found = load_sweep(write_sweep(tmp_path / "s", grid(optimizer=["sgd", "adam"])).path)
    effects = found.effects()
    assert effects.levels.empty
    assert repr(effects) == "No level of a parameter averages several results."
    for draw, reason in ((found.plot.effects, "averages several results"), (found.plot.pairs, "two swept parameters")):
        with pytest.raises(FolderError, match=reason):
            draw()


def test_figures_of_effects_are_matplotlibs(tmp_path: Path) -> None:
    plot = load_sweep(write_sweep(tmp_path / "s", GRID).path).plot
    assert isinstance(plot.effects(), Figure)
    assert [axes.get_title(loc="left") for axes in plot.effects().axes] == ["optimizer", "dropout"]
    assert plot.pairs().axes[0].images[0].get_array().shape == (2, 2)  # type: ignore[union-attr]


def test_arrays_have_a_dimension_for_each_parameter_seed_and_epoch(tmp_path: Path) -> None:
    sweep = write_sweep(tmp_path / "s", GRID)
    write_run(run_folder(sweep, GRID[0]).path, GRID[0], curve("sgd", epochs=2))
    array = load_sweep(sweep.path).to_xarray()
    assert dict(array.sizes) == {"optimizer": 2, "dropout": 2, "seed": 3, "epoch": 5}
    first = array["val_loss"].sel(optimizer="sgd", dropout=0, seed=0)
    assert first.values[:2].tolist() == [row["val_loss"] for row in curve("sgd", epochs=2)]
    assert np.isnan(first.values[2:]).all()
    other = array["accuracy"].sel(optimizer="adam", dropout=0.3, seed=2)
    assert other.values.tolist() == [row["accuracy"] for row in curve("adam", 0.3, 5, 2)]


def test_arrays_refuse_what_has_no_place_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = (write_sweep(tmp_path / name, GRID[:2]).path for name in "ab")
    with pytest.raises(UserError, match=r"several runs have the same .*seed; use \.histories"):
        load_sweep(one, two).to_xarray()
    monkeypatch.setattr("fashion_sweep.results.arrays.MOST_CELLS", 5)
    with pytest.raises(UserError, match="would have 10 cells"):
        load_sweep(one).to_xarray()


def test_without_xarray_what_to_install_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = load_sweep(write_sweep(tmp_path / "s", GRID[:2]).path)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "xarray" else sys.modules.get(name))
    with pytest.raises(UserError, match=r"pip install 'fashion-sweep\[xarray\]'"):
        found.to_xarray()


def test_another_sweep_is_compared_by_seed(tmp_path: Path) -> None:
    before = loaded(tmp_path / "before", CLEAR)
    after = loaded(tmp_path / "after", {"adam": by_seed(1.5, 2.5, 4.5), "nadam": by_seed(1.0)})
    found = after.compare_with(before)
    assert found.settings["setting"].tolist() == ["optimizer=adam"]
    assert found.settings[["difference", "shared"]].to_numpy().tolist() == [[pytest.approx(0.5), 3]]
    assert (found.only_before, found.only_after) == (
        ["optimizer=rmsprop", "optimizer=sgd"],
        ["optimizer=nadam"],
    )
    with pytest.raises(UserError, match="by the validation loss in the last epoch and by the lowest validation loss"):
        before.compare_with(load_sweep(tmp_path / "after", at="last"))


def test_methods_are_a_paragraph(tmp_path: Path) -> None:
    found = load_sweep(write_sweep(tmp_path / "s", GRID).path)
    assert planned(GRID[0]).run in set(found.runs["run"])
    assert "4 settings that vary optimizer (sgd, adam) and dropout (0, 0.3); seeds 0, 1, 2. " in found.methods()
    assert "\n" not in found.methods()
