"""``evaluate.py SWEEP --selected``, on a tiny sweep that was really trained: what it measures, records and refuses."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import sweeping
from omegaconf import DictConfig
from scipy.stats import binomtest
from selected_sweeps import POINTS, TESTS, Captured, refused, said, train_sweep, write_images

from fashion_sweep import load_sweep
from fashion_sweep.cli import evaluate
from fashion_sweep.errors import FolderError
from fashion_sweep.evaluation import measure, saved_model
from fashion_sweep.storage import looks
from fashion_sweep.storage.lease import owned
from fashion_sweep.storage.record import RunRecord
from fashion_sweep.storage.run_dir import RunDir
from fashion_sweep.storage.sweep_dir import SweepDir


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("kept")


@pytest.fixture
def sweep(composed: Callable[..., DictConfig], kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SweepDir:
    """Adam and SGD with two seeds each on an .npz file with test images, trained once and copied for each test."""
    if not (kept / "s").exists():
        write_images(kept / "mine.npz")
        train_sweep(composed, kept)
    shutil.copytree(kept, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return SweepDir(Path("s"))


def selected_name(sweep: SweepDir) -> str:
    return load_sweep(sweep.path).best().setting


def test_the_selected_models_are_measured_on_the_test_images(sweep: SweepDir, capsys: Captured) -> None:
    import keras

    out = said(capsys, "s", "--selected", "--test")
    [look] = looks.read(sweep)
    with np.load("mine.npz") as arrays:
        x, y = arrays["x_test"].astype("float32") / 255, arrays["y_test"]
    names = list(load_sweep("s").best().runs["run"])
    assert [run.run for run in look.runs] == names
    correct = []
    for run in look.runs:
        model = keras.saving.load_model(sweep.path / run.run / "best.keras")
        rows = model.predict(x, verbose=0)
        correct.append(rows.argmax(axis=1) == y)
        assert run.test_accuracy == correct[-1].mean()
        assert run.test_loss == pytest.approx(-np.log(rows[np.arange(TESTS), y]).mean(), rel=1e-4)
        record = RunDir(sweep.path / run.run).read_record()
        assert record is not None
        assert record.best is not None
        assert run.val_loss == pytest.approx(record.best["val_loss"], rel=1e-5)
    assert look.test.accuracy.value == pytest.approx(np.mean(correct))
    assert look.difference.loss.value == pytest.approx(look.test.loss.value - look.validation.loss.value)
    assert look.difference.loss.low < look.difference.loss.value < look.difference.loss.high
    assert (look.images, look.among, look.left_out, look.metric) == (TESTS, 2, {}, "val_loss")
    assert look.versions["keras"]
    assert f"On {TESTS} test images, {selected_name(sweep)} (the lowest mean validation loss of 2 settings;" in out
    assert "the first look at test images that this sweep has recorded" in out
    assert load_sweep("s").test().test == look.test
    assert not (sweep.path / "owner.json").exists()


def test_a_second_look_shows_what_was_recorded(
    sweep: SweepDir, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = said(capsys, "s", "--selected", "--test")
    before = sweep.test.read_bytes()
    monkeypatch.setattr(measure, "evaluate", None)
    second = said(capsys, "s", "--selected", "--test")
    assert "recorded  20" in second
    assert "the same models were measured then, and are not measured again" in second
    assert [line for line in first.splitlines() if line not in second.splitlines()] == []
    assert sweep.test.read_bytes() == before


def test_another_selection_is_another_look(sweep: SweepDir, capsys: Captured) -> None:
    said(capsys, "s", "--selected", "--test")
    chosen = looks.read(sweep)[0].runs[0].run
    shutil.rmtree(sweep.path / chosen)
    evaluate.main(["s", "--selected", "--test"])
    out, err = capsys.readouterr()
    assert err == "warning: 1 run has not completed; with it, another setting may be best\n"
    assert len(looks.read(sweep)) == 2
    assert "after 1 look at them (1 selection): if what was seen there had a part in what was trained" in out


def test_a_model_that_was_replaced_and_other_test_images_are_looked_at_again(sweep: SweepDir, capsys: Captured) -> None:
    said(capsys, "s", "--selected", "--test")
    [first] = looks.read(sweep)
    one, two = (sweep.path / run.run / "best.keras" for run in first.runs)
    shutil.copy(one, two)
    evaluate.main(["s", "--selected", "--test"])
    assert f"{first.runs[1].run}: no epoch of its history has this loss and accuracy" in capsys.readouterr().err
    write_images(Path("mine.npz"), y_test=np.zeros(TESTS, int))
    evaluate.main(["s", "--selected", "--test"])
    found = looks.read(sweep)
    assert len({look.key for look in found}) == 3
    assert found[1].fingerprint == first.fingerprint != found[2].fingerprint


def test_without_test_nothing_is_looked_at(sweep: SweepDir, capsys: Captured) -> None:
    out = said(capsys, "s", "--selected")
    assert not sweep.test.exists()
    runs = load_sweep("s").best().runs
    for name, loss in zip(runs["run"], runs["best_val_loss"], strict=True):
        assert f"run       {name}: loss {loss:.4f}" in out
    assert f"loss      {runs['best_val_loss'].mean():.4f} (95% interval over images " in out
    assert "images    24 validation images" in out
    assert "expect somewhat worse figures on new images" in out


def test_a_single_run_of_a_sweep_is_recorded_too(sweep: SweepDir, capsys: Captured) -> None:
    shutil.copy("s/sgd-0/best.keras", "s/sgd-0/copy.keras")
    out = said(capsys, "s/sgd-0", "--test")
    assert "looks     1 at the test images, recorded in this sweep's test.json" in out
    assert said(capsys, "s/sgd-0", "--test") == out
    [look] = looks.read(sweep)
    [run] = look.runs
    assert (look.asked, run.run, run.file) == ("run", "sgd-0", "best.keras")
    found = binomtest(round(run.test_accuracy * TESTS), TESTS).proportion_ci(method="wilson")
    assert (look.test.accuracy.low, look.test.accuracy.high) == pytest.approx((found.low, found.high))
    assert f"correct; 95% interval over images {found.low:.4f} to {found.high:.4f})" in out
    assert "looks     2 at" in said(capsys, "s/sgd-0", "--test", "--file", "copy.keras")
    assert "after 2 looks at them (2 single runs)" in said(capsys, "s", "--selected", "--test")


def test_a_run_that_is_in_no_sweep_leaves_no_record(sweep: SweepDir, capsys: Captured) -> None:
    shutil.copytree("s/adam-0", "alone/adam-0")
    assert "looks" not in said(capsys, "alone/adam-0", "--test")
    assert [path.name for path in Path("alone").iterdir()] == ["adam-0"]


KILLS = """
import builtins, os
shown = builtins.print
def dies(*texts, **options):
    if any("test images" in str(text) for text in texts):
        os._exit(9)
    shown(*texts, **options)
