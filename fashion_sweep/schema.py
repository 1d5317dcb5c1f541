"""The types of the config, and the checks that types cannot express.

The YAML files in conf/ hold the values and say what each one means; the dataclasses here make Hydra refuse a wrong type
or an unknown key. Fields without a value here get theirs from YAML; the others are Keras arguments that few people set.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, NamedTuple, Optional, Union

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING

# OmegaConf reads the annotations at run time and knows only typing's spelling of optional and union types.
# ruff: noqa: UP007, UP045


class Save(Enum):
    """What is kept of a run's weights after its last epoch."""

    none = "none"
    model = "model"
    weights = "weights"
    both = "both"


class Mode(Enum):
    """Which way a monitored metric gets better."""

    auto = "auto"
    min = "min"
    max = "max"


@dataclass
class Config:
    """The whole config of a run. The groups are open here: each choice brings a schema of its own, or none."""

    model: Any = MISSING
    optimizer: Any = MISSING
    schedule: dict[str, Any] = field(default_factory=dict)
    callbacks: dict[str, Any] = field(default_factory=dict)
    data: Any = MISSING
    trainer: Any = MISSING
    epochs: int = MISSING
    batch_size: int = MISSING
    seed: int = MISSING
    save: Save = MISSING


@dataclass
class Target:
    """Anything that is made by calling a Python function or class."""

    _target_: str = MISSING  # dotted name of the function or class


@dataclass
class Mlp(Target):
    hidden_units: list[int] = MISSING
    activation: str = MISSING
    dropout: float = MISSING


@dataclass
class Cnn(Target):
    filters: list[int] = MISSING
    kernel_size: int = MISSING
    dense_units: int = MISSING
    activation: str = MISSING
    dropout: float = MISSING


@dataclass
class Optimizer(Target):
    """Arguments that every Keras optimizer takes."""

    learning_rate: float = MISSING
    weight_decay: Optional[float] = None  # share of the weights, times the learning rate, taken off each step
    clipnorm: Optional[float] = None  # longest gradient of one variable, L2 norm
    clipvalue: Optional[float] = None  # largest absolute value of a gradient's entry
    global_clipnorm: Optional[float] = None  # longest gradient of all variables together, L2 norm
    use_ema: bool = False  # end with an exponential moving average of the weights
    ema_momentum: float = 0.99  # decay of that average
    ema_overwrite_frequency: Optional[int] = None  # steps after which the average replaces the weights
    loss_scale_factor: Optional[float] = None  # the loss is multiplied by it before gradients are taken
    gradient_accumulation_steps: Optional[int] = None  # steps whose gradients are averaged into one update


@dataclass
class Sgd(Optimizer):
    momentum: float = MISSING
    nesterov: bool = MISSING


@dataclass
class RmsProp(Optimizer):
    rho: float = MISSING
    momentum: float = MISSING
    epsilon: float = MISSING
    centered: bool = MISSING


@dataclass
class Adagrad(Optimizer):
    initial_accumulator_value: float = MISSING
    epsilon: float = MISSING


@dataclass
class Nadam(Optimizer):
    beta_1: float = MISSING
    beta_2: float = MISSING
    epsilon: float = MISSING


@dataclass
class Adam(Nadam):
    amsgrad: bool = MISSING


@dataclass
class CosineDecay(Target):
    decay_steps: Optional[int] = None
    alpha: float = MISSING
    warmup_target: Optional[float] = None  # learning rate at the end of a linear warm-up; null: no warm-up
    warmup_steps: int = 0  # steps of the warm-up


@dataclass
class ExponentialDecay(Target):
    decay_steps: Optional[int] = None
    decay_rate: float = MISSING
    staircase: bool = MISSING


@dataclass
class ModelCheckpoint(Target):
    filepath: str = MISSING
    monitor: str = MISSING
    mode: Mode = MISSING
    save_best_only: bool = MISSING
    save_weights_only: bool = MISSING
    initial_value_threshold: Optional[float] = None  # a value that the first save must beat


@dataclass
class EarlyStopping(Target):
    monitor: str = MISSING
    mode: Mode = MISSING
    min_delta: float = MISSING
    patience: int = MISSING
    restore_best_weights: bool = MISSING
    baseline: Optional[float] = None
    start_from_epoch: int = MISSING


@dataclass
class Data(Target):
    """What every dataset has."""

    validation_fraction: float = MISSING
    split_seed: int = MISSING
    limit: Optional[int] = None


@dataclass
class FashionMnist(Data):
    dir: Optional[str] = None


@dataclass
class Synthetic(Data):
    samples: int = MISSING
    image_size: int = MISSING
    classes: int = MISSING
    noise: float = MISSING
    seed: int = MISSING


@dataclass
class Npz(Data):
    path: str = MISSING
    images: Optional[str] = None
    labels: Optional[str] = None
    class_names: Optional[list[str]] = None


@dataclass
class Fit(Target):
    steps_per_execution: int = MISSING
    jit_compile: Union[bool, str] = MISSING


