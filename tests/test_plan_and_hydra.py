"""Where plan and runs used to disagree: folders, choices of Hydra's own groups, values that change, resumed runs."""

from __future__ import annotations

import json
from argparse import Namespace
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import planning
import pytest
import sweeping
from planning import make

from fashion_sweep import app
from fashion_sweep.errors import ConfigError
from fashion_sweep.planning import run_spec
from fashion_sweep.planning.request import Request
from fashion_sweep.storage.identity import identity
from fashion_sweep.storage.record import RunRecord, Status
from fashion_sweep.storage.run_dir import RunDir
from fashion_sweep.storage.sweep_dir import SweepDir


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    """A folder of config groups of one's own."""
    files = {
        "experiment/serial.yaml": "# @package _global_\ndefaults:\n  - override /hydra/launcher: basic\n",
        "experiment/listed.yaml": "# @package _global_\ndefaults:\n  - override /hydra/sweeper: basic\n",
        "experiment/grid.yaml": "# @package _global_\nhydra:\n  sweeper:\n    params:\n      optimizer: sgd,momentum\n",
        "model/own.yaml": "_target_: own_nets.net\n",
    }
    for name, text in files.items():
        path = tmp_path / "conf" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "conf"


def error(*overrides: str, extra_conf: str | None = None) -> str:
    with pytest.raises(ConfigError) as caught:
        make(*overrides, extra_conf=extra_conf)
    return str(caught.value)


def test_an_experiment_chooses_launcher_and_sweeper(conf: Path) -> None:
    assert make("seed=0,1").has_lanes
    serial = make("experiment=serial", "data=synthetic", "seed=0,1", extra_conf=str(conf))
    assert not serial.has_lanes
    assert len(make("experiment=listed", "data=synthetic", "seed=0,1", extra_conf=str(conf)).specs) == 2
    assert make("experiment=serial", "data=synthetic", "hydra/launcher=packed", extra_conf=str(conf)).has_lanes


def test_a_swept_choice_cannot_bring_what_a_sweep_has_only_one_of(conf: Path) -> None:
    text = error("experiment=notes_optimizers,notes_overfitting", "data=synthetic")
    assert "experiment=notes_optimizers brings a grid of its own (hydra.sweeper)" in text
    text = error("experiment=serial,smoke", "data=synthetic", extra_conf=str(conf))
    assert "experiment=serial brings a launcher of its own" in text
    assert "experiment=smoke brings a grid of its own" in text


def test_a_fixed_value_may_belong_to_the_choices_of_an_experiments_grid(conf: Path) -> None:
    planned = make("experiment=grid", "data=synthetic", "optimizer.momentum=0.5", extra_conf=str(conf))
    assert [spec.config["optimizer"]["momentum"] for spec in planned.specs] == [0.5, 0.5]


@pytest.mark.parametrize(
    ("overrides", "text"),
    [
        (["optimizer=[sgd,adam]"], "optimizer=[sgd,adam]: a list is no choice of optimizer; "),
        (["model=null"], "model=null: expected the name of a choice of model"),
        (["hydra.sweeper.params={seed: '0,1'}"], "hydra.sweeper.params={seed: '0,1'}: on the command line, give"),
        (
            ["optimizer.learning_rate=interval(0,1)"],
            "optimizer.learning_rate=interval(0,1): a grid takes single values",
        ),
        (["hydra.sweep.subdir=../x"], "hydra.sweep.subdir is '../x', expected a plain name"),
        (["hydra.sweep.subdir=code"], "hydra.sweep.subdir is 'code', expected a plain name"),
        (["~model"], "model: a value is required; give model=VALUE"),
    ],
)
def test_what_is_mistyped_is_answered_in_a_line(overrides: list[str], text: str) -> None:
    message = error(*overrides)
    assert message.startswith(text)
    assert "\n" not in message


def test_of_a_choice_given_twice_the_last_counts() -> None:
    [spec] = make("optimizer=sgd", "epochs=1", "optimizer=adam", "epochs=2", multirun=False).specs
    assert (spec.choices["optimizer"], spec.config["epochs"]) == ("adam", 2)