builtins.print = dies
"""


def test_a_look_is_recorded_before_it_is_shown(sweep: SweepDir, tmp_path: Path, capsys: Captured) -> None:
    done = sweeping.script(tmp_path, "evaluate", "s", "--selected", "--test", **sweeping.site(tmp_path, KILLS))
    assert (done.returncode, "loss of" in done.stdout) == (9, False)
    [look] = looks.read(sweep)
    out = said(capsys, "s", "--selected", "--test")
    assert "the same models were measured then" in out
    assert looks.read(sweep) == [look]


def test_a_damaged_record_stops_every_look(sweep: SweepDir, capsys: Captured) -> None:
    sweep.test.write_text('{"looks": [')
    for arguments in (["s", "--selected"], ["s/adam-0"]):
        assert "s/test.json: cannot be read as looks at the test images" in refused(capsys, *arguments, "--test")
    assert sweep.test.read_text() == '{"looks": ['


def test_a_sweep_in_use_is_not_looked_at(sweep: SweepDir, capsys: Captured) -> None:
    with owned(sweep.path):
        for arguments in (["s", "--selected"], ["s/adam-0"]):
            assert "s is in use by process" in refused(capsys, *arguments, "--test")
        assert not sweep.test.exists()
        said(capsys, "s", "--selected")


def test_what_is_recorded_is_shown_while_the_sweep_is_in_use(sweep: SweepDir, capsys: Captured) -> None:
    said(capsys, "s", "--selected", "--test")
    with owned(sweep.path):
        assert "the same models were measured then" in said(capsys, "s", "--selected", "--test")


def test_runs_that_were_validated_on_other_images_have_a_difference_without_interval(
    composed: Callable[..., DictConfig], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    write_images(tmp_path / "mine.npz")
    train_sweep(composed, tmp_path, "data.split_seed=${seed}")
    monkeypatch.chdir(tmp_path)
    assert "The runs have different validation images, so there is no interval." in said(
        capsys, "s", "--selected", "--test"
    )
    [look] = looks.read(SweepDir(Path("s")))
    assert np.isnan(look.difference.loss.low)
    assert look.test.loss.low < look.test.loss.high


def _rewritten(run: Path, **changes: object) -> None:
    record = json.loads((run / "run.json").read_text()) | changes
    RunDir(run).write_record(RunRecord.from_json(json.dumps(record)))


def test_what_cannot_be_selected_or_measured_is_refused(sweep: SweepDir, capsys: Captured) -> None:
    names = list(load_sweep("s").best().runs["run"])
    best = sweep.path / names[0] / "best.keras"
    best.rename(best.with_name("other.keras"))
    assert refused(capsys, "s", "--selected") == (
        f"s/{names[0]}: callbacks=checkpoint saved its best model as best.keras, which is gone"
    )
    best.with_name("other.keras").rename(best)
    write_images(Path("mine.npz"), x_test=None, y_test=None)
    assert "mine.npz: has no test images: expected x_test and y_test" in refused(capsys, "s", "--selected", "--test")
    write_images(Path("mine.npz"), y_train=np.zeros(120, int), y_test=np.zeros(TESTS, int))
    assert "the dataset is no longer the one that the run was trained on" in refused(capsys, "s", "--selected")
    assert "the dataset is no longer the one that the run was trained on" in refused(
        capsys, "s", "--selected", "--test"
    )
    data = json.loads((sweep.path / "sgd-0/run.json").read_text())["data"]
    _rewritten(sweep.path / "sgd-0", data=data | {"fingerprint": "0" * 64})
    assert "s: its runs were trained on 2 datasets (00000000, " in refused(capsys, "s", "--selected")
    config = json.loads((sweep.path / "sgd-1/run.json").read_text())["config"]
    _rewritten(sweep.path / "sgd-1", config=config | {"objective": "val_accuracy"})
    assert "trained for val_accuracy and for val_loss: no ranking holds" in refused(capsys, "s", "--selected")
    for _, seed in POINTS[:2]:
        for optimizer in ("adam", "sgd"):
            _rewritten(sweep.path / f"{optimizer}-{seed}", status="failed")
    assert refused(capsys, "s", "--selected") == (
        "s: no run has completed with a result, so there is nothing to select"
    )
    assert not sweep.test.exists()


def test_a_sweep_without_best_models_is_told_how_to_get_them(sweep: SweepDir, capsys: Captured) -> None:
    for optimizer, seed in POINTS:
        run = sweep.path / f"{optimizer}-{seed}"
        shutil.rmtree(run / ".hydra", ignore_errors=True)
        config = json.loads((run / "run.json").read_text())["config"]
        _rewritten(run, config=config | {"callbacks": {}})
    told = refused(capsys, "s", "--selected", "--test")
    assert "the model of its best val_loss was not saved;\ntrain the sweep with callbacks=checkpoint" in told
    for optimizer, seed in POINTS:
        choices = {"model": "logistic", "trainer": "cross_validation"}
        _rewritten(sweep.path / f"{optimizer}-{seed}", choices=choices)
    assert "a run of model=logistic saves no network; see folds.csv" in refused(capsys, "s", "--selected", "--test")


def test_a_checkpoint_of_another_metric_is_not_the_best_model(sweep: SweepDir) -> None:
    run = saved_model.open_run(sweep.path / "adam-0")
    run.record.config["callbacks"]["checkpoint"]["monitor"] = "val_accuracy"
    with pytest.raises(FolderError, match="the model of its best val_loss was not saved"):
        saved_model.choose_best(run)
    run.record.config["objective"] = "val_accuracy"
    assert saved_model.choose_best(run).name == "best.keras"


def test_folders_that_hold_no_sweep(sweep: SweepDir, capsys: Captured) -> None:
    assert refused(capsys, "s/adam-0", "--selected") == (
        "s/adam-0: this is a run's folder; --selected takes that of a sweep, such as s"
    )
    assert refused(capsys, "nowhere", "--selected").startswith("nowhere: no such folder")
    assert "It holds sweeps: give one of them, such as s" in refused(capsys, ".", "--selected")
    sweep.plan.unlink()
    assert refused(capsys, "s", "--selected") == "s: has no sweep.json, so nothing says which runs were compared"


def test_options_for_one_model_are_refused(sweep: SweepDir, capsys: Captured) -> None:
    assert "--predict and --confusion take one" in refused(capsys, "s", "--selected", "--confusion")
    assert "--predict and --confusion take one" in refused(capsys, "s", "--selected", "--predict", "mine.npz")
    for option in (["--last"], ["--file", "best.keras"]):
        with pytest.raises(SystemExit) as raised:
            evaluate.main(["s", "--selected", *option])
        assert raised.value.code == 2
        assert "not allowed with argument" in capsys.readouterr().err
