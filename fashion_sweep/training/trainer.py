"""What a trainer is, and from a config to its trainer.

A trainer answers questions about a config before any run starts, in a process that imports no compute library, and
trains runs later. So this module and those of the trainers import TensorFlow, Keras and scikit-learn only in the
methods that need them.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from fashion_sweep.errors import ConfigError
from fashion_sweep.training import native_output

if TYPE_CHECKING:
    from fashion_sweep.data.dataset import Dataset
    from fashion_sweep.training.job import Job


class Trainer(ABC):
    """How runs are trained. Made by calling the class with the keys of the config's ``trainer`` node."""

    tries_models: bool = False
    """Whether ``summary`` builds a model of the user's own, so that a wrong one is found before the first run."""
    unused_keys: tuple[str, ...] = ()
    """Top-level keys of the config that do not affect its runs: two configs that differ only in them are one run."""

    @abstractmethod
    def check(self, config: Mapping[str, Any], dataset: Dataset) -> None:
        """Raise ConfigError or DataError if this trainer cannot train the config on the dataset."""

    def pack_key(self, config: Mapping[str, Any]) -> str | None:  # noqa: ARG002 - for subclasses
        """Runs with equal keys may be trained together; None if the run has to be trained alone."""
        return None

    @abstractmethod
    def cost(self, config: Mapping[str, Any]) -> float:
        """How long a run may take, relative to other runs on the same data; any unit, greater than 0."""

    @abstractmethod
    def summary(self, config: Mapping[str, Any], dataset: Dataset) -> str:
        """A description of the model, without a final newline: what ``summary=true`` prints and model.txt holds."""

    @abstractmethod
    def warm_up(self) -> None:
        """Import everything that takes seconds."""

    @abstractmethod
    def train(self, jobs: Sequence[Job]) -> None:
        """Train runs whose configs have the same ``trainer`` node, and record what becomes of each."""


def trainer_of(config: Mapping[str, Any]) -> Trainer:
    """The trainer of a resolved config; equal nodes share one.

    Raises:
        ConfigError: the ``trainer`` node names nothing callable, or its other keys are not what the trainer expects.
    """
    node = config.get("trainer")
    if not isinstance(node, Mapping) or not node.get("_target_"):
        raise ConfigError(f"trainer is {node}, expected a group with a _target_, such as trainer=compiled")
    return _make(json.dumps(node, sort_keys=True))


@lru_cache
def _make(node: str) -> Trainer:
    """node: the ``trainer`` node as JSON."""
    options = json.loads(node)
    target = str(options.pop("_target_"))
    found = _find(target)
    if not (isinstance(found, type) and issubclass(found, Trainer)):
        from fashion_sweep.training.network_trainer import FunctionTrainer

        return FunctionTrainer(found, options)
    try:
        return found(**options)
    except TypeError as error:
        raise ConfigError(f"trainer {target} cannot be made: {error}") from error


def _find(target: str) -> Callable[..., Any]:
    from hydra.utils import get_method

    try:
        with native_output.importing(None):  # a module of the user's may import TensorFlow
            return get_method(target)
    except Exception as error:
        raise ConfigError(f"trainer {target} cannot be imported: {' '.join(str(error).split())}") from error