def test_runs_are_where_the_subdir_says_and_keep_their_folders(tmp_path: Path) -> None:
    where = (f"hydra.sweep.dir={tmp_path / 's'}", "hydra.sweep.subdir=${hydra.job.num}")
    first = make("seed=0,1", *where)
    assert [spec.folder for spec in first.specs] == [tmp_path / "s" / "0", tmp_path / "s" / "1"]
    (tmp_path / "s").mkdir(parents=True, exist_ok=True)
    SweepDir(tmp_path / "s").write_plan("command", first.planned())
    again = make("seed=1,0,2", f"hydra.sweep.dir={tmp_path / 's'}")
    assert [spec.name for spec in again.specs[:2]] == ["1", "0"]
    assert again.specs[2].name.startswith("seed-2_")
    assert "0 belongs to another run" in error("seed=5,0", *where)
    assert "x belongs to another run" in error("seed=0,1", f"hydra.sweep.dir={tmp_path / 't'}", "hydra.sweep.subdir=x")


def test_runs_whose_names_collide_get_more_digits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight digits of SHA-256 do so once in billions of pairs, so here the digits are made equal."""
    monkeypatch.setattr(run_spec, "identity", lambda *given: "0" * 14 + identity(*given)[14:])
    monkeypatch.setattr(run_spec, "run_name", lambda _values, whole, digits: f"name_{whole[:digits]}")
    where = f"hydra.sweep.dir={tmp_path / 's'}"
    first, second, third = make("seed=0,1,2", where).specs
    assert (first.name, second.name) == ("name_00000000", "name_000000000000")
    assert third.name == f"name_{third.identity[:16]}"
    assert [spec.name for spec in make("seed=0,0", where).specs] == [first.name] * 2
    (tmp_path / "s").mkdir()
    SweepDir(tmp_path / "s").write_plan("", make("seed=1", where).planned())
    assert [spec.name for spec in make("seed=0,1", where).specs] == [second.name, first.name]
    alone = ("hydra.run.dir=" + str(tmp_path / "${run_name:}"),)
    [run] = make("seed=0", *alone, multirun=False).specs
    assert run.folder == tmp_path / "name_00000000"
    run.folder.mkdir()
    RunDir(run.folder).write_record(RunRecord(run.name, run.identity))
    assert make("seed=0", *alone, multirun=False).specs[0].folder == run.folder
    assert make("seed=1", *alone, multirun=False).specs[0].folder == tmp_path / "name_000000000000"


def test_a_value_may_name_the_runs_folder_and_is_no_part_of_its_identity(tmp_path: Path) -> None:
    line = '+callbacks.csv={_target_: keras.callbacks.CSVLogger, filename: "${hydra:runtime.output_dir}/a.csv"}'
    one, two = (make(line, f"hydra.run.dir={tmp_path / name}", multirun=False).specs[0] for name in ("one", "two"))
    assert one.config["callbacks"]["csv"]["filename"] == f"{tmp_path}/one/a.csv"
    assert one.identity == two.identity
    named = make("seed=0,1", "+name=${hydra:sweep.subdir}", f"hydra.sweep.dir={tmp_path / 's'}").specs
    assert [spec.config["name"] for spec in named] == [spec.name for spec in named]


def test_time_stands_still_in_a_sweep_and_when_it_is_resumed() -> None:
    request = Request(["data=synthetic", "seed=0,1", "+when=${now:%f}"], app.CONF, "config", None, multirun=True)
    first, again = planning.planned(request), planning.planned(request)
    assert [spec.identity for spec in first.specs] == [spec.identity for spec in again.specs]
    assert {spec.config["when"] for spec in first.specs} == {f"{request.started:%f}"}
    later = planning.planned(replace(request, started=datetime(2001, 2, 3, 4, 5, 6, 7)))
    assert {spec.config["when"] for spec in later.specs} == {"000007"}


@pytest.mark.parametrize(
    "keys", ["filters: 8", "kernel_size: [3, 5]", "hidden_units: 64", "dropout: [0.1, 2]", "max_iter: 0"]
)
def test_constraints_belong_to_the_models_that_they_were_written_for(
    conf: Path, keys: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (conf.parent / "own_nets.py").write_text(
        "import keras\n\ndef net(input_shape, num_classes, **keys):\n    layers = keras.layers\n"
        "    dense = layers.Dense(num_classes, 'softmax')\n"
        "    return keras.Sequential([keras.Input(input_shape), layers.Flatten(), dense])\n"
    )
    monkeypatch.syspath_prepend(str(conf.parent))
    monkeypatch.setattr("fashion_sweep.planning.trial.problems", lambda _specs: [])  # see test_plan
    (conf / "model" / "own.yaml").write_text(f"_target_: own_nets.net\n{keys}\n")
    assert len(make("model=own", "seed=0,1", extra_conf=str(conf)).specs) == 2


def test_a_folder_that_is_given_two_grids_keeps_both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    sweep = SweepDir(Path("s"))
    for line in ("seed=0,1", "optimizer=sgd,rmsprop"):
        request = Request(["data=synthetic", line, "hydra.sweep.dir=s"], app.CONF, "config", None, multirun=True)
        planned = planning.planned(request)
        sweep.path.mkdir(parents=True, exist_ok=True)
        sweep.write_plan(
            line, planned.planned(), [replace(request, overrides=each).to_json() for each in planned.grids]
        )
    assert sweep.read_plan()[0] == ["seed=0,1", "optimizer=sgd,rmsprop"]
    assert len(sweep.read_plan()[1]) == 4
    arguments = {"config_path": None, "config_dir": None, "config_name": None, "multirun": False}
    resumed = planning.planned(Request.typed(Namespace(overrides=["resume=s"], **arguments), app.CONF))
    assert sorted(spec.name for spec in resumed.runs) == sorted(run.run for run in sweep.read_plan()[1])


OWN_NETS = """
import os, sys

