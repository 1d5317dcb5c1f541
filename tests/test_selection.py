"""Which setting is selected, and which of its runs count."""

from __future__ import annotations

import math
from pathlib import Path

from analysis_folders import planned, run_folder, write_run, write_sweep
from hypothesis import given, settings
from hypothesis import strategies as st
from result_sweeps import CLEAR, by_seed, loaded

from fashion_sweep.analysis import selection
from fashion_sweep.analysis.load import collect
from fashion_sweep.analysis.summary import summarize
from fashion_sweep.storage.record import Status
from fashion_sweep.storage.sweep_dir import SweepDir


def selected(folder: Path) -> dict[str, str]:
    """Run -> why it is left out, of the selected setting."""
    collected = collect([folder])
    table = summarize(collected.runs, collected.histories, collected.measure)
    rows = selection.selected(table, collected.swept, collected.measure)
    return dict(zip(rows["run"], rows["left_out"], strict=True))


def test_the_runs_of_the_lowest_mean_not_of_the_luckiest_seed(tmp_path: Path) -> None:
    loaded(tmp_path / "s", {"adam": by_seed(1.0, 1.0), "sgd": by_seed(0.1, 5.0)})
    runs = [planned({"optimizer": "adam", "seed": seed}).run for seed in (0, 1)]
    assert selected(tmp_path / "s") == dict.fromkeys(runs, "")


def test_each_run_that_does_not_count_says_why(tmp_path: Path) -> None:
    points = [{"optimizer": "adam", "seed": seed} for seed in range(5)]
    sweep = write_sweep(tmp_path / "s", points, epochs=1)
    [row] = [run_folder(sweep, points[0]).read_history()[0]]
    write_run(run_folder(sweep, points[1]).path, points[1], [row], status=Status.FAILED)
    write_run(run_folder(sweep, points[2]).path, points[2], [row | {"val_loss": math.nan}])
    write_run(sweep.path / "again", points[3], [row], run="again")
    run_folder(sweep, points[4]).record.unlink()
    run_folder(sweep, points[4]).history.unlink()
    names = [planned(point).run for point in points]
    assert selected(sweep.path) == {
        names[0]: "", names[1]: "failed", names[2]: "without result", names[3]: "", names[4]: "pending",
        "again": "repeated",
    }  # fmt: skip


def test_nothing_is_selected_where_no_run_has_completed(tmp_path: Path) -> None:
    SweepDir(tmp_path).write_plan("", [planned({"optimizer": "adam", "seed": 0})])
    assert selected(tmp_path) == {}


LOSSES = st.dictionaries(
    st.sampled_from(["adam", "sgd", "rmsprop"]),
    st.dictionaries(st.integers(0, 2), st.floats(0.1, 9.0).map(lambda loss: round(loss, 1)), min_size=1),
    min_size=1,
)


@settings(max_examples=25, deadline=None)
@given(losses=LOSSES)
def test_the_selected_setting_is_the_one_of_the_verdict(
    losses: dict[str, dict[int, float]], tmp_path_factory: object
) -> None:
    folder = tmp_path_factory.mktemp("law")  # type: ignore[attr-defined]
    results = loaded(folder, losses)
    assert set(selected(folder)) == set(results.best().runs["run"])


def test_settings_without_results_are_not_chosen_from(tmp_path: Path) -> None:
    loaded(tmp_path, CLEAR | {"nadam": by_seed(math.inf)})
    collected = collect([tmp_path])
    table = summarize(collected.runs, collected.histories, collected.measure)
    assert selection.settings_with_results(table) == 3
