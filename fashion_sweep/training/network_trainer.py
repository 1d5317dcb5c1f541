"""What all trainers of Keras models have in common, and the adapter for trainers that are plain functions."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fashion_sweep.data import split
from fashion_sweep.errors import ConfigError
from fashion_sweep.training import keras_settings, native_output, packing
from fashion_sweep.training.engines import default_engine
from fashion_sweep.training.trainer_base import Trainer

if TYPE_CHECKING:
    from fashion_sweep.data.dataset import Dataset
    from fashion_sweep.training.job import Job


@contextmanager
def importing(log: Path | None) -> Iterator[None]:
    """For a block that imports Keras, with the engine's environment; log: see ``native_output.importing``."""
    for name, value in default_engine().environment.items():
        os.environ.setdefault(name, value)
    with native_output.importing(log):
        yield


class NetworkTrainer(Trainer):
    """A trainer of Keras models. A subclass has to have ``train``."""

    tried_keys: tuple[str, ...] = ("model", "optimizer", "schedule", "callbacks")

    def check(self, config: Mapping[str, Any], dataset: Dataset) -> None:
        """Raise ConfigError for a scikit-learn model, for nodes that name nothing and for what Keras cannot train on
        this machine as it is set up, DataError for too few images for both sides of the split.
        """
        keras_settings.check()
        model = str(config["model"]["_target_"])
        if model.startswith("sklearn."):
            raise ConfigError(f"{model} is a scikit-learn classifier, no network: it needs trainer=cross_validation")
        problems = [problem for key in self.tried_keys for problem in _unnamed(key, config.get(key))]
        if problems:
            raise ConfigError("; ".join(problems))
        split.check_size(dataset, config["data"]["validation_fraction"], config["data"]["limit"])

    def cost(self, config: Mapping[str, Any]) -> float:
        """See ``packing.cost``."""
        return packing.cost(config)

    def summary(self, config: Mapping[str, Any], dataset: Dataset) -> str:
        """What ``model.summary()`` prints."""
        with importing(None):
            import keras

            from fashion_sweep.models import build
            from fashion_sweep.training import model_setup

            keras.utils.clear_session()  # names of models and layers are counted, and training starts at zero, too
            model = build.build_model(config["model"], dataset.images.shape[1:], len(dataset.class_names))
            return model_setup.summary(model)

    def try_out(self, config: Mapping[str, Any], folder: Path, announce: Callable[[str], None]) -> list[str]:
        """See ``trial.problems``."""
        with importing(None):
            from fashion_sweep.training import trial

            return trial.problems(config, folder, announce)

    def warm_up(self) -> None:
        """Import TensorFlow and Keras."""
        with importing(None):
            from fashion_sweep.training import packs  # noqa: F401 - imported for its dependencies


class FunctionTrainer(NetworkTrainer):
    """A function ``train(jobs, **options)`` as a trainer, where the options are the other keys of its node.

    What it makes of optimizer, schedule and callbacks is its own affair.
    """

    tried_keys = ("model",)

    def __init__(self, function: Callable[..., Any], options: Mapping[str, Any]) -> None:
        self._function, self._options = function, dict(options)

    def warm_up(self) -> None:
        """Nothing: the function's module was imported when the function was found."""

    def train(self, jobs: Sequence[Job]) -> None:
        """Call the function."""
        self._function(jobs, **self._options)


def _unnamed(key: str, node: Any) -> Iterator[str]:
    """Nodes without a ``_target_``. key: of the config; for callbacks, each has a node of its own or null."""
    if key == "callbacks":
        for name, each in (node or {}).items():
            if each is not None and not _has_target(each):
                yield (
                    f"callbacks.{name} is {each}, expected a node with a _target_; "
                    f"give +callbacks.{name}._target_=keras.callbacks.NAME, or callbacks.{name}=null"
                )
    elif not _has_target(node) and not (key == "schedule" and not node):
        yield f"{key} is {node}, expected a choice of the group or a node with a _target_; give {key}=CHOICE"


def _has_target(node: Any) -> bool:
    return isinstance(node, Mapping) and isinstance(node.get("_target_"), str)