SCHEMAS: Mapping[str, type] = {
    "config": Config,
    "model/softmax": Target,
    "model/mlp": Mlp,
    "model/cnn": Cnn,
    "optimizer/sgd": Sgd,
    "optimizer/rmsprop": RmsProp,
    "optimizer/adagrad": Adagrad,
    "optimizer/adam": Adam,
    "optimizer/nadam": Nadam,
    "schedule/cosine": CosineDecay,
    "schedule/exponential": ExponentialDecay,
    "callbacks/checkpoint": ModelCheckpoint,
    "callbacks/early_stopping": EarlyStopping,
    "data/fashion_mnist": FashionMnist,
    "data/synthetic": Synthetic,
    "data/npz": Npz,
    "trainer/compiled": Target,
    "trainer/fit": Fit,
}


def register() -> None:
    """Make the schemas known to Hydra as the config group ``schema``, where the YAML files find them."""
    store = ConfigStore.instance()
    for path, node in SCHEMAS.items():
        group, _, name = f"schema/{path}".rpartition("/")
        store.store(group=group, name=name, node=node, provider="fashion-sweep")


class Rule(NamedTuple):
    """What a value must be, wherever its key is present and its value not None."""

    key: str  # dotted
    expected: str
    holds: Callable[[Any], bool]


def _at_least(bound: float) -> tuple[str, Callable[[Any], bool]]:
    return f"at least {bound:g}", lambda value: value >= bound


def _sizes(value: Any) -> bool:
    return len(value) > 0 and all(size >= 1 for size in value)


_POSITIVE = ("a number greater than 0", lambda value: 0 < value < math.inf)
_SIZES = ("one or more whole numbers, each at least 1, like [300,100]", _sizes)
_BELOW_ONE = ("in [0, 1)", lambda value: 0 <= value < 1)
_UNIT = ("in [0, 1]", lambda value: 0 <= value <= 1)

RULES = (
    Rule("epochs", *_at_least(1)),
    Rule("batch_size", *_at_least(1)),
    Rule("seed", "in [0, 4294967295]", lambda value: 0 <= value < 2**32),
    Rule("model.hidden_units", *_SIZES),
    Rule("model.filters", *_SIZES),
    Rule("model.kernel_size", *_at_least(1)),
    Rule("model.dense_units", *_at_least(1)),
    Rule("model.dropout", *_BELOW_ONE),
    Rule("optimizer.learning_rate", *_POSITIVE),
    Rule("optimizer.momentum", *_UNIT),
    Rule("optimizer.rho", *_BELOW_ONE),
    Rule("optimizer.beta_1", *_BELOW_ONE),
    Rule("optimizer.beta_2", *_BELOW_ONE),
    Rule("optimizer.epsilon", *_POSITIVE),
    Rule("optimizer.weight_decay", *_at_least(0)),
    Rule("optimizer.clipnorm", *_POSITIVE),
    Rule("optimizer.clipvalue", *_POSITIVE),
    Rule("optimizer.global_clipnorm", *_POSITIVE),
    Rule("optimizer.ema_momentum", *_UNIT),
    Rule("optimizer.gradient_accumulation_steps", *_at_least(2)),
    Rule("schedule.decay_steps", *_at_least(1)),
    Rule("schedule.decay_rate", *_POSITIVE),
    Rule("schedule.warmup_steps", *_at_least(0)),
    Rule("callbacks.early_stopping.patience", *_at_least(0)),
    Rule("data.validation_fraction", "in (0, 1)", lambda value: 0 < value < 1),
    Rule("data.split_seed", "in [0, 4294967295]", lambda value: 0 <= value < 2**32),
    Rule("data.limit", *_at_least(2)),
    Rule("data.samples", *_at_least(2)),
    Rule("data.image_size", *_at_least(1)),
    Rule("data.classes", *_at_least(2)),
    Rule("data.noise", "in [0, 100]", lambda value: 0 <= value <= 100),  # noqa: PLR2004
    Rule("hydra.launcher.lanes", *_at_least(1)),
    Rule("hydra.launcher.pack_size", *_at_least(1)),
    Rule("hydra.launcher.threads_per_lane", *_at_least(1)),
    Rule("hydra.launcher.run_timeout_min", *_POSITIVE),
    Rule("trainer.steps_per_execution", *_at_least(1)),
    Rule("trainer.jit_compile", "true, false or auto", lambda value: value in (True, False, "auto")),
)


def problems(config: Mapping[str, Any]) -> list[str]:
    """What is wrong with the values of a resolved config, one line each; empty where nothing is."""
    found = ((rule, lookup(config, rule.key)) for rule in RULES)
    return [
        f"{rule.key} is {value}, expected {rule.expected}"
        for rule, value in found
        if value is not None and not _holds(rule, value)
    ]


def _holds(rule: Rule, value: Any) -> bool:
    """Whether the rule holds; a user's own group has no types, so a value of the wrong type fails the rule."""
    try:
        return rule.holds(value)
    except TypeError:
        return False


def lookup(config: Mapping[str, Any], dotted: str) -> Any:
    """The value at a dotted key; None where there is none."""
    node: Any = config
    for part in dotted.split("."):
        if not isinstance(node, Mapping) or part not in node:
            return None
        node = node[part]
    return node
