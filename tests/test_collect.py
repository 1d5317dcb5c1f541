import json
import math
import shutil

import pytest
from analysis_folders import curve, grid, record, run_folder, write_run, write_samples, write_sweep
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fashion_sweep.analysis.collect import collect, distinct_names
from fashion_sweep.errors import FolderError
from fashion_sweep.run_dir import PlannedRun, Status, SweepDir

POINTS = grid(optimizer=["sgd", "adam"], model__dropout=[0, 0.3])


def test_a_sweep_has_a_row_a_run_in_plan_order(tmp_path):
    write_sweep(tmp_path / "sweep", POINTS, epochs=3)
    collected = collect([tmp_path / "sweep"])
    runs = collected.runs
    assert runs["optimizer"].tolist() == ["sgd", "sgd", "adam", "adam"]
    assert runs["dropout"].tolist() == [0, 0.3, 0, 0.3]
    assert runs["learning_rate"].tolist() == [0.01, 0.01, 0.001, 0.001]
    assert runs["model"].tolist() == ["mlp"] * 4
    assert runs["seed"].tolist() == [0] * 4
    assert runs["parameters"].tolist() == [79510] * 4
    assert runs["epochs_run"].tolist() == [3] * 4
    assert runs["seconds"].tolist() == [4.25] * 4
    assert len(collected.histories) == 12
    assert collected.commands == ["python -m fashion_sweep -m sweep"]
    assert collected.swept == []
    assert collected.warnings == []


def test_every_other_swept_override_has_a_column(tmp_path):
    write_sweep(tmp_path, grid(model__hidden_units=[[100], [300, 100]], batch_size=[32, 64], epochs=[5]))
    collected = collect([tmp_path])
    assert collected.swept == ["model.hidden_units", "batch_size"]
    assert collected.runs["model.hidden_units"].tolist() == ["[100]", "[100]", "[300,100]", "[300,100]"]
    assert collected.runs["batch_size"].tolist() == [32, 64, 32, 64]


def test_a_run_that_has_not_begun_is_pending_with_what_its_overrides_say(tmp_path):
    sweep = write_sweep(tmp_path, POINTS)
    shutil.rmtree(run_folder(sweep, POINTS[3]).path)
    row = collect([tmp_path]).runs.iloc[3]
    assert (row["status"], row["optimizer"], row["dropout"], row["model"]) == ("pending", "adam", 0.3, None)
    assert (row["epochs_run"], row["reason"]) == (0, None)


def test_a_running_run_shows_its_epochs_so_far(tmp_path):
    sweep = write_sweep(tmp_path, POINTS)
    folder = run_folder(sweep, POINTS[0])
    write_run(folder.path, POINTS[0], curve("sgd", epochs=4), status=Status.RUNNING, seconds=None, epochs_run=0)
    row = collect([tmp_path]).runs.iloc[0]
    assert (row["status"], row["epochs_run"], row["seconds"]) == ("running", 4, 5.0)


def test_a_damaged_record_is_left_out_with_a_warning(tmp_path):
    sweep = write_sweep(tmp_path, POINTS)
    broken = run_folder(sweep, POINTS[1]).record
    broken.write_text("{")
    collected = collect([tmp_path])
    assert len(collected.runs) == 3
    assert len(collected.warnings) == 1
    assert collected.warnings[0].startswith(f"{broken}: cannot be read as a run's record (")
    assert collected.warnings[0].endswith("; run left out")


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("choices", ["mlp"], "choices is ['mlp'], expected dict[str, str]"),
        ("overrides", "a=1", "overrides is 'a=1', expected list[str]"),
        ("best", {"val_loss": "low"}, "best is {'val_loss': 'low'}, expected dict[str, float | None] | None"),
        ("epochs_run", None, "epochs_run is None, expected int"),
    ],
)
def test_a_record_with_a_wrong_kind_of_value_says_which(tmp_path, field, value, reason):
    folder = write_run(tmp_path / "run", {}, curve())
    folder.record.write_text(json.dumps(json.loads(folder.record.read_text()) | {field: value}))
    collected = collect([tmp_path])
    assert collected.runs.empty
    assert collected.warnings == [f"{folder.record}: cannot be read as a run's record ({reason}); run left out"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("epoch,loss\n1,0.5\n", "no column accuracy, val_loss, val_accuracy"),
        ("epoch,loss,accuracy,val_loss,val_accuracy\n1.5,1,1,1,1\n", "epoch 1.5 is no count"),
        ("epoch,loss,accuracy,val_loss,val_accuracy\nnan,1,1,1,1\n", "epoch nan is no count"),
        ("epoch,loss,accuracy,val_loss,val_accuracy\n1,1,1,low,1\n", "could not convert string to float: 'low'"),
    ],
)
def test_a_damaged_history_leaves_the_metrics_of_the_record(tmp_path, text, reason):
    folder = write_run(tmp_path / "run", {}, curve(epochs=3))
    folder.history.write_text(text)
    collected = collect([tmp_path])
    assert collected.histories.empty
    assert collected.runs["best_val_loss"].tolist() == [min(row["val_loss"] for row in curve(epochs=3))]
    assert collected.warnings == [
        f"{folder.history}: cannot be read as a history ({reason}); run shown without its curves"
    ]


