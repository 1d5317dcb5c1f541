"""The protocol of engines, the cache of programs, and where private names of Keras may be used."""

from __future__ import annotations

import ast
import random
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import cast

import keras
import numpy as np
import pytest
from fixture_types import MakeSpec

import fashion_sweep
from fashion_sweep.data import loading
from fashion_sweep.training import model_setup, packed
from fashion_sweep.training.compiled import Compiled
from fashion_sweep.training.engines import JAX, NAMES, TENSORFLOW, base, engine_named, keras_internals
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


def test_an_order_becomes_whole_batches_and_what_is_left_over() -> None:
    orders = np.array([[3, 0, 4, 1, 2], [0, 1, 2, 3, 4]])
    whole, rest = base.batches(orders, 2)
    assert whole.tolist() == [[[3, 0], [4, 1]], [[0, 1], [2, 3]]]
    assert rest.tolist() == [[2], [4]]
    whole, rest = base.batches(orders[0], 8)
    assert (whole.shape, rest.tolist()) == ((0, 8), [3, 0, 4, 1, 2])
    assert whole.dtype == rest.dtype == np.int32


def test_logs_are_what_keras_passes_to_callbacks() -> None:
    logs = {"loss": np.float32(0.5), "curves": {"tp": np.array([1.0, 2.0]), "auc": np.array(0.25)}}
    found = base.numbers(logs)
    assert {key: np.asarray(value).tolist() for key, value in found.items()} == {
        "auc": 0.25,
        "tp": [1.0, 2.0],
        "loss": 0.5,
    }
    assert type(found["loss"]) is type(found["auc"]) is float


def test_images_are_moved_in_as_few_bytes_as_keep_their_values() -> None:
    assert base.compact(np.array([0, 255], "int64")).dtype == np.uint8
    assert base.compact(np.array([0.1, 0.9], "float64")).dtype == np.float32


def test_engines_and_their_programs_have_every_method_of_their_protocols() -> None:
    from fashion_sweep.training.engines.jax.member import JaxMember
    from fashion_sweep.training.engines.jax.pack import JaxProgram
    from fashion_sweep.training.engines.tensorflow.lone import LoneRun
    from fashion_sweep.training.engines.tensorflow.pack import PackMember, PackProgram

    kinds: Sequence[tuple[type, Sequence[type]]] = (
        (base.Engine, [type(engine_named(name)) for name in NAMES]),
        (base.Program, [LoneRun, PackProgram, JaxProgram]),
        (base.Member, [LoneRun, PackMember, JaxMember]),
    )
    for protocol, found in kinds:
        expected = {name for name in vars(protocol) if not name.startswith("_")}
        for kind in found:
            assert expected - set(dir(kind)) == set(), kind
    assert [engine_named(name) is engine_named(name) for name in NAMES] == [True, True]
    assert [engine_named(name).environment["KERAS_BACKEND"] for name in NAMES] == ["tensorflow", "jax"]


