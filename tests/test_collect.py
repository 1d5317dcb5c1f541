import json
import math
import os
import shutil
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from analysis_folders import config, curve, grid, record, run_folder, write_run, write_samples, write_sweep
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from optional import present

from fashion_sweep.analysis.load import collect
from fashion_sweep.analysis.summary import summarize
from fashion_sweep.errors import FolderError
from fashion_sweep.storage.lease import owned
from fashion_sweep.storage.owner import Owner
from fashion_sweep.storage.record import Status
from fashion_sweep.storage.sweep_dir import PlannedRun, SweepDir

POINTS = grid(optimizer=["sgd", "adam"], model__dropout=[0, 0.3])


def test_a_sweep_has_a_row_a_run_in_plan_order(tmp_path: Path) -> None:
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


def test_every_other_swept_override_has_a_column(tmp_path: Path) -> None:
    write_sweep(tmp_path, grid(model__hidden_units=[[100], [300, 100]], batch_size=[32, 64], epochs=[5]))
    collected = collect([tmp_path])
    assert collected.swept == ["model.hidden_units", "batch_size"]
    assert collected.runs["model.hidden_units"].tolist() == ["[100]", "[100]", "[300,100]", "[300,100]"]
    assert collected.runs["batch_size"].tolist() == [32, 64, 32, 64]


def test_a_run_that_has_not_started_is_pending_with_settings_from_its_overrides(tmp_path: Path) -> None:
    sweep = write_sweep(tmp_path, POINTS)
    shutil.rmtree(run_folder(sweep, POINTS[3]).path)
    row = collect([tmp_path]).runs.iloc[3]
    assert (row["status"], row["optimizer"], row["dropout"], row["model"]) == ("pending", "adam", 0.3, None)
    assert (row["epochs_run"], row["reason"]) == (0, None)


def test_a_running_run_shows_its_epochs_so_far(tmp_path: Path) -> None:
    sweep = write_sweep(tmp_path, POINTS)
    folder = run_folder(sweep, POINTS[0])
    write_run(folder.path, POINTS[0], curve("sgd", epochs=4), status=Status.RUNNING, seconds=None, epochs_run=0)
    with owned(tmp_path):
        row = collect([tmp_path]).runs.iloc[0]
        alone = collect([folder.path]).runs.iloc[0]
    assert (row["status"], row["epochs_run"], row["seconds"]) == ("running", 4, 5.0)
    assert alone["status"] == "running"


def test_a_running_run_without_an_owner_is_interrupted(tmp_path: Path) -> None:
    sweep = write_sweep(tmp_path, POINTS)
    folder = run_folder(sweep, POINTS[0])
    write_run(folder.path, POINTS[0], curve("sgd", epochs=4), status=Status.RUNNING, seconds=None, epochs_run=0)
    dead = replace(Owner.this_process(), pid=2**22 + 1)
    (tmp_path / "owner.json").write_text(json.dumps(asdict(dead)))
    row = collect([tmp_path]).runs.iloc[0]
    assert (row["status"], row["reason"]) == ("interrupted", "its process died")
    assert (row["epochs_run"], row["seconds"]) == (4, 5.0)


def test_a_damaged_record_is_left_out_with_a_warning(tmp_path: Path) -> None:
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
def test_a_record_with_a_wrong_kind_of_value_says_which(
    tmp_path: Path, field: str, value: dict[str, str] | list[str] | str | None, reason: str
) -> None:
    folder = write_run(tmp_path / "run", {}, curve())
    folder.record.write_text(json.dumps(json.loads(folder.record.read_text()) | {field: value}))
    collected = collect([tmp_path])
    assert collected.runs.empty
    assert collected.warnings == [f"{folder.record}: cannot be read as a run's record ({reason}); run left out"]


HEAD = "epoch,loss,accuracy,val_loss,val_accuracy\n"
TWO = HEAD + "1,0.5,0.5,0.75,0.5\n2,0.5,0.5,0.5,0.5\n"


