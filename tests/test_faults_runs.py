"""Runs that diverge, that take too much memory, whose code is edited, whose clock is set back, and thousands of runs."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest
from fault_table import fault
from sweeping import TINY, children, log_of, records, run, script, started, statuses, table, until

from fashion_sweep.run_dir import SweepDir

IN_S = "hydra.sweep.dir=s"
PACKED = ("hydra.launcher.lanes=1", "hydra.launcher.pack_size=4")


@fault("a loss that is NaN or infinite")
def test_a_run_that_diverges_in_a_pack(tmp_path, seen):
    grid = [*TINY, "optimizer=sgd", "epochs=4", "hydra.launcher.lanes=1"]
    done = run(tmp_path, "-m", "optimizer.learning_rate=0.1,0.2,1e30,0.05", *grid, "hydra.launcher.pack_size=4", IN_S)
    assert done.returncode == 1, done.stderr
    found = [each.read_record() for each in SweepDir(tmp_path / "s").run_dirs()]
    assert [record.pack for record in found] == [4] * 4
    assert [record.status.value for record in found] == ["completed", "completed", "diverged", "completed"]
    assert found[2].reason == f"loss became NaN or infinite in epoch {found[2].epochs_run}"
    alone = run(tmp_path, "-m", "optimizer.learning_rate=0.1,0.2,0.05", *grid, "hydra.launcher.pack_size=3",
                "hydra.sweep.dir=alone")  # fmt: skip
    assert alone.returncode == 0, alone.stderr
    assert losses(tmp_path / "s", [0, 1, 3]) == pytest.approx(losses(tmp_path / "alone", [0, 1, 2]), rel=2e-5)
    summary = (tmp_path / "s" / "report" / "summary.md").read_text()
    last = [line for line in summary.splitlines() if line.startswith("|")][-1]
    assert "diverged" in last
    assert f"diverged {found[2].run}: {found[2].reason}" in done.stdout
    seen(f'exit {done.returncode}; {statuses(tmp_path / "s")}: "{found[2].reason}", last in the table; the others of '
         "the pack equal those of a pack without it within 2e-5")  # fmt: skip


def losses(sweep: Path, places: list[int]) -> list[float]:
    """Of all epochs of some runs of a sweep."""
    histories = [each.read_history() for each in SweepDir(sweep).run_dirs()]
    return [row[key] for place in places for row in histories[place] for key in ("loss", "val_loss")]


@fault("out of memory in a pack")
def test_a_pack_that_is_too_large(tmp_path, seen):
    """Its images, once for each run, do not fit: TensorFlow raises."""
    done = run(tmp_path, "-m", "seed=0,1", "+callbacks.limit={_target_: faulty.LimitMemory, mib: 380}",
               "data=synthetic", "data.samples=3000", "data.image_size=256", "data.validation_fraction=0.01",
               "model=cnn", "model.filters=[1]", "model.kernel_size=1", "model.dense_units=1", "model.dropout=0",
               "callbacks=none", "save=none", "optimizer=sgd", "batch_size=20", "epochs=1", *PACKED, IN_S)  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = records(tmp_path / "s")
    assert [found[seed].status.value for seed in (0, 1)] == ["completed"] * 2
    assert [found[seed].pack for seed in (0, 1)] == [1, 1]
    assert [found[seed].attempt for seed in (0, 1)] == [2, 2]
    told = "out of memory with 2 runs together; they are trained again in two halves"
    assert all(told in log_of(each) for each in SweepDir(tmp_path / "s").run_dirs())
    seen(f'TensorFlow raises: "{told}"; exit {done.returncode}, {statuses(tmp_path / "s")}')


@fault("out of memory in a pack")
def test_a_pack_that_is_too_large_and_ends_its_lane(tmp_path, seen):
    """The scratch memory of its convolutions does not fit: the library that computes them crashes."""
    done = run(tmp_path, "-m", "seed=0,1", "+callbacks.limit={_target_: faulty.LimitMemory, mib: 850}",
               "data=synthetic", "data.samples=640", "data.image_size=64", "model=cnn", "model.dense_units=8",
               "callbacks=none", "save=none", "optimizer=sgd", "batch_size=256", "epochs=1", *PACKED, IN_S)  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = records(tmp_path / "s")
    assert [(found[seed].status.value, found[seed].pack) for seed in (0, 1)] == [("completed", 1)] * 2
    how = set(re.findall(r"its lane (.*); it runs again, alone", done.stdout))
    told = how or set(re.findall(r"out of memory with 2 runs", log_of(SweepDir(tmp_path / "s").run_dirs()[0])))
    assert told
    seen(f"the library crashes: \"its lane {', '.join(told)}; it runs again, alone\"; exit {done.returncode}, "
         f"{statuses(tmp_path / 's')}")  # fmt: skip


NETS = """
import keras
from my_layers import dense

