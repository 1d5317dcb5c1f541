"""What the page's script gets: as JSON inside HTML."""

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from analysis_folders import curve, grid, run_folder, write_sweep
from hypothesis import given
from hypothesis import strategies as st

from fashion_sweep.analysis.load import collect
from fashion_sweep.analysis.replicates import replicates
from fashion_sweep.analysis.summary import summarize
from fashion_sweep.reporting import page_data
from fashion_sweep.storage.record import METRICS, Objective

SCALARS = st.none() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
POINTS = grid(optimizer=["sgd", "adam"], seed=[0, 1, 2])


@given(st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_no_text_ends_the_script_that_holds_it(value: Any) -> None:
    text = page_data.as_inline_json(value)
    assert json.loads(text) == value
    assert text.isascii()
    assert not set("<>&") & set(text)


@given(st.lists(SCALARS))
def test_packed_values_are_unpacked(values: list[Any]) -> None:
    packed = page_data._packed(values)
    if isinstance(packed, dict):
        packed = [packed["levels"][place] for place in packed["places"]]
    assert packed == values


def written(folder: Path, epochs: int, metric: Objective = "val_loss") -> dict[str, Any]:
    sweep = write_sweep(folder, POINTS, epochs)
    for point in POINTS:
        run_folder(sweep, point).log.write_text(f"{point}\n" * 20)
    collected = collect([folder], metric)
    runs = summarize(collected.runs, collected.histories, collected.measure)
    settings = replicates(runs, collected.swept, collected.measure)
    return page_data.page_data(runs, settings, collected, folder / "report")


def test_curves_are_those_of_the_histories(tmp_path: Path) -> None:
    histories = written(tmp_path, epochs=4)["histories"]
    assert histories["metrics"] == [*METRICS, "seconds"]
    assert histories["epochs"] == [4] * 6
    assert histories["quantiles"] == pytest.approx([12.7062, 4.30265])  # of Student's t, for 2 and 3 runs
    values = np.frombuffer(base64.b64decode(histories["values"]), "<f4").reshape(5, 6, 4)
    expected = [[row["val_loss"] for row in curve("adam", seed=seed, epochs=4)] for seed in range(3)]
    shown = values[METRICS.index("val_loss")][:3]  # the runs are best first, and Adam's are the best
    assert sorted(map(tuple, shown)) == [pytest.approx(tuple(row)) for row in sorted(expected)]


def test_of_many_epochs_some_are_left_out_but_never_the_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_data, "MOST_EPOCHS", 25)
    histories = written(tmp_path, epochs=10)["histories"]
    assert histories["step"] == 3
    values = np.frombuffer(base64.b64decode(histories["values"]), "<f4").reshape(5, 6, 4)
    losses = [row["loss"] for row in curve("adam", epochs=10)]
    assert values[0][0] == pytest.approx([losses[place] for place in (0, 3, 6, 9)])


def test_logs_end_where_the_page_has_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    logs = written(tmp_path / "all", epochs=1)["logs"]
    assert sorted(logs) == list(range(6))
    assert all(len(text.splitlines()) == page_data.LOG_LINES for text in logs.values())
    monkeypatch.setattr(page_data, "MOST_LOGS", len(logs[0]) + 1)
    assert sorted(written(tmp_path / "some", epochs=1)["logs"]) == [0, 1]


def test_all_settings_that_cannot_be_told_from_the_best_are_marked(tmp_path: Path) -> None:
    data = written(tmp_path, epochs=1, metric="val_accuracy")
    assert data["best"] is None  # of the runs none is marked: the best of them may just have a lucky seed
    assert data["settings"]["isMarked"] == [True, False]
    assert data["settings"]["relation"][1].startswith("worse, p ")
    assert data["measure"]["bestSetting"] == "highest mean"


def test_factors_are_what_was_swept_with_their_levels_in_order(tmp_path: Path) -> None:
    points = grid(optimizer=["sgd", "adam"], model__units=[30, 8], model__norm=[True, "layer"], data__norm=[0, 1])
    assert factors_of(tmp_path / "some", points) == {
        "optimizer": ("optimizer", ["sgd", "adam"]),
        "model.units": ("units", None),
        "model.norm": ("model.norm", ["True", "layer"]),
        "data.norm": ("data.norm", None),
    }
    assert factors_of(tmp_path / "none", grid(seed=[0, 1])) == {}
    assert page_data._levels(pd.Series([None, "layer", "batch", "layer"], dtype=object)) == ["layer", "batch", None]
    assert page_data._levels(pd.Series([8, None, 0.5], dtype=object)) is None


def factors_of(folder: Path, points: list[dict[str, Any]]) -> dict[str, tuple[str, list[Any] | None]]:
    """Name -> label and levels."""
    collected = collect([write_sweep(folder, points, epochs=1).path])
    runs = summarize(collected.runs, collected.histories, collected.measure)
    settings = replicates(runs, collected.swept, collected.measure)
    data = page_data.page_data(runs, settings, collected, folder / "report")
    return {each["name"]: (each["label"], each["levels"]) for each in data["factors"]}


def test_the_first_columns_are_what_runs_are_ranked_by(tmp_path: Path) -> None:
    columns = written(tmp_path, epochs=2)["columns"]
    assert [each["name"] for each in columns if not each["isHidden"]] == [
        *("best_val_loss", "best_val_accuracy", "status", "optimizer", "learning_rate", "seed"),
        *("epochs_run", "best_epoch", "seconds"),
    ]
    rounded = {each["name"]: each["decimals"] for each in columns if each["decimals"] is not None}
    metrics = ["best_val_loss", "best_val_accuracy", *(f"last_{name}" for name in METRICS)]
    assert rounded == dict.fromkeys(metrics, 4) | {"seconds": 1}
