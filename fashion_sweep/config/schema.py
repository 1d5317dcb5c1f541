"""The types of the config.

The YAML files in conf/ hold the values and say what each one means; the dataclasses here make Hydra refuse a wrong type
or an unknown key. Fields without a value here get theirs from YAML; the others are Keras arguments that few people set.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Optional, Union

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING

# OmegaConf reads the annotations at run time and knows only typing's spelling of optional and union types.
# ruff: noqa: UP007, UP045


class Save(Enum):
    """What to save of the model after the last epoch."""

    none = "none"
    model = "model"
    weights = "weights"
    both = "both"
    h5 = "h5"


class Retry(Enum):
    """Which failed, diverged and interrupted runs of an existing sweep to train again."""

    none = "none"
    failed = "failed"
    diverged = "diverged"
    all = "all"


class Mode(Enum):
    """Whether a lower or a higher value of a monitored metric is better."""

    auto = "auto"
    min = "min"
    max = "max"


@dataclass
class Config:
    """The whole config of a run. Groups have no type here: each choice has a schema of its own, or none."""

    model: Any = MISSING  # the network or classifier
    optimizer: Any = MISSING  # a Keras optimizer
    schedule: dict[str, Any] = field(default_factory=dict)  # of the learning rate; empty: constant
    callbacks: dict[str, Any] = field(default_factory=dict)  # name -> Keras callback
    data: Any = MISSING  # the dataset and how it is split
    trainer: Any = MISSING  # how runs are trained
    epochs: int = MISSING
    batch_size: int = MISSING
    seed: int = MISSING
    objective: str = "val_loss"  # also of a sweep that was made before there was a choice
    retry: Retry = MISSING
    resume: Optional[str] = None
    plan: bool = False
    summary: bool = False
    save: Save = MISSING


@dataclass
class Target:
    """Anything that is created by calling a Python function or class."""

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
class Logistic(Target):
    loss: str = MISSING
    penalty: Optional[str] = MISSING
    alpha: float = MISSING
    max_iter: int = MISSING
    tol: Optional[float] = MISSING
    random_state: int = MISSING


@dataclass
class Optimizer(Target):
    """Arguments that every Keras optimizer takes."""

    learning_rate: float = MISSING
    weight_decay: Optional[float] = None  # fraction of the weights, times the learning rate, subtracted at each step
    clipnorm: Optional[float] = None  # maximum L2 norm of a variable's gradient
    clipvalue: Optional[float] = None  # maximum absolute value of a gradient's entries
    global_clipnorm: Optional[float] = None  # maximum L2 norm of all gradients together
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
class Compiled(Target):
    engine: str = "tensorflow"  # of the copies of conf/ that sweeps kept before there was another one


@dataclass
class Fit(Target):
    steps_per_execution: int = MISSING
    jit_compile: Union[bool, str] = MISSING


@dataclass
class CrossValidation(Target):
    folds: int = MISSING


SCHEMAS: Mapping[str, type] = {
    "config": Config,
    "model/softmax": Target,
    "model/mlp": Mlp,
    "model/cnn": Cnn,
    "model/logistic": Logistic,
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
    "trainer/compiled": Compiled,
    "trainer/fit": Fit,
    "trainer/cross_validation": CrossValidation,
}


def register() -> None:
    """Register the schemas with Hydra as the config group ``schema``, which the YAML files refer to."""
    store = ConfigStore.instance()
    for path, node in SCHEMAS.items():
        group, _, name = f"schema/{path}".rpartition("/")
        store.store(group=group, name=name, node=node, provider="fashion-sweep")
