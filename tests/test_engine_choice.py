"""``trainer.engine``: what it stands for, what is refused, and what it does to a run's identity."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from importlib import metadata, util
from pathlib import Path
from typing import Any

import pytest
from fixture_types import Command, MakeSpec
from omegaconf import DictConfig
from optional import present
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from sweeping import complaint, run, site

from fashion_sweep.config import recorded
from fashion_sweep.errors import ConfigError
from fashion_sweep.planning import run_spec
from fashion_sweep.storage.identity import identity
from fashion_sweep.storage.run_dir import RunDir
from fashion_sweep.training import engines, failures, process_settings
from fashion_sweep.training.engines import AUTO, JAX, NAMES, TENSORFLOW, choice, engine_named, name_of, process
from fashion_sweep.training.trainer import trainer_of
from packed_jobs.local import devices

TARGET = "fashion_sweep.training.compiled.compiled"
RECORDED = Path(__file__).parent / "recorded"
TINY = ("-m", "data=synthetic", "data.samples=160", "data.image_size=8", "epochs=1", "hydra.sweep.dir=s")


def node(engine: str) -> dict[str, Any]:
    return {"_target_": TARGET, "engine": engine}


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Sets what is installed, and whether JAX sees a GPU."""

    def have(*installed: str, gpu: bool = False) -> None:
        monkeypatch.setattr(choice, "problem", lambda name: None if name in installed else f"no {name}")
        monkeypatch.setattr(choice, "jax_sees_gpu", lambda _listed: gpu)

    return have


@pytest.mark.parametrize(
    ("installed", "gpu", "best"),
    [
        (NAMES, False, [TENSORFLOW, JAX]),
        (NAMES, True, [JAX, TENSORFLOW]),
        ((TENSORFLOW,), True, [TENSORFLOW]),
        ((JAX,), False, [JAX]),
        ((), False, [TENSORFLOW, JAX]),  # the check of the first one says what to install
    ],
)
def test_auto_is_jax_where_it_sees_a_gpu(
    machine: Callable[..., None], installed: tuple[str, ...], gpu: bool, best: list[str]
) -> None:
    machine(*installed, gpu=gpu)
    config = {"trainer": node(AUTO)}
    assert [each["engine"] for each in trainer_of(config).variants(config)] == best


def test_a_name_stands_for_itself() -> None:
    for name in NAMES:
        config = {"trainer": node(name)}
        assert trainer_of(config).variants(config) == [node(name)]
        assert trainer_of(config).environment == engine_named(name).environment
    with pytest.raises(ConfigError, match=r"^trainer\.engine is auto, expected tensorflow or jax$"):
        assert trainer_of({"trainer": node(AUTO)}).environment


def test_a_config_without_a_name_means_tensorflow() -> None:
    assert name_of({"trainer": {"_target_": TARGET}}) == TENSORFLOW
    assert name_of({"trainer": {"_target_": "somebodys.trainer", "engine": "diesel"}}) == TENSORFLOW
    assert engines.engine_of({"trainer": node(JAX)}) is engine_named(JAX)


def test_no_gpu_needs_no_question_to_jax(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setattr(subprocess, "run", None)
    choice.jax_sees_gpu.cache_clear()
    assert not choice.jax_sees_gpu("")


@pytest.mark.medium
def test_jax_is_asked_whether_it_sees_the_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("jax")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "no-such-device")
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    assert devices.visible_gpus()
    choice.jax_sees_gpu.cache_clear()
    assert not choice.jax_sees_gpu("no-such-device")


def settled(config: DictConfig, **options: Any) -> tuple[str, str]:
    """The engine of the run, and the one that its config names afterwards."""
    found = run_spec.settle(config, **options)
    return found.config["trainer"]["engine"], config.trainer.engine


def test_planning_puts_an_engine_in_the_place_of_auto(
    composed: Callable[..., DictConfig], machine: Callable[..., None]
) -> None:
    machine(*NAMES, gpu=True)
    assert settled(composed("data=synthetic")) == (JAX, JAX)
    machine(*NAMES)
    assert settled(composed("data=synthetic")) == (TENSORFLOW, TENSORFLOW)
    assert settled(composed("data=synthetic", "trainer.engine=jax")) == (JAX, JAX)


def test_a_run_that_is_there_keeps_its_engine(
    composed: Callable[..., DictConfig], machine: Callable[..., None]
) -> None:
    machine(*NAMES)
    before = run_spec.settle(composed("data=synthetic")).identity
    machine(*NAMES, gpu=True)
    is_known = lambda each: each.identity == before  # noqa: E731
    assert settled(composed("data=synthetic"), is_known=is_known) == (TENSORFLOW, TENSORFLOW)
    assert settled(composed("data=synthetic", "seed=1"), is_known=is_known) == (JAX, JAX)


@pytest.mark.parametrize("run", sorted(RECORDED.glob("sweep/*/run.json")), ids=lambda path: path.parent.name[-8:])
def test_recorded_runs_keep_their_identity_with_tensorflow_alone(run: Path) -> None:
    record = json.loads(run.read_text())
    config: Mapping[str, Any] = record["config"]
    assert "engine" not in config["trainer"]
    fingerprint = record["data"]["fingerprint"]
    assert identity({**config, "trainer": node(TENSORFLOW)}, fingerprint) == record["identity"]
    assert identity({**config, "trainer": node(JAX)}, fingerprint) != record["identity"]


def test_the_key_of_somebodys_own_trainer_is_part_of_the_identity() -> None:
    own = {"_target_": "somebodys.trainer", "engine": TENSORFLOW}
    assert identity({"trainer": own}, "") != identity({"trainer": {"_target_": "somebodys.trainer"}}, "")


