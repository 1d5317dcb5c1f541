"""The protocol of engines, the cache of programs, and where private names of Keras may be used."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import cast

import keras
import numpy as np
import pytest
from fixture_types import MakeSpec

import fashion_sweep
from fashion_sweep.data import loading
from fashion_sweep.training import model_setup, packed, packing
from fashion_sweep.training.engines import base, default_engine, keras_internals
from fashion_sweep.training.engines.base import EpochInputs, EpochResult
from fashion_sweep.training.engines.program_cache import PROGRAMS_KEPT, ProgramCache
from fashion_sweep.training.job import Job

PACKAGE = Path(fashion_sweep.__file__).parent


def test_a_cache_makes_each_program_once_and_drops_the_one_that_was_not_used_for_longest() -> None:
    cache: ProgramCache[list[int]] = ProgramCache(size=2)
    first = cache.get(["a", (1, 2)], lambda: [1])
    assert cache.get(["a", (1, 2)], lambda: [2]) is first
    cache.get(["b"], lambda: [3])
    cache.get(["a", (1, 2)], lambda: [4])
    cache.get(["c"], lambda: [5])
    assert cache.values() == [[1], [5]]
    assert len(cache) == 2
    cache.clear()
    assert cache.values() == []
    assert PROGRAMS_KEPT == 8


def test_correct_answers_and_losses_become_means() -> None:
    result = EpochResult.of_sums(([2.0, 4.0], [1.0, 3.0]), 4)
    assert result.loss.tolist() == [0.5, 1.0]
    assert result.accuracy.tolist() == [0.25, 0.75]


def test_an_engine_and_its_programs_have_every_method_of_their_protocols() -> None:
    from fashion_sweep.training.engines.tensorflow.engine import TensorFlowProgram

    for protocol, kind in ((base.Engine, type(default_engine())), (base.Program, TensorFlowProgram)):
        expected = {name for name in vars(protocol) if not name.startswith("_")}
        assert expected - set(dir(kind)) == set()
    assert default_engine() is default_engine()
    assert default_engine().environment == {"KERAS_BACKEND": "tensorflow"}


def test_an_engine_is_asked_for_the_limits_of_packs_without_a_compute_library() -> None:
    code = (
        "import sys\nfrom fashion_sweep.training.engines import default_engine\n"
        "node = {'_target_': 'keras.optimizers.SGD', 'momentum': 0.9, 'weight_decay': None}\n"
        "print(default_engine().optimizer_inputs(node), default_engine().optimizer_inputs({**node, 'clipnorm': 1.0}))\n"
        "print(sorted({'tensorflow', 'keras', 'jax'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "['momentum'] None\n[]\n"


class Recorded:
    """An engine that computes nothing: it writes down what it is asked."""

    def __init__(self) -> None:
        self.asked: list[object] = []

    def program_key(self, _model: object, _config: object) -> str:
        return "all"

    def program(self, _models: object, _config: object, _split: object) -> Recorded:
        return self

    def place(self, _split: object) -> str:
        return "arrays"

    def learning_rates(self, _model: object, _first_step: int, steps: int) -> np.ndarray:
        return np.full(steps, 0.5, "float32")

    def dropout_rates(self, _model: object) -> list[float]:
        return [0.25]

    def is_function_of_inputs(self, _model: object) -> bool:
        return True

    def load(self, models: Sequence[object]) -> None:
        self.asked.append(("load", len(models)))

    def epoch(self, arrays: object, inputs: EpochInputs) -> EpochResult:
        shapes = [np.shape(each) for each in (inputs.orders, inputs.learning_rates, inputs.dropout_rates, inputs.seeds)]
        self.asked.append((arrays, inputs.first_step, shapes))
        return EpochResult(np.array([1.0, 2.0]), np.array([0.5, 0.25]))

    def validate(self, _arrays: object) -> EpochResult:
        return EpochResult(np.array([3.0, 4.0]), np.array([0.125, 0.75]))

    def store(self, row: int, _model: object) -> None:
        self.asked.append(("store", row))


def test_the_epoch_loop_trains_with_any_engine(make_spec: MakeSpec) -> None:
    specs = [make_spec("trainer=compiled", "batch_size=100", f"seed={seed}", folder=str(seed)) for seed in (3, 4)]
    jobs, engine = [Job(spec) for spec in specs], Recorded()
    for job in jobs:
        job.start()
    packed.train(jobs, cast(base.Engine, engine))
    shapes = [(2, 256), (3, 2), (2, 1), (2,)]
    stores = [("store", 0), ("store", 1)]
    assert engine.asked == [("load", 2), ("arrays", 0, shapes), *stores, ("arrays", 3, shapes), *stores]
    assert [job.recorder.record.status.value for job in jobs] == ["completed"] * 2
    last = {"epoch": 2, "loss": 2.0, "accuracy": 0.25, "val_loss": 4.0, "val_accuracy": 0.75}
    assert jobs[1].recorder.record.last == last


@pytest.mark.parametrize(
    "name", ["packed", "packs", "packing", "checkpoint", "callbacks", "model_setup", "job", "train"]
)
def test_outside_their_rooms_no_engine_is_known_by_name(name: str) -> None:
    text = (PACKAGE / "training" / f"{name}.py").read_text()
    assert re.findall(r"engines[./]tensorflow|import tensorflow|jax", text) == []


def test_runs_of_one_program_have_equal_keys_and_runs_of_two_have_not(make_spec: MakeSpec) -> None:
    def key(*words: str) -> str:
        job = Job(make_spec("trainer=compiled", *words))
        return default_engine().program_key(model_setup.compiled_model(job), job.config)

    assert key("model.dropout=0.3", "seed=1") == key("model.dropout=0.4", "seed=2", "optimizer.learning_rate=0.1")
    assert key("model.dropout=0.3") != key("model.dropout=0")
    assert key() != key("optimizer=sgd")
    assert key() != key("schedule=cosine")


def test_data_is_placed_once_and_keeps_its_values(make_spec: MakeSpec) -> None:
    _, split = loading.load_split(make_spec().config["data"])
    arrays = default_engine().place(split)
    assert default_engine().place(split) is arrays
    np.testing.assert_array_equal(arrays.x_val, split.x_val)
    np.testing.assert_array_equal(arrays.y_train, split.y_train)
    assert arrays.x_train.dtype.name == "uint8"


def test_learning_rates_follow_the_schedule_and_what_callbacks_set(make_spec: MakeSpec) -> None:
    def model(*words: str) -> keras.Model:
        return model_setup.compiled_model(Job(make_spec("epochs=1", "batch_size=64", *words)))

    constant = model("optimizer.learning_rate=0.5")
    assert default_engine().learning_rates(constant, 2, 3).tolist() == [0.5] * 3
    constant.optimizer.learning_rate = 0.25
    assert default_engine().learning_rates(constant, 2, 3).tolist() == [0.25] * 3
    cosine = default_engine().learning_rates(model("schedule=cosine", "optimizer.learning_rate=1.0"), 0, 5)
    assert cosine.dtype == np.float32
    assert cosine.tolist() == pytest.approx([1.0, 0.8535534, 0.5, 0.1464466, 0.0], abs=1e-6)


def test_keras_has_the_private_names_that_are_used() -> None:
    dropout = keras.layers.Dropout(0.5)
    inner = keras.Sequential([keras.Input((2,)), dropout])
    model = keras.Sequential([keras.Input((2,)), inner, keras.layers.Dense(1)])
    assert dropout in keras_internals.all_layers(model)
    assert model not in keras_internals.all_layers(model)
    assert model in keras_internals.all_layers(model, with_model=True)
    optimizer = keras.optimizers.SGD(0.5)
    assert keras_internals.learning_rate(optimizer) is optimizer.learning_rate
    keras_internals.set_learning_rate(optimizer, lambda: 0.125)
    assert optimizer.learning_rate == 0.125
    board = keras.callbacks.TensorBoard
    assert not keras_internals.profiles_batches(board("x"))


def test_an_optimizer_asks_before_each_variable() -> None:
    calls: list[object] = []
    optimizer = keras.optimizers.AdamW(0.5, weight_decay=0.1)
    variables = [keras.Variable(np.ones(size, "float32")) for size in (2, 3)]
    plain = [keras.Variable(np.ones(size, "float32")) for size in (2, 3)]
    gradients = [keras.ops.ones(size) for size in (2, 3)]
    keras.optimizers.AdamW(0.5, weight_decay=0.1).apply(gradients, plain)
    optimizer.build(variables)

    def before(variable: keras.Variable) -> float:
        calls.append(variable.shape[0])
        return 0.5

    keras_internals.on_each_variable(optimizer, before, lambda: calls.append("after"))
    optimizer.apply(gradients, variables)
    assert calls == [2, 3, "after", 2, "after", 3, "after"]
    for one, other in zip(variables, plain, strict=True):
        np.testing.assert_array_equal(one, other)


PRIVATE_MODULE = re.compile(r"(keras|tensorflow)\b.*\b(src|python|_\w+)\b")


def private_uses(path: Path) -> Iterator[str]:
    """Private names that a file takes from other modules or from objects that are not its own."""
    tree = ast.parse(path.read_text())
    own = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute) and _is_of_self(node)}
    own |= {node.name for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and _is_private(node.attr) and node.attr not in own:
            yield f"{path.relative_to(PACKAGE)}:{node.lineno} {ast.unparse(node)}"
        if isinstance(node, ast.ImportFrom) and re.match(
            r"(keras|tensorflow)\b.*\b(src|_\w+|python)\b", node.module or ""
        ):
            yield f"{path.relative_to(PACKAGE)}:{node.lineno} {node.module}"


def _is_of_self(node: ast.Attribute) -> bool:
    return isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


OTHERS = {"_target_": "config nodes", "_exit": "os._exit", "_value": "OmegaConf", "_internal": "Hydra"}
"""Private names of Hydra's and the standard library's."""


def test_private_names_of_keras_and_tensorflow_are_used_by_engines_alone() -> None:
    files = [path for path in PACKAGE.rglob("*.py") if "engines" not in path.relative_to(PACKAGE).parts]
    assert len(files) > 80
    found = [use for path in files for use in private_uses(path) if use.rpartition(".")[2] not in OTHERS]
    assert found == []


def test_the_search_for_private_names_finds_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(globals(), "PACKAGE", tmp_path)
    path = tmp_path / "bad.py"
    path.write_text("from keras.src import ops\nmodel.optimizer._learning_rate\n__version__ = model.__class__\n")
    assert sorted(private_uses(path)) == ["bad.py:1 keras.src", "bad.py:2 model.optimizer._learning_rate"]


def test_the_key_of_a_pack_asks_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    node = {"_target_": "keras.optimizers.Adam", "learning_rate": 0.1}
    config = {"optimizer": node, "model": {}, "data": 1, "trainer": 2, "epochs": 3, "batch_size": 4}
    assert packing.pack_key(config) is not None
    monkeypatch.setattr(type(default_engine()), "optimizer_inputs", lambda _self, _node: None)
    assert packing.pack_key(config) is None
