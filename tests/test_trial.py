"""All that a config names is built before the first run, and what is wrong with it is told in a line."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from omegaconf import DictConfig
from planning import make

from fashion_sweep.errors import ConfigError
from fashion_sweep.planning import run_spec
from fashion_sweep.training import trial

KERAS = "keras.callbacks"
METRICS = "loss, accuracy, val_loss, val_accuracy"
COSINE = "schedule=cosine"


def own(kind: str, **arguments: object) -> str:
    return callback(f"own_parts.{kind}", "x", **arguments)


def callback(target: str, key: str = "x", **arguments: object) -> str:
    return f"+callbacks.{key}={{_target_: {target}" + "".join(f", {k}: {v}" for k, v in arguments.items()) + "}"


def optimizer(kind: str) -> tuple[str, str]:
    return "~optimizer", f"+optimizer={{_target_: own_parts.{kind}, learning_rate: 0.1}}"


def model(kind: str) -> tuple[str, str]:
    return "~model", f"+model={{_target_: own_parts.net, kind: {kind}}}"


@pytest.fixture
def problems(composed: Callable[..., DictConfig], tmp_path: Path) -> Callable[..., list[str]]:
    def found(*overrides: str) -> list[str]:
        lines = ("data=synthetic", "data.samples=40", "data.image_size=4", "model.hidden_units=[3]", *overrides)
        if "~model" in overrides:
            lines = tuple(line for line in lines if not line.startswith("model."))
        config = run_spec.resolved(composed(*lines))
        folder = tmp_path / "trial" / "0"
        folder.mkdir(parents=True)
        return [line.replace(f"{folder}/", "") for line in trial.problems(config, folder, lambda _what: None)]

    return found


RIGHT: list[tuple[str, ...]] = [
    (),
    ("callbacks=checkpoint_early_stopping", "callbacks.early_stopping.monitor=val_accuracy"),
    ("callbacks.checkpoint.filepath='e{epoch:02d}/{val_loss:.2f}.keras'", "callbacks.checkpoint.save_best_only=false"),
    ("callbacks.checkpoint.save_weights_only=true", "callbacks.checkpoint.filepath=best.weights.h5"),
    (COSINE, callback(f"{KERAS}.EarlyStopping", monitor="learning_rate", mode="min")),
    (callback(f"{KERAS}.ReduceLROnPlateau"), callback(f"{KERAS}.EarlyStopping", "y", monitor="learning_rate",
                                                      mode="min")),
    (own("AddsF1"), callback(f"{KERAS}.EarlyStopping", "y", monitor="f1", mode="max")),
    (own("EarlyStopping", monitor="val_accuracy"),),
    (callback(f"{KERAS}.SwapEMAWeights"), "optimizer.use_ema=true"),
    (callback(f"{KERAS}.TensorBoard", log_dir="board"), callback(f"{KERAS}.CSVLogger", "y", filename="x.csv")),
    (callback(f"{KERAS}.RemoteMonitor", root="http://127.0.0.1:9"),),
    (callback("hydra.utils.get_method", path="keras.callbacks.History"), "callbacks.x=null"),
    (own("Writes", filename="../../../above.txt"),),
    (*optimizer("Optimizer"), COSINE),
    (*model("WithTopTwo"), callback(f"{KERAS}.EarlyStopping", monitor="val_top2")),
    (*model("FailingStep"), own("AddsF1")),  # which might have helped it
]  # fmt: skip


@pytest.mark.parametrize("overrides", RIGHT, ids=" ".join)
def test_what_can_be_trained_is_not_refused(
    problems: Callable[..., list[str]], tmp_path: Path, overrides: tuple[str, ...]
) -> None:
    assert problems(*overrides) == []
    assert [path.name for path in tmp_path.iterdir()] == ["trial"]


WRONG: list[tuple[tuple[str, ...], str]] = [
    (("callbacks.checkpoint.monitor=val_acc",),
     f"callbacks.checkpoint.monitor=val_acc: no such metric; expected one of {METRICS}"),
    ((own("Watches", monitor="lost"),), f"callbacks.x.monitor=lost: no such metric; expected one of {METRICS}"),
    ((callback(f"{KERAS}.EarlyStopping", monitor="f1"), callback("own_parts.AddsF1", "y")),
     f"callbacks.x.monitor=f1: no such metric; expected one of {METRICS}"),
    ((own("AddsF1"), callback(f"{KERAS}.EarlyStopping", "y", monitor="f1")),
     "callbacks.y.mode=auto: Keras cannot tell whether a higher or a lower f1 is better; "
     "give callbacks.y.mode=max or callbacks.y.mode=min"),
    ((*model("WithTopTwo"), callback(f"{KERAS}.EarlyStopping", monitor="val_top3")),
     f"callbacks.x.monitor=val_top3: no such metric; expected one of {METRICS}, top2, val_top2"),
    ((callback(f"{KERAS}.ReduceLROnPlateau"), COSINE),
     "callbacks.x (ReduceLROnPlateau) sets the learning rate, which a schedule does already; "
     "give callbacks.x=null or schedule=constant"),
    (("callbacks.checkpoint.save_weights_only=true",),
     "callbacks.checkpoint._target_=fashion_sweep.training.callbacks.ModelCheckpoint cannot be made: ValueError: When "
     "using `save_weights_only=True` in `ModelCheckpoint`, the filepath provided must end in `.weights.h5` (Keras "
     "weights format). Received: filepath=best.keras"),
    (("callbacks.checkpoint.filepath=\"{val_acc}.keras\"",),
     "Failed to format this callback filepath: \"{val_acc}.keras\". Reason: 'val_acc'"),
    ((callback(f"{KERAS}.CSVLogger", file="x"),),
     "callbacks.x._target_=keras.callbacks.CSVLogger cannot be made: TypeError: CSVLogger.__init__() got an unexpected "
     "keyword argument 'file'; its arguments are filename, separator, append"),
    ((callback(f"{KERAS}.SwapEMAWeights"),),
     "callbacks.x (SwapEMAWeights) fails in its first epoch: ValueError: SwapEMAWeights must be used when "
     "`use_ema=True` is set on the optimizer. Received: use_ema=False"),
    ((own("number"),), "callbacks.x._target_=own_parts.number returned float, expected a keras.callbacks.Callback"),
    ((own("Exits"),), "callbacks.x._target_=own_parts.Exits called sys.exit(3), expected it to return"),
    (("~optimizer", "+optimizer={_target_: own_parts.number}"),
     "optimizer._target_=own_parts.number returned float, expected a keras Optimizer"),
    (("~optimizer", "+optimizer={_target_: own_parts.Optimizer}", COSINE),
     "optimizer.learning_rate: a value is required with a schedule, which starts from it"),
    (("optimizer=sgd", "+optimizer.rho=0.5"),
     "optimizer._target_=keras.optimizers.SGD cannot be made: ValueError: Argument(s) not recognized: {'rho': 0.5}; "
     "its arguments are learning_rate, momentum, nesterov, weight_decay, "),
    (("+schedule={_target_: own_parts.number}",),
     "schedule._target_=own_parts.number returned float, expected a keras LearningRateSchedule"),
    (optimizer("FailingOptimizer"),
     "model fashion_sweep.models.mlp cannot take a training step with own_parts.FailingOptimizer: RuntimeError: "),
    (model("FailingStep"),
     "model own_parts.net cannot take a training step with keras.optimizers.Adam: RuntimeError: no step"),
    (model("WithoutLoss"), "model own_parts.net does not report val_loss, val_accuracy, but accuracy, loss, val_mean"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("overrides", "line"), WRONG, ids=lambda value: " ".join(value) if type(value) is tuple else ""
)
def test_what_would_fail_in_a_run_is_told(
    problems: Callable[..., list[str]], overrides: tuple[str, ...], line: str
) -> None:
    [problem] = problems(*overrides)
    assert problem.startswith(line)


@pytest.mark.parametrize(
    ("override", "line"),
    [
        (
            "+callbacks.x={patience: 5}",
            "callbacks.x is {'patience': 5}, expected a node with a _target_; give +callbac",
        ),
        (
            "+callbacks.x=early_stopping",
            "callbacks.x is early_stopping, expected a node with a _target_; give +callbac",
        ),
        ("+schedule={decay_steps: 5}", "schedule is {'decay_steps': 5}, expected a choice of the group or a node with"),
        ("~optimizer", "optimizer"),
    ],
)
def test_a_node_that_names_nothing(override: str, line: str) -> None:
    with pytest.raises(ConfigError) as caught:
        make(override, multirun=False)
    assert str(caught.value).startswith(line)


@pytest.mark.slow
def test_nothing_of_it_reaches_the_command_or_the_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parent), *sys.path]))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    where = f"hydra.sweep.dir={tmp_path / 's'}"
    writes = own("Writes", filename="${hydra:runtime.output_dir}/sub/x.txt")
    assert len(make(writes, "seed=0,1", where).specs) == 2
    with pytest.raises(ConfigError) as caught:
        make(f"{own('number')},{own('Crashes').partition('=')[2]}", "seed=0,1", where)
    assert str(caught.value).splitlines() == [
        "callbacks.x._target_=own_parts.number returned float, expected a keras.callbacks.Callback",
        "callbacks.x._target_=own_parts.Crashes ended the process that tried it (killed by signal 6)",
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["tmp"]
    assert not list((tmp_path / "tmp").iterdir())
