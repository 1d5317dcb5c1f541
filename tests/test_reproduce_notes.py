"""scripts/reproduce_notes.py: its arithmetic with literal numbers, its table, and the real command, tiny."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from fashion_sweep.storage.sweep_dir import SweepDir

SCRIPTS = Path(__file__).parents[1] / "scripts"
sys.path.insert(0, str(SCRIPTS))

from analysis_folders import grid, run_folder, write_sweep  # noqa: E402
from notes import compare, outcome, page, rows, sweeps, table  # noqa: E402

from fashion_sweep.app import CONF  # noqa: E402
from fashion_sweep.storage.record import RunRecord, Status  # noqa: E402

EXPERIMENTS = {experiment.name: experiment for experiment in rows.EXPERIMENTS}
TINY = ("data=synthetic", "data.samples=320", "data.image_size=8", "epochs=2")


def compared(reported: rows.Reported, ours: tuple[float, ...], measure: str = "last_loss") -> compare.Comparison:
    return compare.Comparison(rows.Row("what", "notes_softmax", {measure: reported}), measure, ours)


@pytest.fixture
def overfitting(tmp_path: Path) -> sweeps.Sweep:
    """Synthetic runs of RMSprop and Adam, three seeds each, in 20 epochs."""
    folder = tmp_path / "notes_overfitting"
    write_sweep(folder, grid(optimizer=["rmsprop", "adam"], seed=[0, 1, 2]), epochs=20)
    return sweeps.read(EXPERIMENTS["notes_overfitting"], 3, folder, ["-m", "fashion_sweep"])


@pytest.fixture
def found(overfitting: sweeps.Sweep, tmp_path: Path) -> outcome.Outcome:
    write_sweep(tmp_path / "notes_softmax", grid(optimizer=["rmsprop"], seed=[0, 1, 2]))
    folders = {"notes_overfitting": overfitting}
    for name, points in (("notes_dropout", {"model__dropout": [0.3]}), ("notes_early_stopping", {"epochs": [20]})):
        write_sweep(tmp_path / name, grid(**points, seed=[0, 1, 2]), epochs=12)
        folders[name] = sweeps.read(EXPERIMENTS[name], 3, tmp_path / name, ["-m", "fashion_sweep"])
    folders["notes_softmax"] = sweeps.read(EXPERIMENTS["notes_softmax"], 3, tmp_path / "notes_softmax", ["-m"])
    restored = [compare.Restoration(rows.RESTORED[0], (0.88, 0.881, 0.879), 2)]
    return outcome.Outcome("python scripts/reproduce_notes.py", "2030-01-02", 3, [], folders, restored, 65.4)


def test_the_prediction_interval() -> None:
    # t(0.975, 4) = 2.776445, s = 1.581139: 2.776445 * 1.581139 * sqrt(1.2) = 4.808944
    assert compare.prediction_interval([1, 2, 3, 4, 5]) == pytest.approx((-1.808944, 7.808944), abs=1e-6)
    # t(0.975, 1) = 12.706205, s = 0.014142: 12.706205 * 0.014142 * sqrt(1.5) = 0.220078
    assert compare.prediction_interval([0.86, 0.88]) == pytest.approx((0.649922, 1.090078), abs=1e-6)
    assert compare.prediction_interval([0.5]) is None


def test_the_place_of_a_number() -> None:
    ours = (1.0, 2.0, 3.0, 4.0, 5.0)
    assert outcome.place(compared(7.8, ours)) == "inside"
    assert outcome.place(compared(8.0, ours)) == "0.1910 above"
    assert outcome.place(compared(-2.0, ours)) == "0.1910 below"
    assert outcome.place(compared(0.5, (0.5,))) == "-"
    assert outcome.place(compared(0.5, ())) == "-"


def test_a_printed_number_stands_for_all_that_round_to_it() -> None:
    assert compared(0.4301, (0.43006, 0.43006)).distance == 0
    assert compared(0.4301, (0.43004, 0.43004)).distance == pytest.approx(1e-5)
    assert compared(11, (11.02, 11.02), "epochs_run").distance == pytest.approx(-0.02)
    assert compared((7, 8), (8.0, 8.0), "best_epoch").distance == 0


def test_runs_are_chosen_by_settings() -> None:
    frame = pd.DataFrame({"optimizer": ["sgd", "sgd", "adam"], "learning_rate": [0.1, 0.01, 0.001]})
    assert list(compare.selected(frame, {"optimizer": "sgd", "learning_rate": 0.1}).index) == [0]
    assert compare.selected(frame, {"epochs": 5}).empty


def test_words_of_a_sweep() -> None:
    words = sweeps.arguments(EXPERIMENTS["notes_logistic"], 3, Path("out put/it's"), ["epochs=1"])
    assert words == [
        *("-m", "fashion_sweep", "-m", "experiment=notes_logistic", "model.random_state=42,43,44", "epochs=1"),
        "hydra.sweep.dir='out put/it\\'s'",
    ]


def test_commands_do_not_show_the_machines_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shown = sweeps.shown(["-m", "x", f"a={tmp_path}/here/it", "b=/far/away/it", "c=1/2"])
    assert shown == "python -m x a=here/it b=.../it c=1/2"


def test_time_by_the_clock_counts_once() -> None:
    spans = [("00:00", "10:00"), ("05:00", "12:00"), ("06:00", "07:00"), ("20:00", "20:30")]
    times: list[dict[str, Any]] = [
        {"started": f"2030-01-02T03:{a}+00:00", "ended": f"2030-01-02T03:{b}+00:00"} for a, b in spans
    ]
    assert sweeps.seconds([RunRecord("a", "b", **time) for time in times]) == 12 * 60 + 30


def test_runs_that_do_not_count(overfitting: sweeps.Sweep) -> None:
    assert (overfitting.planned, len(overfitting.runs), overfitting.missing) == (6, 6, [])
    failed = run_folder(SweepDir(overfitting.folder), {"optimizer": "adam", "seed": 2})
    record = failed.read_record()
    assert record is not None
    record.status, record.reason = Status.FAILED, "disk full"
    failed.write_record(record)
    two = sweeps.read(overfitting.experiment, 2, overfitting.folder, [])
    assert (two.planned, len(two.runs), len(two.histories), two.missing) == (4, 4, 80, [])
    three = sweeps.read(overfitting.experiment, 3, overfitting.folder, [])
    assert (len(three.runs), len(three.records)) == (5, 5)
    assert three.missing == [f"{failed.path.name}: failed (disk full)"]


def test_trends(overfitting: sweeps.Sweep) -> None:
    rmsprop, adam = (compare.trend(curve, overfitting.runs) for curve in rows.CURVES[2:4])
    assert (rmsprop.best_epoch, adam.best_epoch) == ((9, 9, 8), (8, 8, 7))
    assert adam.best == (0.378955, 0.377207, 0.37728)
    assert adam.rise == pytest.approx((0.083928, 0.079908, 0.087449))


def test_the_table(found: outcome.Outcome) -> None:
    text = table.markdown(found)
    lines = text.splitlines()
    assert "**1 of 7 numbers of the notes lie inside" in text
    loss = "0.4429 | 0.4138 ± 0.0047 | 3 | 0.3903 to 0.4373 | 0.0055 above |"
    assert f"| softmax | softmax layer | 5 | val_loss | {loss}" in lines
    adam = "epoch of lowest val_loss | 10 | 7.7 ± 0.6 | 3 | 4.8 to 10.5 | inside |"
    assert f"| overfitting | Adam | 20 | {adam}" in lines
    assert "RMSprop: 0.0667; Adam: 0.0838; Adam, dropout 0.3: 0.0022 (RMSprop most" in text
    assert "| saving | last.weights.h5 | 0.8800 ± 0.0010 | 2 of 3 runs, last epoch |" in lines
    assert "| number of runs by epoch | 7 | 8 | 12 |" in lines
    assert "| epochs run |  |  | 3 |" in lines
    assert "| epoch of lowest val_loss | 1 | 2 |  |" in lines
    assert outcome.DIFFERENCES in text
    assert "host" not in text


def test_the_page_and_its_figures(found: outcome.Outcome, tmp_path: Path) -> None:
    written = page.write(found, tmp_path / "page")
    names = {file.name for file in written.parent.iterdir()}
    assert names == {"index.html", "numbers.png", "overfitting.png", "stopping.png"}
    text = written.read_text("utf-8")
    assert text.count('src="data:image/png;base64,') == 3
    assert "http:" not in text
    assert "https:" not in text


def test_every_row_has_an_experiment() -> None:
    given: tuple[Any, ...] = (*rows.ROWS, *rows.CURVES, *rows.RESTORED)
    wanted = {each.experiment for each in given}
    assert wanted == set(EXPERIMENTS)
    assert {path.stem for path in (CONF / "experiment").glob("notes_*.yaml")} == set(EXPERIMENTS)
    assert all(measure in rows.MEASURES for row in rows.ROWS for measure in row.reported)


def script(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    env = {key: value for key, value in os.environ.items() if not key.startswith("TF_")}
    command = [sys.executable, str(SCRIPTS / "reproduce_notes.py"), *words]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.slow
def test_the_command_trains_what_is_missing(tmp_path: Path) -> None:
    def reproduced(count: int) -> dict[Path, int]:
        done = script(tmp_path, "--seeds", str(count), "--only", "notes_saving", "--output", "out", *TINY)
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
        return {path: path.stat().st_mtime_ns for path in (tmp_path / "out/notes_saving").glob("*/history.csv")}

    before, after = reproduced(1), reproduced(2)
    assert (len(before), len(after)) == (1, 2)
    assert before.items() <= after.items()
    text = (tmp_path / "NOTES_TABLE.md").read_text("utf-8")
    assert "| saving | last.weights.h5 |" in text
    assert text.count("2 of 2 runs, last epoch") == 2
    assert "experiment=notes_saving seed=0,1 data=synthetic data.samples=320" in text
    assert str(tmp_path) not in text
    assert (tmp_path / "out/index.html").is_file()


def test_wrong_commands(tmp_path: Path) -> None:
    assert "notes_nothing: expected some of notes_logistic" in script(tmp_path, "--only", "notes_nothing").stderr
    done = script(tmp_path, "--seeds", "1", "--only", "notes_saving", "epochs=none")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("error: exit code 2 of: python -m fashion_sweep -m experiment=")
    assert not (tmp_path / "NOTES_TABLE.md").exists()