def test_engines_are_asked_for_the_limits_of_packs_without_a_compute_library() -> None:
    code = (
        "import sys\nfrom fashion_sweep.training.engines import NAMES, engine_named\n"
        "config = dict(model={}, data=1, trainer=2, epochs=3, batch_size=4)\n"
        "def keys(**given):\n"
        "    node = {'_target_': 'keras.optimizers.SGD', 'momentum': 0.9, 'learning_rate': 0.1, **given}\n"
        "    return [engine_named(name).pack_key({**config, 'optimizer': node}) for name in NAMES]\n"
        "print([one == two for one, two in zip(keys(), keys(momentum=0.8))])\n"
        "print([one == two for one, two in zip(keys(), keys(clipnorm=1.0))])\n"
        "print(sorted({'tensorflow', 'keras', 'jax'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[True, True]\n[False, False]\n[]\n"


class Recorded:
    """An engine that computes nothing: it writes down what it is asked. Each run of it is a member of one program."""

    key, alone, can_continue = "all", None, False

    def __init__(self) -> None:
        self.asked: list[object] = []

    def place(self, _split: object) -> str:
        return "arrays"

    def member(self, run: base.Run, arrays: object, pack: int) -> Recorded:
        self.asked.append(("member", run.seed, run.batch_size, run.model.optimizer.built, arrays, pack))
        return self

    def program(self, members: Sequence[object], _arrays: object) -> Recorded:
        self.asked.append(("program", len(members)))
        return self

    def train(self, arrays: object, orders: np.ndarray, first_step: int, live: Sequence[int]) -> list[base.Logs]:
        self.asked.append(("train", arrays, orders.shape, first_step, list(live)))
        return [{"loss": 1.0, "accuracy": 0.5}, {"loss": 2.0, "accuracy": 0.25}]

    def validate(self, arrays: object, live: Sequence[int]) -> list[base.Logs]:
        self.asked.append(("validate", arrays, list(live)))
        return [{"loss": 3.0, "accuracy": 0.125}, {"loss": 4.0, "accuracy": 0.75}]


def test_the_epoch_loop_trains_with_any_engine(make_spec: MakeSpec) -> None:
    specs = [make_spec("trainer=compiled", "batch_size=100", f"seed={seed}", folder=str(seed)) for seed in (3, 4)]
    jobs, engine = [Job(spec) for spec in specs], Recorded()
    for job in jobs:
        job.start()
    packed.train(jobs, cast(base.Engine, engine))
    members = [("member", seed, 100, True, "arrays", 2) for seed in (3, 4)]
    epochs = [
        each
        for first in (0, 3)
        for each in (("train", "arrays", (2, 256), first, [0, 1]), ("validate", "arrays", [0, 1]))
    ]
    assert engine.asked == [*members, ("program", 2), *epochs]
    assert [job.recorder.record.status.value for job in jobs] == ["completed"] * 2
    last = {"epoch": 2, "loss": 2.0, "accuracy": 0.25, "val_loss": 4.0, "val_accuracy": 0.75}
    assert jobs[1].recorder.record.last == last


@pytest.mark.parametrize(
    "name", ["packed", "packs", "keras_settings", "checkpoint", "callbacks", "model_setup", "job", "train"]
)
def test_outside_their_rooms_no_engine_is_known_by_name(name: str) -> None:
    text = (PACKAGE / "training" / f"{name}.py").read_text()
    assert re.findall(r"engines[./]tensorflow|import tensorflow|jax", text) == []


@pytest.mark.parametrize("pack", [1, 2])
def test_runs_of_one_program_have_equal_keys_and_runs_of_two_have_not(make_spec: MakeSpec, pack: int) -> None:
    engine = engine_named(TENSORFLOW)

    def key(*words: str) -> str:
        job = Job(make_spec("trainer=compiled", *words))
        model = model_setup.compiled_model(job)
        model_setup.build(model, job)
        run = base.Run(model, job.config["seed"], job.config["batch_size"])
        return engine.member(run, engine.place(job.split), pack).key

    assert key("model.dropout=0.3", "seed=1") == key("model.dropout=0.4", "seed=2", "optimizer.learning_rate=0.1")
    assert key("optimizer.beta_1=0.5", "schedule=cosine") == key("optimizer.beta_1=0.7", "schedule=exponential")
    words = ["model.dropout=0.3", "optimizer=sgd", "schedule=cosine", "batch_size=16", "model.hidden_units=[7,7]"]
    words += ["data.samples=480", "optimizer.amsgrad=true"]
    assert len({key(), *map(key, words)}) == 1 + len(words)


def test_data_is_placed_once_and_keeps_its_values(make_spec: MakeSpec) -> None:
    _, split = loading.load_split(make_spec().config["data"])
    engine = engine_named(TENSORFLOW)
    arrays = engine.place(split)
    assert engine.place(split) is arrays
    np.testing.assert_array_equal(arrays.x_val, split.x_val)
    np.testing.assert_array_equal(arrays.y_train, split.y_train)
    assert arrays.x_train.dtype.name == "uint8"


def test_keras_has_the_private_names_that_are_used() -> None:
    dropout = keras.layers.Dropout(0.5)
    inner = keras.Sequential([keras.Input((2,)), dropout])
    model = keras.Sequential([keras.Input((2,)), inner, keras.layers.Dense(1)])
    assert dropout in keras_internals.all_layers(model)
    assert model not in keras_internals.all_layers(model)
    optimizer = keras.optimizers.SGD(0.5)
    assert keras_internals.learning_rate(optimizer) is optimizer.learning_rate
    assert keras_internals.is_used_once(dropout)
    assert keras_internals.decays_all(optimizer)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    assert not keras_internals.decays_all(optimizer)
    board = keras.callbacks.TensorBoard
    assert not keras_internals.profiles_batches(board("x"))


def test_a_layer_that_is_called_at_two_places_is_not_used_once() -> None:
    inputs, dense = keras.Input((2,)), keras.layers.Dense(2)
    keras.Model(inputs, dense(dense(inputs)))
    assert not keras_internals.is_used_once(dense)


def test_an_optimizer_asks_for_another_rate_within_a_block_and_is_as_before_after_it() -> None:
    optimizer = keras.optimizers.SGD(0.5, momentum=0.9)
    optimizer.build([keras.Variable(np.ones(2, "float32"))])
    before = [id(each) for each in optimizer.variables]
    with keras_internals.replaced(optimizer, lambda: 0.125):
        optimizer.momentum = 0.1
        assert optimizer.learning_rate == 0.125
        assert [id(each) for each in optimizer.variables] == before
    assert (float(optimizer.learning_rate), optimizer.momentum) == (0.5, 0.9)
    with keras_internals.replaced(optimizer, None):
        assert float(optimizer.learning_rate) == 0.5


def test_the_state_of_an_optimizer_is_all_but_its_learning_rate() -> None:
    optimizer = keras.optimizers.SGD(0.5, momentum=0.9)
    optimizer.build([keras.Variable(np.ones(2, "float32"), name="w")])
    assert [each.name for each in keras_internals.state(optimizer)] == ["iteration", "w_momentum"]
    optimizer.apply([np.ones(2, "float32")])
    assert keras_internals.iterations(optimizer) == 1


def test_a_model_is_built_with_its_loss_metrics_and_optimizer() -> None:
    model = keras.Sequential([keras.layers.Dense(3)])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    keras_internals.build(model, np.zeros((4, 2), "float32"), np.zeros(4, "int32"))
    assert model.built
    assert len(model.optimizer.variables) == 2 + 2 * 2
    assert [each.name for each in model.metrics] == ["loss", "compile_metrics"]
    assert len(model.metrics_variables) == 4


def test_seeding_is_keras_own() -> None:
    def numbers(seeded: Callable[[int], object]) -> list[object]:
        seeded(5)
        return [np.random.random(), random.random(), np.asarray(keras.random.normal((3,))).tolist()]

    assert numbers(keras_internals.set_random_seed) == numbers(keras.utils.set_random_seed)


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


@pytest.mark.parametrize("name", NAMES)
def test_the_key_of_a_pack_asks_the_engine_that_the_config_names(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    config = {"trainer": {"engine": name}}
    monkeypatch.setattr(type(engine_named(name)), "pack_key", lambda _self, config: f"{name} {config}")
    for trainer in (Compiled(engine=TENSORFLOW), Compiled(engine=JAX)):
        assert trainer.pack_key(config) == f"{name} {config}"
