"""Keras on JAX, in processes of their own: without TensorFlow, and with the models of either engine."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from sweeping import complaint, environment, run, script

from fashion_sweep.storage.record import RunRecord, Status
from fashion_sweep.storage.run_dir import RunDir
from fashion_sweep.storage.sweep_dir import SweepDir
from fashion_sweep.training.engines import JAX, TENSORFLOW

pytest.importorskip("jax")
pytestmark = pytest.mark.slow

TRAINER = "{_target_: engine_trainer.FitWith, engine: %s}"
TINY = ("data=synthetic", "data.samples=320", "data.image_size=8", "epochs=2", "save=both", "~trainer")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, RunDir]:
    """Two runs of each engine, trained by one sweep in one lane: engine -> its first run."""
    folder = tmp_path_factory.mktemp("engines")
    both = f"+trainer={TRAINER % TENSORFLOW},{TRAINER % JAX}"
    done = run(folder, "-m", *TINY, both, "seed=0,1", "hydra.sweep.dir=s", "hydra.launcher.lanes=1")
    assert done.returncode == 0, done.stderr
    runs = [(found, record_of(found)) for found in SweepDir(folder / "s").run_dirs()]
    assert [record.status for _, record in runs] == [Status.COMPLETED] * 4
    return {record.config["trainer"]["engine"]: found for found, record in reversed(runs)}


def record_of(found: RunDir) -> RunRecord:
    record = found.read_record()
    assert record is not None
    return record


def test_a_sweep_over_both_engines_trains_each_with_its_own(trained: Mapping[str, RunDir]) -> None:
    assert "tensorflow" in (trained[TENSORFLOW].path / "imported").read_text()
    assert (trained[JAX].path / "imported").read_text() == "jax"
    assert "tpu" not in trained[JAX].log.read_text()


def test_a_record_names_the_versions_of_its_engine(trained: Mapping[str, RunDir]) -> None:
    tensorflow, jax = (set(record_of(trained[name]).versions) for name in (TENSORFLOW, JAX))
    assert tensorflow - jax == {"tensorflow"}
    assert jax - tensorflow == {"jax", "jaxlib"}
    device = record_of(trained[JAX]).device
    assert (device["kind"], device["threads"]) == ("CPU", 1)


def test_runs_of_both_engines_learn(trained: Mapping[str, RunDir]) -> None:
    """The two draw other initial weights from a seed, so their losses are not compared."""
    for name in (TENSORFLOW, JAX):
        rows = trained[name].read_history()
        assert [row["epoch"] for row in rows] == [1, 2]
        assert rows[1]["loss"] < rows[0]["loss"]


@pytest.mark.parametrize("name", [TENSORFLOW, JAX])
@pytest.mark.parametrize("backend", [TENSORFLOW, JAX])
@pytest.mark.parametrize("file", ["best.keras", "last.weights.h5"])
def test_a_model_of_either_engine_is_measured_with_either(
    trained: Mapping[str, RunDir], name: str, backend: str, file: str
) -> None:
    done = script(trained[name].path, "evaluate", trained[name].path, "--file", file, KERAS_BACKEND=backend)
    assert done.returncode == 0, done.stderr
    assert "recorded  identical in epoch" in done.stdout


def test_a_run_is_reproduced_with_its_engine(trained: Mapping[str, RunDir], tmp_path: Path) -> None:
    done = script(tmp_path, "reproduce", trained[JAX].path, "--output", tmp_path / "again")
    assert done.returncode == 0, done.stdout + done.stderr
    assert record_of(RunDir(tmp_path / "again")).versions == record_of(trained[JAX]).versions
    assert RunDir(tmp_path / "again").read_history()[0]["loss"] == trained[JAX].read_history()[0]["loss"]


def test_an_exported_backend_that_is_not_the_runs_is_refused(tmp_path: Path) -> None:
    done = run(tmp_path, *TINY, f"+trainer={TRAINER % JAX}", KERAS_BACKEND="tensorflow")
    assert "the backend is tensorflow, by KERAS_BACKEND; expected jax: unset KERAS_BACKEND" in complaint(done)


MODEL = """
import keras
def data():
    from fashion_sweep.data import synthetic
    return synthetic(samples=160, image_size=8, classes=3, noise=1.0, seed=0)
def model(input_shape, num_classes):
    assert keras.backend.backend() == "%s"
    return keras.Sequential([keras.Input(input_shape), keras.layers.Flatten(),
                             keras.layers.Dense(num_classes, "softmax")])
"""


def test_ones_own_model_is_built_with_the_engine_before_the_first_run(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(MODEL % "torch")
    more = ("~model", "+model={_target_: mine.model}", "plan=true")
    done = run(tmp_path, "-m", *TINY, f"+trainer={TRAINER % TENSORFLOW},{TRAINER % JAX}", *more)
    assert "model mine.model cannot be built: AssertionError" in complaint(done)
    (tmp_path / "mine.py").write_text(MODEL % "jax")
    data = ("~data", "+data={_target_: mine.data, validation_fraction: 0.2, split_seed: 1, limit: null}")
    words = [each for each in TINY if not each.startswith("data")]
    for some in (TINY, (*words, *data)):  # the dataset's function is the first to import Keras
        done = run(tmp_path, "-m", *some, f"+trainer={TRAINER % JAX}", *more)
        assert done.returncode == 0, done.stderr
    done = run(tmp_path, *words, *data, f"+trainer={TRAINER % JAX}", *more[:2], "save=none", "hydra.run.dir=r")
    assert done.returncode == 0, done.stderr + done.stdout


SEEDS = """
import keras, random, sys
import numpy as np
from fashion_sweep.training.engines.keras_internals import set_random_seed
def draws(seed):
    seed(5)
    return [random.random(), np.random.rand(), *np.asarray(keras.random.normal([2])).tolist(),
            *np.asarray(keras.layers.Dense(2).add_weight([2, 2])).ravel().tolist()]
ours = draws(set_random_seed)
print("tensorflow" in sys.modules, ours == draws(keras.utils.set_random_seed))
"""


def test_seeds_are_those_of_keras_without_tensorflow(tmp_path: Path) -> None:
    words = [sys.executable, "-c", SEEDS]
    done = subprocess.run(
        words, cwd=tmp_path, env=environment(KERAS_BACKEND="jax"), capture_output=True, text=True, check=False
    )
    assert done.stdout == "False True\n", done.stderr
