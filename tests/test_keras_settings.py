"""Keras' settings on this machine are looked at before run 0, without Keras."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from fixture_types import Command

from fashion_sweep.errors import ConfigError
from fashion_sweep.training import keras_settings
from fashion_sweep.training.engines import JAX, TENSORFLOW, engine_named

VARIABLES = ("KERAS_HOME", "KERAS_BACKEND", "KERAS_NNX_ENABLED", "KERAS_MAX_EPOCHS", "KERAS_MAX_STEPS_PER_EPOCH")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home, and none of Keras' variables."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".keras").mkdir()
    return tmp_path


def written(folder: Path, text: str) -> Path:
    """A keras.json."""
    file = folder / ".keras" / "keras.json"
    file.write_text(text)
    return file


def test_what_keras_itself_writes_is_right(home: Path) -> None:
    keras_settings.check(engine_named(TENSORFLOW))
    written(home, '{"floatx": "float32", "epsilon": 1e-07, "backend": "jax", "image_data_format": "channels_last"}')
    keras_settings.check(engine_named(TENSORFLOW))  # we set the backend in the environment, which comes before the file


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("KERAS_BACKEND", "jax", "the backend is jax, by KERAS_BACKEND; expected tensorflow: unset KERAS_BACKEND"),
        ("KERAS_MAX_EPOCHS", "1", "KERAS_MAX_EPOCHS=1 is set, which cuts training short; unset it"),
        ("KERAS_MAX_STEPS_PER_EPOCH", "", "KERAS_MAX_STEPS_PER_EPOCH= is set, which cuts training short; unset it"),
        ("KERAS_NNX_ENABLED", "True", "KERAS_NNX_ENABLED=True is set; unset it"),
    ],
)
@pytest.mark.usefixtures("home")
def test_variables_are_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str, problem: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError) as error:
        keras_settings.check(engine_named(TENSORFLOW))
    assert str(error.value) == f"Keras would not train what the config says: {problem}"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"floatx": "float64"}', "floatx is 'float64', by FILE; expected 'float32': change it there, or remove the"),
        ('{"epsilon": 1e-3}', "epsilon is 0.001, by FILE; expected 1e-07"),
        ('{"epsilon": [1e-7]}', "epsilon is [1e-07], by FILE; expected 1e-07"),
        ('{"image_data_format": "channels_first"}', "image_data_format is 'channels_first', by FILE"),
        ('{"nnx_enabled": true}', "nnx_enabled is True, by FILE; expected False"),
        ("[]", "FILE holds no settings; remove it"),
        ("[" * 100_000, "FILE cannot be read (maximum recursion depth exceeded"),
    ],
)
def test_the_file_is_named(home: Path, text: str, problem: str) -> None:
    file = written(home, text)
    with pytest.raises(ConfigError) as error:
        keras_settings.check(engine_named(TENSORFLOW))
    assert problem.replace("FILE", str(file)) in str(error.value)


@pytest.mark.parametrize("text", ["", "{", "\xff", '{"backend": "tensorflow"}'])
def test_files_that_keras_passes_over_are_passed_over(home: Path, text: str) -> None:
    written(home, text)
    keras_settings.check(engine_named(TENSORFLOW))


@pytest.mark.usefixtures("home")
def test_the_backend_is_that_of_the_runs_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    keras_settings.check(engine_named(JAX))
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    with pytest.raises(ConfigError, match="the backend is tensorflow, by KERAS_BACKEND; expected jax: unset KERAS_BAC"):
        keras_settings.check(engine_named(JAX))


def test_an_empty_backend_leaves_it_to_the_file(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "")
    keras_settings.check(engine_named(TENSORFLOW))
    written(home, '{"backend": "torch"}')
    with pytest.raises(ConfigError, match=r"backend is 'torch', by .*; expected 'tensorflow'"):
        keras_settings.check(engine_named(TENSORFLOW))


def test_keras_home_comes_before_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(home, '{"floatx": "float64"}')
    monkeypatch.setenv("KERAS_HOME", str(home / "other"))
    keras_settings.check(engine_named(TENSORFLOW))
    (home / "other" / "keras.json").mkdir(parents=True)
    with pytest.raises(ConfigError, match=r"other/keras\.json is no file; remove it"):
        keras_settings.check(engine_named(TENSORFLOW))


@pytest.mark.slow
@pytest.mark.parametrize(
    "setting", [{"floatx": "float64"}, {"epsilon": 0.1}, {"image_data_format": "channels_first"}, {"backend": "jax"}]
)
def test_keras_reads_the_same_file(home: Path, setting: dict[str, object]) -> None:
    """Fails when Keras looks elsewhere for its settings."""
    written(home, json.dumps(setting))
    [key] = setting
    code = "import os; os.environ.pop('KERAS_BACKEND', 0); from keras.src.backend import config as c; print(c.%s())"
    done = subprocess.run([sys.executable, "-c", code % key], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == str(setting[key]) or "jax" in done.stderr


@pytest.mark.slow
@pytest.mark.usefixtures("home")
def test_nothing_is_trained(command: Command, tmp_path: Path) -> None:
    tiny = ("data=synthetic", "data.samples=160", "data.image_size=8", "epochs=2", "hydra.sweep.dir=s")
    done = command("-m", *tiny, "seed=0,1", KERAS_MAX_EPOCHS="1")
    assert done.returncode == 2
    assert "KERAS_MAX_EPOCHS=1 is set, which cuts training short; unset it" in done.stderr
    assert not (tmp_path / "s").exists()
