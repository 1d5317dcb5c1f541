"""Sweeps from Python: real commands, what they leave, and how they are interrupted."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sweeping
import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser
from hypothesis import given
from hypothesis import strategies as st

from fashion_sweep import UserError, app, load_sweep, sweep
from fashion_sweep.errors import ConfigError
from fashion_sweep.results import command
from fashion_sweep.storage.record import Status

TINY: dict[str, Any] = {"data": "synthetic", "data.samples": 320, "data.image_size": 8, "epochs": 1}

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that a notebook would run in, with the tests' own trainer at hand."""
    for name in set(os.environ) - set(sweeping.environment()):
        monkeypatch.delenv(name)
    monkeypatch.setenv("PYTHONPATH", sweeping.environment()["PYTHONPATH"])
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_sweep_trains_and_its_model_is_loaded(capfd: pytest.CaptureFixture[str]) -> None:
    results = sweep({**TINY, "optimizer": ["adam", "sgd"], "hydra.launcher.lanes": 1}, folder="s")
    assert list(results.runs["status"]) == ["completed"] * 2
    assert capfd.readouterr().out.count(" completed: best val_loss") == 2
    assert list(results.settings["optimizer"].sort_values()) == ["adam", "sgd"]
    model = results.run(results.runs["run"][0]).model()
    images = np.zeros((3, 8, 8), "float32")
    assert np.asarray(model.predict(images, verbose=0)).sum(axis=1) == pytest.approx([1, 1, 1], abs=1e-5)


def test_completed_runs_are_not_trained_again(here: Path) -> None:
    first = sweep([*sweeping.QUICK, "seed=0"], folder=here / "s", quiet=True)
    again = sweep(shlex.join([*sweeping.QUICK, "seed=0,1"]), folder=here / "s", quiet=True)
    assert (list(first.runs["seed"]), list(again.runs["seed"])) == ([0], [0, 1])
    [before], [after, other] = ([each.run(name).record for name in each.runs["run"]] for each in (first, again))
    assert before == after
    assert other != after


def test_a_stopped_sweep_is_resumed_with_its_own_command() -> None:
    sweep([*sweeping.QUICK, "seed=0,1", "trainer.act=raises"], folder="s", quiet=True)
    results = sweep("trainer.act=null seed=0,1", resume="s", quiet=True)
    assert sorted(results.runs["status"]) == ["completed", "completed", "failed", "failed"]


def test_results_tell_of_runs_that_failed() -> None:
    results = sweep([*sweeping.QUICK, "trainer.act=null,raises"], folder="s", quiet=True)
    assert list(results.runs["status"]) == ["completed", "failed"]
    assert results.runs["reason"][1] in repr(results)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"optimizr": "adam"}, "optimizr=adam: there is no key optimizr; did you mean optimizer?"),
        ({"data.path": "a b"}, "data.path='a b': there is no key data.path"),
        ("--nonsense", "unrecognized arguments: --nonsense"),
        ({**TINY, "seed": [0, 1], "plan": True}, "ended with exit code 0; there are no results of it"),
    ],
)
def test_the_message_of_a_command_that_is_wrong_is_raised(overrides: Any, message: str, here: Path) -> None:
    with pytest.raises(UserError) as raised:
        sweep(overrides, quiet=True)
    assert message in str(raised.value)
    assert len(str(raised.value).splitlines()) == 1
    assert not (here / "outputs").exists()


def test_all_bad_grid_points_are_told() -> None:
    with pytest.raises(UserError) as raised:
        sweep({**TINY, "optimizer": ["adam", "x"], "model.dropout": [0, -1]}, quiet=True)
    assert str(raised.value).startswith("3 of 4 grid points are wrong, nothing was trained:\n  ")


SCRIPT = "import sys; from fashion_sweep import sweep; sweep(sys.argv[1:], folder='s')"


