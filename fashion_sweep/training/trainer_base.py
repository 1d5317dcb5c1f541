"""What a trainer is.

A trainer answers questions about a config before any run starts, in a process that imports no compute library, and
trains runs later. So the modules of trainers import TensorFlow, Keras and scikit-learn only in the methods that need
them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fashion_sweep.training.engines import TENSORFLOW, engine_named

if TYPE_CHECKING:
    from fashion_sweep.data.dataset import Dataset
    from fashion_sweep.training.job import Job


class Trainer(ABC):
    """How runs are trained. Made by calling the class with the keys of the config's ``trainer`` node."""

    tried_keys: tuple[str, ...] = ()
    """Keys of the config whose nodes ``try_out`` builds. It is called where they name anything that conf/ lacks."""
    unused_keys: tuple[str, ...] = ()
    """Top-level keys of the config that do not affect its runs: two configs that differ only in them are one run."""

    @property
    def environment(self) -> Mapping[str, str]:
        """Variables that its process has to have before Keras is imported; none where the trainer uses no Keras."""
        return engine_named(TENSORFLOW).environment

    def variants(self, config: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        """The ``trainer`` nodes that the config's may stand for, the best one for this machine first."""
        return [config["trainer"]]

    @abstractmethod
    def check(self, config: Mapping[str, Any], dataset: Dataset) -> None:
        """Raise ConfigError or DataError if this trainer cannot train the config on the dataset."""

    def try_out(
        self,
        config: Mapping[str, Any],  # noqa: ARG002 - for subclasses
        folder: Path,  # noqa: ARG002
        announce: Callable[[str], None],  # noqa: ARG002
    ) -> list[str]:
        """What is wrong with what a config names, found by building it before the first run, in a process of its own.

        config: resolved, only ``tried_keys`` and what else a model is built from; folder: for files that are made on
        the way; announce: called with what is built next, in a few words, as code of the user's may end the process.
        """
        return []

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