def leave(input_shape):
    sys.exit(0)

def crash(input_shape):
    os.kill(os.getpid(), 11)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("leave", "called sys.exit(0), expected it to return"),
        ("crash", "ended the process that tried it (killed by signal 11)"),
    ],
)
def test_a_model_that_ends_the_process_that_builds_it_is_refused(
    conf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, said: str
) -> None:
    (tmp_path / "own_nets.py").write_text(OWN_NETS)
    monkeypatch.syspath_prepend(str(tmp_path))
    (conf / "model" / "own.yaml").write_text(f"_target_: own_nets.{name}\n")
    assert error("model=own", extra_conf=str(conf)) == f"model own_nets.{name} {said}"


FAILING = """
import keras

class Fails(keras.callbacks.Callback):
    def on_train_begin(self, logs=None):
        raise ValueError("not today")
"""


@pytest.mark.slow
def test_a_run_that_fails_before_it_begins_has_a_record_and_says_why(tmp_path: Path) -> None:
    (tmp_path / "failing.py").write_text(FAILING)
    own = "+callbacks.own={_target_: failing.Fails}"
    done = sweeping.run(tmp_path, *sweeping.TINY, own, "hydra.run.dir=run")
    assert done.returncode == 1
    assert "[1/1] run failed: ValueError: not today" in done.stdout
    record = RunDir(tmp_path / "run").read_record()
    assert record is not None
    assert record.status is Status.FAILED


@pytest.mark.slow
def test_a_single_run_is_resumed_with_the_configs_that_it_began_with(conf: Path, tmp_path: Path) -> None:
    (conf / "mine.yaml").write_text("defaults:\n  - config\n  - _self_\nepochs: 1\n")
    own = ("--config-dir", str(conf), "--config-name", "mine")
    first = sweeping.run(tmp_path, *own, *sweeping.TINY, "hydra.run.dir=run")
    assert first.returncode == 0, first.stderr
    again = sweeping.run(tmp_path, "resume=run")
    assert (again.returncode, again.stdout.splitlines()[0]) == (0, "1 of 1 runs were completed before")
    assert json.loads((tmp_path / "run" / "run.json").read_text())["request"]["config_name"] == "mine"


@pytest.mark.slow
def test_a_sweep_in_job_folders_of_its_own_with_hydras_logging_finds_its_data(tmp_path: Path) -> None:
    np.savez(tmp_path / "mine.npz", images=np.zeros((60, 4, 4), "uint8"), labels=np.arange(60) % 3)
    done = sweeping.run(
        tmp_path, "-m", "data=npz", "data.path=mine.npz", "model=softmax", "epochs=1", "hydra.job.chdir=true",
        "hydra/job_logging=disabled", "hydra.sweep.dir=s", "hydra.sweep.subdir=${hydra.job.num}", "seed=0,1",
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(path.parent.name for path in (tmp_path / "s").glob("*/run.json")) == ["0", "1"]
    assert "2 runs: 2 completed" in done.stdout
    assert "0 to train" in sweeping.run(tmp_path, "resume=s", "plan=true").stdout