def test_hydras_copy_that_leaves_the_engine_open_is_read_with_the_recorded_one(make_spec: MakeSpec) -> None:
    spec = make_spec()
    shown = {**spec.config, "trainer": node(JAX)}
    assert recorded._as_recorded(shown, {**shown, "trainer": node(AUTO)})["trainer"] == node(JAX)
    assert recorded._as_recorded(shown, {**shown, "trainer": node(TENSORFLOW)})["trainer"] == node(TENSORFLOW)


@pytest.mark.parametrize(
    ("version", "problem"),
    [
        ("0.9.2", None),
        ("0.6.2", None),
        ("0.10.1", "the engine jax needs jax>=0.6.2,!=0.10.*,!=0.11.0,!=0.11.1,<0.12, and 0.10.1 is installed: "),
        ("0.6.1", "the engine jax needs jax>=0.6.2,!=0.10.*,!=0.11.0,!=0.11.1,<0.12, and 0.6.1 is installed: "),
    ],
)
def test_versions_of_jax_that_compile_wrongly_are_refused(
    monkeypatch: pytest.MonkeyPatch, version: str, problem: str | None
) -> None:
    monkeypatch.setattr(util, "find_spec", lambda _name: True)
    monkeypatch.setattr(metadata, "version", lambda _name: version)
    expected = problem and problem + 'pip install "fashion-sweep[jax]" (on a GPU [jax-cuda])'
    choice.require.cache_clear()
    try:
        assert choice.problem(JAX) == expected
    finally:
        choice.require.cache_clear()


def test_the_extras_ask_for_the_versions_that_are_accepted() -> None:
    lines = re.findall(r'"(jax(?:\[cuda12\])?>[^"]*)"', (Path(__file__).parents[1] / "pyproject.toml").read_text())
    asked = [Requirement(line).specifier for line in lines]
    assert asked == [SpecifierSet(choice.NEEDED[JAX].versions)] * 3  # jax, jax-cuda, dev


@pytest.mark.slow
def test_an_engine_that_is_not_installed_is_refused_before_the_first_run(tmp_path: Path) -> None:
    hide = (
        "from importlib import util\nfind = util.find_spec\nutil.find_spec = lambda n: None if n == 'jax' else find(n)"
    )
    environment = site(tmp_path, hide)
    done = run(tmp_path, *TINY, "trainer.engine=tensorflow,jax", **environment)
    assert 'the engine jax is not installed: pip install "fashion-sweep[jax]" (on a GPU [jax-cuda])' in complaint(done)
    assert not (tmp_path / "s").exists()


@pytest.mark.slow
def test_what_one_process_cannot_train_is_refused_before_the_first_run(command: Command, tmp_path: Path) -> None:
    pytest.importorskip("jax")
    done = command(*TINY, "trainer.engine=tensorflow,jax", "hydra/launcher=basic")
    assert done.returncode == 2
    assert done.stderr == (
        "fashion-sweep: the runs need the engines jax and tensorflow, and hydra/launcher=basic may train them in one "
        "process, which can hold only one: use hydra/launcher=packed, or one engine (trainer.engine=tensorflow)\n"
    )
    assert not (tmp_path / "s").exists()


@pytest.mark.slow
def test_a_wrong_name_is_refused_in_one_line(command: Command) -> None:
    done = command(*TINY, "trainer.engine=jax,torch")
    assert done.returncode == 2
    assert "trainer.engine is torch, expected auto, tensorflow or jax" in done.stderr


def test_too_little_memory_for_jax_is_recognized() -> None:
    error = pytest.importorskip("jax").errors.JaxRuntimeError
    assert failures.reason(error("RESOURCE_EXHAUSTED: Out of memory allocating 9 bytes.")) == "out of memory"
    assert failures.reason(error("INTERNAL: no")) == "JaxRuntimeError: INTERNAL: no"
    assert failures.reason(RuntimeError("RESOURCE_EXHAUSTED: no")) == "RuntimeError: RESOURCE_EXHAUSTED: no"


def test_options_of_jax_are_restored() -> None:
    jax = pytest.importorskip("jax")
    before = jax.config.jax_debug_nans, jax.config.jax_default_matmul_precision
    with process_settings.restored():
        jax.config.update("jax_debug_nans", not before[0])
        jax.config.update("jax_default_matmul_precision", "bfloat16")
    assert (jax.config.jax_debug_nans, jax.config.jax_default_matmul_precision) == before


def test_a_first_import_leaves_the_environment_as_it_was_without_keras(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "keras", raising=False)
    monkeypatch.setenv("KERAS_BACKEND", "mine")
    monkeypatch.delenv("JAX_ENABLE_X64", raising=False)
    with process.first_import(engine_named(JAX).environment):
        assert os.environ["KERAS_BACKEND"] == JAX
        assert os.environ["JAX_ENABLE_X64"] == "0"
    assert os.environ["KERAS_BACKEND"] == process.exported()["KERAS_BACKEND"] == "mine"
    assert "JAX_ENABLE_X64" not in os.environ


def test_a_run_whose_engine_the_process_does_not_have_fails_before_it_trains(make_spec: MakeSpec) -> None:
    import keras  # noqa: F401 - with TensorFlow, as the tests of training do

    from fashion_sweep.training.train import train

    other = JAX if process.imported_backend() == TENSORFLOW else TENSORFLOW
    spec = make_spec("trainer=compiled", f"trainer.engine={other}")
    [record] = train([spec])
    assert record.reason == (
        f"this process has imported Keras with {process.imported_backend()}, and the run needs {other}: a process can "
        f"hold one of them, so train it with hydra/launcher=packed, or in a command of its own"
    )
    assert not RunDir(spec.folder).history.exists()
    assert present(RunDir(spec.folder).read_record()).status.value == "failed"