@pytest.mark.parametrize(
    ("text", "shown", "fault"),
    [
        ("", 0, "line 1 is not the column names: ''; run shown without its curves"),
        (HEAD + "nan,1,1,1,1\n", 0, "line 2 is damaged: its epoch is nan, expected 1; run shown without its curves"),
        (TWO + "3,0.5,0.", 2, "line 4 is damaged: truncated; run shown up to epoch 2"),
        (TWO + "3,1,1\n", 2, "line 4 is damaged: it has 3 cells, expected 5; run shown up to epoch 2"),
        (TWO, 2, "has 2 epochs, but the run's record says 3; run shown up to epoch 2"),
        (TWO + "3,1,1,1,1\n4,1,1,0.125,1\n", 3, "has 4 epochs, but the run's record says 3; run shown up to epoch 3"),
    ],
)
def test_a_damaged_history_is_shown_up_to_the_damage_with_the_records_metrics(
    tmp_path: Path, text: str, shown: int, fault: str
) -> None:
    folder = write_run(tmp_path / "run", {}, curve(epochs=3))
    folder.history.write_text(text)
    collected = collect([tmp_path])
    assert collected.histories["epoch"].tolist() == list(range(1, shown + 1))
    assert collected.runs[["is_partial", "epochs_run"]].to_numpy().tolist() == [[True, 3]]
    assert summarize(collected.runs, collected.histories, collected.measure)["best_val_loss"].tolist() == [
        min(row["val_loss"] for row in curve(epochs=3))
    ]
    assert collected.warnings == [f"{folder.history}: {fault}"]