def wide(input_shape, num_classes, units):
    layers = [keras.Input(input_shape), keras.layers.Flatten(), dense(units), keras.layers.Dense(num_classes, "softmax")]
    return keras.Sequential(layers)
"""
LAYERS = """
import keras

def dense(units):
    return keras.layers.Dense(units, "relu")
"""
PARAMETERS = 65 * 5 + 6 * 10
"""Of a network of 5 units on 8 x 8 pixels."""


@pytest.fixture
def edit(tmp_path) -> Callable[[], None]:
    """What edits a model and its config, which are made in the folder of the test."""
    (tmp_path / "mine" / "model").mkdir(parents=True)
    nets, layers, config = (tmp_path / name for name in ("my_nets.py", "my_layers.py", "mine/model/wide.yaml"))
    nets.write_text(NETS)
    layers.write_text(LAYERS)
    config.write_text("_target_: my_nets.wide\nunits: 5\n")

    def edited() -> None:
        nets.write_text("raise ImportError('edited')\n")
        layers.write_text(LAYERS.replace("dense(units)", "other(units)"))
        config.write_text("_target_: my_nets.wide\nunits: 7\n")

    return edited


@fault("a config or code file edited while the sweep runs")
@pytest.mark.parametrize("launcher", ["packed", "basic"])
def test_files_that_are_edited(tmp_path, seen, edit, launcher):
    own = {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), str(tmp_path)])}
    lanes = ["hydra.launcher.lanes=1"] if launcher == "packed" else ["hydra/launcher=basic"]
    grid = ["-m", "--config-dir", "mine", "model=wide", "seed=0,1,2", *TINY, "callbacks=none", "save=none", "epochs=2",
            "+callbacks.wait={_target_: faulty.Wait, path: go}", IN_S, *lanes]  # fmt: skip
    with started(tmp_path, *grid, **own) as process:
        until(lambda: list(tmp_path.glob("s/*/history.csv")), "an epoch")
        edit()
        if launcher == "packed":  # a fresh lane must import the model again
            for lane in children(process.pid):
                os.kill(lane, signal.SIGKILL)
        (tmp_path / "go").touch()
        _, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert [(r.parameters, r.config["model"]["units"]) for r in records(tmp_path / "s").values()] == [
        (PARAMETERS, 5)
    ] * 3
    told = "YAML and Python files edited in run 1" + (", its lane killed" if launcher == "packed" else "")
    seen(f"{launcher}: {told}: {statuses(tmp_path / 's')}, all with the {PARAMETERS} weights of the start")
    if launcher == "packed":
        SweepDir(tmp_path / "s").run_dirs()[1].record.unlink()
        (tmp_path / "my_nets.py").write_text(NETS)
        (tmp_path / "my_layers.py").write_text(LAYERS)
        resumed = run(tmp_path, "resume=s", **own)
        assert resumed.returncode == 0, resumed.stderr
        again = records(tmp_path / "s")[1]
        assert (again.config["model"]["units"], again.config["callbacks"]["wait"]["path"]) == (5, "go")
        seen("resume takes the configs of the start")


@fault("the clock set back")
def test_a_clock_that_is_set_back(tmp_path, seen):
    done = run(tmp_path, "-m", "seed=0,1", "+callbacks.clock={_target_: faulty.ClockSetBack}", *TINY, "epochs=3", IN_S)
    assert done.returncode == 0, done.stderr
    sweep = SweepDir(tmp_path / "s")
    first, second = (each.read_record() for each in sweep.run_dirs())
    assert first.ended < first.started
    assert first.seconds > 0
    (sweep.path / "owner.json").write_text(
        '{"host": "elsewhere", "pid": 1, "start": "1", "since": "2999-01-01T00:00:00+00:00", "token": "0"}'
    )
    sweep.run_dirs()[1].record.unlink()
    future = 4_000_000_000
    for path in [*sweep.path.rglob("*"), sweep.path]:
        os.utime(path, (future, future))
    resumed = run(tmp_path, "resume=s")
    assert resumed.returncode == 0, resumed.stderr
    report = script(tmp_path, "report", "s", "--strict")
    assert report.returncode == 0, report.stderr
    assert [row["status"] for row in table(sweep.path)] == ["completed"] * 2
    seen(f"runs that end before they start, files and owner.json of the future: exit {done.returncode}, resume "
         f"{resumed.returncode}, report {report.returncode}, {statuses(sweep.path)}")  # fmt: skip