def test_ctrl_c_lets_the_runs_save_their_states_and_they_can_be_resumed(here: Path) -> None:
    """It goes to all processes of the terminal; a second one would have ended the command at once."""
    overrides = [*sweeping.QUICK, "epochs=12", "trainer.seconds=0.3"]
    words = [sys.executable, "-c", SCRIPT, *overrides]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(words, start_new_session=True, **pipes) as process:
        sweeping.until(lambda: Path("s/sweep.json").exists() and sum(sweeping.epochs(Path("s")).values()), "an epoch")
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGINT
    assert err.strip().endswith("KeyboardInterrupt")
    assert "Resume: python -m fashion_sweep resume=s" in out
    [record] = sweeping.records(Path("s")).values()
    assert record.status is Status.INTERRUPTED
    assert 1 <= load_sweep("s").runs["epochs_run"][0] < 12
    assert list(sweep(resume="s", quiet=True).runs["epochs_run"]) == [12]


def test_a_command_that_is_killed_is_told(here: Path) -> None:
    site = sweeping.site(here, "import os, sys\nif sys.argv[0] == '-m': os.kill(os.getpid(), 9)\n")
    os.environ.update(site)
    with pytest.raises(UserError, match="ended with exit code -9; there are no results of it"):
        sweep(TINY)


@pytest.mark.parametrize(
    ("given", "lines"),
    [
        ({"seed": range(3), "optimizer": "adam"}, ["seed=0,1,2", "optimizer=adam"]),
        ({"model.hidden_units": [[100], [300, 100]]}, ["model.hidden_units=[100],[300,100]"]),
        ({"optimizer.learning_rate": np.array([0.1, 1e-5])}, ["optimizer.learning_rate=0.1,1e-05"]),
        ({"x": [True, None], "y": np.float32(0.5), "z": "1e5"}, ["x=true,null", "y=0.5", "z='1e5'"]),
        ("optimizer=adam,sgd 'x=a b'", ["optimizer=adam,sgd", "x=a b"]),
        (["seed=0,1"], ["seed=0,1"]),
    ],
)
def test_overrides_are_spelled_as_on_a_command_line(given: Any, lines: list[str]) -> None:
    assert command.lines(given) == lines


VALUES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(st.characters(codec="ascii"))


@given(st.lists(VALUES | st.lists(VALUES, max_size=3), min_size=2, max_size=4))
def test_values_come_out_as_they_went_in(values: list[Any]) -> None:
    [line] = command.lines({"key": values})
    override = OverridesParser.create().parse_override(line)
    assert override.is_sweep_override()
    found: Any = override.value()
    assert _unquoted(found.list) == values


def _unquoted(value: Any) -> Any:
    return [_unquoted(item) for item in value] if isinstance(value, list) else getattr(value, "text", value)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"seed": []}, "seed: the list is empty"),
        ({"seed": {0: 1}}, "is a dict; expected a number, text, bool, None or a list of these"),
        ("hydra.sweep.dir=x", "give sweep(..., folder=...) instead"),
        (["+resume=x"], "give sweep(..., resume=...) instead"),
    ],
)
def test_overrides_that_cannot_be_given_are_refused(given: Any, message: str) -> None:
    with pytest.raises(ConfigError) as raised:
        command.lines(given)
    assert message in str(raised.value)


def test_a_sweep_has_one_folder() -> None:
    with pytest.raises(ConfigError, match="either folder or resume"):
        sweep(folder="a", resume="b")


def test_new_sweeps_are_where_the_command_puts_them() -> None:
    config = yaml.safe_load((app.CONF / "config.yaml").read_text())
    assert config["hydra"]["sweep"]["dir"] == re.sub(r"(%.*)", r"${now:\1}", command.NEW)


def test_an_error_is_the_last_one_that_the_command_tells_of() -> None:
    assert (
        command.message("warning: fashion-sweep: no\nfashion-sweep: one\nfashion-sweep: two\n  more\n") == "two\n  more"
    )
    assert command.message("a fashion-sweep: in the middle\n") == ""
