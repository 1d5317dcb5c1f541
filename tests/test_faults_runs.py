"""Runs that diverge or take too much memory, whose code is edited or whose clock is set back; and thousands of runs."""

from __future__ import annotations

import errno
import os
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import tensorflow as tf
from fault_table import fault
from fixture_types import Seen
from html_page import Page
from optional import present
from sweeping import IN_S, TINY, children, log_of, records, run, script, started, statuses, table, until

from fashion_sweep.errors import ConfigError
from fashion_sweep.storage.sweep_dir import SweepDir
from fashion_sweep.training import failures

PACKED = ("hydra.launcher.lanes=1", "hydra.launcher.pack_size=4")


@fault("a loss that is NaN or infinite", rare=True)
def test_a_run_that_diverges_in_a_pack(tmp_path: Path, seen: Seen) -> None:
    grid = [*TINY, "optimizer=sgd", "epochs=4", "hydra.launcher.lanes=1"]
    done = run(tmp_path, "-m", "optimizer.learning_rate=0.1,0.2,1e30,0.05", *grid, "hydra.launcher.pack_size=4", IN_S)
    assert done.returncode == 1, done.stderr
    found = [present(each.read_record()) for each in SweepDir(tmp_path / "s").run_dirs()]
    assert [record.pack for record in found] == [4] * 4
    assert [record.status.value for record in found] == ["completed", "completed", "diverged", "completed"]
    assert found[2].reason == f"loss became NaN or infinite in epoch {found[2].epochs_run}"
    alone = run(tmp_path, "-m", "optimizer.learning_rate=0.1,0.2,0.05", *grid, "hydra.launcher.pack_size=3",
                "hydra.sweep.dir=alone")  # fmt: skip
    assert alone.returncode == 0, alone.stderr
    assert losses(tmp_path / "s", [0, 1, 3]) == pytest.approx(losses(tmp_path / "alone", [0, 1, 2]), rel=2e-5)
    summary = (tmp_path / "s" / "report" / "summary.md").read_text()
    runs = summary.partition("\n## ")[0]
    assert "diverged" in [line for line in runs.splitlines() if line.startswith("|")][-1]
    assert f"diverged {found[2].run}: {found[2].reason}" in done.stdout
    seen(f'exit {done.returncode}; {statuses(tmp_path / "s")}: "{found[2].reason}", last in the table; the others of '
         "the pack equal those of a pack without it within 2e-5")  # fmt: skip


def losses(sweep: Path, places: list[int]) -> list[float]:
    """Of all epochs of some runs of a sweep."""
    histories = [each.read_history() for each in SweepDir(sweep).run_dirs()]
    return [row[key] for place in places for row in histories[place] for key in ("loss", "val_loss")]


TOO_LARGE = (
    *("seed=0,1,2,3", "+callbacks.limit={_target_: faulty.LimitMemory, mib: 350}"),
    *("data.samples=2000", "data.image_size=256", "data.validation_fraction=0.01", "batch_size=20"),
    *("model.filters=[1]", "model.kernel_size=1", "model.dense_units=1", "model.dropout=0"),
)
"""Images, which a pack holds once for each run, do not fit. TensorFlow raises, or crashes, as it happens."""


@fault("out of memory in a pack", rare=True)
def test_a_pack_that_is_too_large(tmp_path: Path, seen: Seen) -> None:
    done = run(tmp_path, "-m", *TOO_LARGE, "data=synthetic", "model=cnn", "callbacks=none", "save=none",
               "optimizer=sgd", "epochs=1", *PACKED, IN_S)  # fmt: skip
    assert done.returncode == 0, done.stderr
    runs = SweepDir(tmp_path / "s").run_dirs()
    assert {present(each.read_record()).status.value for each in runs} == {"completed"}
    raised = set(re.findall(r"out of memory with \d runs together.*", log_of(runs[0])))
    crashed = set(re.findall(r"its lane (?:was killed by|ended).*", done.stdout))
    assert raised | crashed
    seen(f'"{"; ".join(sorted(raised | crashed))}"; exit {done.returncode}, {statuses(tmp_path / "s")}')


def aborted(text: str) -> Exception:
    """TensorFlow's error."""
    error: Exception = tf.errors.AbortedError(None, None, text)
    return error