def test_a_run_that_did_not_complete_has_the_metrics_of_its_readable_epochs(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", {}, [], status=Status.INTERRUPTED)
    folder.history.write_text(TWO + "3,")
    collected = collect([tmp_path])
    row = summarize(collected.runs, collected.histories, collected.measure).iloc[0]
    assert (row["is_partial"], row["epochs_run"], row["best_epoch"], row["best_val_loss"]) == (True, 2, 2, 0.5)


@pytest.mark.parametrize("with_plan", [True, False])
def test_a_run_whose_record_is_lost_is_left_out_and_named(tmp_path: Path, with_plan: bool) -> None:
    sweep = write_sweep(tmp_path, POINTS)
    lost = run_folder(sweep, POINTS[1])
    lost.record.unlink()
    if not with_plan:
        sweep.plan.unlink()
    collected = collect([tmp_path])
    assert len(collected.runs) == 3
    assert collected.warnings == [f"{lost.record}: missing, though the run has a history; run left out"]


@pytest.mark.parametrize("name", ["../outside", "/etc", "..", "", "a\0b", 7])
def test_a_plan_cannot_lead_out_of_the_sweeps_folder(tmp_path: Path, name: int | str) -> None:
    sweep = write_sweep(tmp_path / "sweep", POINTS[:1])
    write_run(tmp_path / "outside", {}, curve())
    plan = json.loads(sweep.plan.read_text())
    plan["runs"].append({"run": name, "overrides": [], "identity": ""})
    sweep.plan.write_text(json.dumps(plan))
    collected = collect([sweep.path])
    assert len(collected.runs) == 1
    assert collected.warnings == [f"{sweep.plan}: {name!r} is not a valid folder name; run left out"]


@pytest.mark.parametrize("raw", [b"", b"\x00" * 40, b"\xff\xfe{}", b"[" * 100_000, b'{"run": "a"', b"7", b"null"])
def test_garbage_in_any_file_leaves_the_other_runs(tmp_path: Path, raw: bytes) -> None:
    sweep = write_sweep(tmp_path, POINTS)
    run_folder(sweep, POINTS[0]).record.write_bytes(raw)
    run_folder(sweep, POINTS[1]).history.write_bytes(raw)
    sweep.plan.write_bytes(raw)
    collected = collect([tmp_path])
    assert len(collected.runs) == 3
    assert len(collected.histories) == 10
    named = {text.partition(": ")[0].rpartition("/")[2] for text in collected.warnings}
    assert named == {"sweep.json", "run.json", "history.csv"}


def test_settings_named_like_a_column_do_not_break_the_table(tmp_path: Path) -> None:
    for name in "ab":
        run = write_run(tmp_path / name, {}, curve())
        added = dict.fromkeys(("status", "best_epoch", "learning_rate", "x"), name)
        overrides = [f"+{key}={value}" for key, value in added.items()]
        run.write_record(replace(record({}, curve()), overrides=overrides, config=config({}) | added))
    collected = collect([tmp_path])
    assert collected.swept == ["x"]
    assert collected.runs["status"].tolist() == ["completed"] * 2


def test_folders_that_differ_only_in_control_characters_are_two_runs(tmp_path: Path) -> None:
    for name in ("a\x1bb", "a\x07b"):
        write_run(tmp_path / name, {}, curve())
    collected = collect([tmp_path])
    assert collected.runs["run"].tolist() == ["a b", "a b (2)"]
    (tmp_path / "a\x07b" / "run.json").write_text("{")
    assert "\x07" not in collect([tmp_path]).warnings[0]


def test_a_single_runs_command_is_one_clean_line(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", {}, curve())
    run.write_record(replace(record({}, curve()), overrides=["a=1\n\x1b[31m# Heading"]))
    assert collect([tmp_path / "run"]).commands == ["python -m fashion_sweep 'a=1  [31m# Heading'"]


def test_a_damaged_plan_leaves_the_runs_that_are_there(tmp_path: Path) -> None:
    sweep = write_sweep(tmp_path, POINTS)
    sweep.plan.write_text("[]")
    collected = collect([tmp_path])
    assert len(collected.runs) == 4
    assert collected.commands == []
    assert "sweep.json: cannot be read as a sweep's plan" in collected.warnings[0]


def test_a_single_run_is_a_sweep_of_one(tmp_path: Path) -> None:
    write_run(tmp_path / "run", {"model.dropout": 0.3}, curve())
    collected = collect([tmp_path / "run"])
    assert collected.runs["run"].tolist() == ["run"]
    assert collected.commands == ["python -m fashion_sweep model.dropout=0.3"]


def test_runs_with_the_same_name_in_two_sweeps_get_distinct_names(tmp_path: Path) -> None:
    for name in ("first", "second"):
        write_sweep(tmp_path / name, POINTS[:1])
    write_run(tmp_path / "second" / "other", {}, curve())
    run = run_folder(SweepDir(tmp_path), POINTS[0]).path.name
    names = collect([tmp_path / "first", tmp_path / "second", tmp_path / "first" / ".." / "first"]).runs["run"]
    assert names.tolist() == [f"first/{run}", f"second/{run}", "other"]


def test_samples_are_found_beside_a_sweep_and_beside_its_runs(tmp_path: Path) -> None:
    sweep = write_sweep(tmp_path, POINTS[:1])
    assert collect([tmp_path]).samples is None
    write_samples(sweep)
    assert collect([tmp_path]).samples == sweep.samples
    assert present(collect([run_folder(sweep, POINTS[0]).path]).samples).name == sweep.samples.name


def test_a_folder_without_runs_says_what_was_expected(tmp_path: Path) -> None:
    with pytest.raises(FolderError) as none:
        collect([tmp_path / "gone"])
    assert str(none.value) == f"{tmp_path}/gone: no such folder. Give the folder of a sweep or of one run."
    with pytest.raises(FolderError) as empty:
        collect([tmp_path])
    expected = "expected a sweep (sweep.json, or folders with a run.json) or a run (run.json), found neither."
    assert str(empty.value) == f"{tmp_path}: {expected}\nGive the folder of a sweep."


def test_a_folder_of_sweeps_names_one(tmp_path: Path) -> None:
    write_sweep(tmp_path / "a", [])
    write_sweep(tmp_path / "b", [])
    with pytest.raises(FolderError, match=rf"It holds sweeps: give one of them, such as {tmp_path}/b$"):
        collect([tmp_path])


def test_control_characters_in_a_reason_become_blanks(tmp_path: Path) -> None:
    write_run(tmp_path / "run", {}, [], status=Status.FAILED, reason="a\x1b[31m\nb\ud800")
    assert collect([tmp_path]).runs["reason"].tolist() == ["a [31m b?"]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(field=st.sampled_from(sorted(json.loads(record({}, []).to_json()))), value=JSON)
def test_any_value_in_a_record_is_read_or_warned_about(tmp_path: Path, field: str, value: Any) -> None:
    folder = write_run(tmp_path / "run", {}, [])
    folder.record.write_text(json.dumps(json.loads(folder.record.read_text()) | {field: value}), "utf-8")
    collected = collect([tmp_path])
    if field == "epochs_run" and collected.warnings:  # shown, and warned of: the history has fewer
        assert len(collected.warnings) == 1
        return
    assert len(collected.runs) + len(collected.warnings) == 1


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=30)
@given(values=st.lists(st.floats(), min_size=1, max_size=5))
def test_metrics_arrive_as_they_were_written(tmp_path: Path, values: list[float]) -> None:
    rows = [curve(epochs=1)[0] | {"epoch": epoch, "val_loss": value} for epoch, value in enumerate(values, start=1)]
    write_run(tmp_path / "run", {}, rows)
    read = collect([tmp_path]).histories["val_loss"].tolist()
    assert all(a == b or (math.isnan(a) and math.isnan(b)) for a, b in zip(read, values, strict=True))


def test_a_folder_without_read_permission_is_skipped(tmp_path: Path) -> None:
    write_sweep(tmp_path, POINTS[:1])
    (tmp_path / "lost+found").mkdir(mode=0)
    code = "from fashion_sweep.analysis.load import *; import sys; print(len(collect([Path(sys.argv[1])]).runs))"
    without = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    done = subprocess.run([*without, sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("1\n", "")


def test_a_run_that_is_planned_twice_is_one_row(tmp_path: Path) -> None:
    sweep = write_sweep(tmp_path, POINTS[:1])
    [command], (run,) = sweep.read_plan()
    sweep.write_plan(command, [run, PlannedRun(run.run, run.overrides, run.identity)])
    assert len(collect([tmp_path]).runs) == 1