def test_a_damaged_plan_leaves_the_runs_that_are_there(tmp_path):
    sweep = write_sweep(tmp_path, POINTS)
    sweep.plan.write_text("[]")
    collected = collect([tmp_path])
    assert len(collected.runs) == 4
    assert collected.commands == []
    assert "sweep.json: cannot be read as a sweep's plan" in collected.warnings[0]


def test_a_single_run_is_a_sweep_of_one(tmp_path):
    write_run(tmp_path / "run", {"model.dropout": 0.3}, curve())
    collected = collect([tmp_path / "run"])
    assert collected.runs["run"].tolist() == ["run"]
    assert collected.commands == ["python -m fashion_sweep model.dropout=0.3"]


def test_two_sweeps_together_tell_runs_of_one_name_apart(tmp_path):
    for name in ("first", "second"):
        write_sweep(tmp_path / name, POINTS[:1])
    write_run(tmp_path / "second" / "other", {}, curve())
    run = run_folder(SweepDir(tmp_path), POINTS[0]).path.name
    names = collect([tmp_path / "first", tmp_path / "second", tmp_path / "first" / ".." / "first"]).runs["run"]
    assert names.tolist() == [f"first/{run}", f"second/{run}", "other"]


def test_samples_are_found_beside_a_sweep_and_beside_its_runs(tmp_path):
    sweep = write_sweep(tmp_path, POINTS[:1])
    assert collect([tmp_path]).samples is None
    write_samples(sweep)
    assert collect([tmp_path]).samples == sweep.samples
    assert collect([run_folder(sweep, POINTS[0]).path]).samples.name == sweep.samples.name


def test_a_folder_that_is_none_says_what_was_expected(tmp_path):
    with pytest.raises(FolderError) as none:
        collect([tmp_path / "gone"])
    assert str(none.value) == f"{tmp_path}/gone: no such folder. Give the folder of a sweep or of one run."
    with pytest.raises(FolderError) as empty:
        collect([tmp_path])
    expected = "expected a sweep (sweep.json, or folders with a run.json) or a run (run.json), found neither."
    assert str(empty.value) == f"{tmp_path}: {expected}\nGive the folder of a sweep."


def test_a_folder_of_sweeps_names_one(tmp_path):
    write_sweep(tmp_path / "a", [])
    write_sweep(tmp_path / "b", [])
    with pytest.raises(FolderError, match=rf"It holds sweeps: give one of them, such as {tmp_path}/b$"):
        collect([tmp_path])


def test_control_characters_in_a_reason_become_blanks(tmp_path):
    write_run(tmp_path / "run", {}, [], status=Status.FAILED, reason="a\x1b[31m\nb\ud800")
    assert collect([tmp_path]).runs["reason"].tolist() == ["a [31m b?"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(field=st.sampled_from(sorted(json.loads(record({}, []).to_json()))), value=JSON)
def test_whatever_a_record_holds_the_run_is_read_or_warned_of(tmp_path, field, value):
    folder = write_run(tmp_path / "run", {}, [])
    folder.record.write_text(json.dumps(json.loads(folder.record.read_text()) | {field: value}), "utf-8")
    collected = collect([tmp_path])
    assert len(collected.runs) + len(collected.warnings) == 1


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=30)
@given(values=st.lists(st.floats(), min_size=1, max_size=5))
def test_metrics_arrive_as_they_were_written(tmp_path, values):
    rows = [curve(epochs=1)[0] | {"epoch": epoch, "val_loss": value} for epoch, value in enumerate(values, start=1)]
    write_run(tmp_path / "run", {}, rows)
    read = collect([tmp_path]).histories["val_loss"].tolist()
    assert all(a == b or (math.isnan(a) and math.isnan(b)) for a, b in zip(read, values, strict=True))


@given(st.lists(st.lists(st.sampled_from("abc"), min_size=1, max_size=4), unique_by=tuple, max_size=6))
def test_names_are_distinct_and_end_in_the_folders_own(tmp_path_factory, parts):
    paths = [tmp_path_factory.getbasetemp().joinpath(*names) for names in parts]
    names = distinct_names(paths)
    assert len(set(names)) == len(paths)
    assert all(str(path).endswith(name) for path, name in zip(paths, names, strict=True))


def test_a_run_that_stands_in_the_plan_twice_is_one_row(tmp_path):
    sweep = write_sweep(tmp_path, POINTS[:1])
    command, (run,) = sweep.read_plan()
    sweep.write_plan(command, [run, PlannedRun(run.run, run.overrides, run.identity)])
    assert len(collect([tmp_path]).runs) == 1