class ResourceExhaustedError(Exception):
    """Has the name of TensorFlow's, and no more."""


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (aborted("Status: 1, message: could not create a primitive. in file mkl.cc:388"), "out of memory"),
        (aborted("Status: 3, message: not supported"), "AbortedError: Status: 3, message: not supported"),
        (ResourceExhaustedError("my quota"), "ResourceExhaustedError: my quota"),
        (caused(ConfigError("the model cannot be built"), MemoryError()), "out of memory"),
        (OSError("Can't write data (file write failed: error message = 'No space left on device')"), "disk full"),
        (caused(ValueError("Can't close a zip file"), OSError(errno.EDQUOT, "Disk quota exceeded")), "disk full"),
        (OSError(errno.EIO, "Input/output error"), "OSError: [Errno 5] Input/output error"),
    ],
)  # fmt: skip
def test_reasons(error: Exception, expected: str) -> None:
    assert failures.reason(error) == expected


NETS = """
import keras
from my_layers import dense

def wide(input_shape, num_classes, units):
    output = keras.layers.Dense(num_classes, "softmax")
    return keras.Sequential([keras.Input(input_shape), keras.layers.Flatten(), dense(units), output])
"""
LAYERS = """
import keras

def dense(units):
    return keras.layers.Dense(units, "relu")
"""
PARAMETERS = 65 * 5 + 6 * 10
"""Of a network of 5 units on 8 x 8 pixels."""


@pytest.fixture
def edit(tmp_path: Path) -> Callable[[], None]:
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


@fault("a config or code file edited while the sweep runs", rare=True)
@pytest.mark.parametrize("launcher", ["packed", "basic"])
def test_files_that_are_edited(tmp_path: Path, seen: Seen, edit: Callable[[], None], launcher: str) -> None:
    own = {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), str(Path(__file__).parents[1]), str(tmp_path)])}
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
    weights = {seed: (each.parameters, each.config["model"]["units"]) for seed, each in records(tmp_path / "s").items()}
    assert weights == dict.fromkeys([0, 1, 2], (PARAMETERS, 5))
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


@fault("the clock set back", rare=True)
def test_a_clock_that_is_set_back(tmp_path: Path, seen: Seen) -> None:
    done = run(tmp_path, "-m", "seed=0,1", "+callbacks.clock={_target_: faulty.ClockSetBack}", *TINY, "epochs=3", IN_S)
    assert done.returncode == 0, done.stderr
    sweep = SweepDir(tmp_path / "s")
    first = present(sweep.run_dirs()[0].read_record())
    assert present(first.ended) < present(first.started)
    assert present(first.seconds) > 0
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


@fault("2,000 runs", rare=True)
def test_thousands_of_runs(tmp_path: Path, seen: Seen) -> None:
    few, _ = no_op_runs(tmp_path / "few", 100)  # by then the libraries of the report are imported
    many, out = no_op_runs(tmp_path / "many", 2000)
    growth_kb = (many - few) / 1900
    assert growth_kb < 100
    assert out.splitlines()[-1].startswith("2000 runs: 2000 completed.")
    page = Page((tmp_path / "many" / "s" / "report" / "index.html").read_text())
    assert page.open == []
    assert "2,000 runs" in page.text or "2000 runs" in page.text
    assert len(table(tmp_path / "many" / "s")) == 2000
    seen(f"exit 0, 2,000 completed; {growth_kb:.0f} kB a run; the report's page opens, summary.csv has 2,000 rows")


def no_op_runs(folder: Path, count: int) -> tuple[float, str]:
    """Kilobytes that a command holds at the end of so many runs of a trainer that does nothing, and what it prints."""
    folder.mkdir()
    kilobytes = 0.0
    with started(folder, "-m", f"seed=range({count})", *TINY, "trainer=fit", "save=none", "callbacks=none", "epochs=1",
                 "trainer._target_=faulty_trainer.nothing", IN_S) as process:  # fmt: skip
        while process.poll() is None and len(list(folder.glob("s/*/run.json"))) < count:
            pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1])
            kilobytes = pages * os.sysconf("SC_PAGE_SIZE") / 1000
            time.sleep(0.3)
        out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    return kilobytes, out
