"""What all trainers of Keras models have in common, and the adapter for trainers that are plain functions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fashion_sweep.data import split
from fashion_sweep.errors import ConfigError
from fashion_sweep.training import cost, keras_settings, native_output
from fashion_sweep.training.engines import TENSORFLOW, choice, engine_named, process
from fashion_sweep.training.engines.process import BACKEND
from fashion_sweep.training.trainer_base import Trainer

if TYPE_CHECKING:
    from fashion_sweep.data.dataset import Dataset
    from fashion_sweep.training.engines.base import Engine
    from fashion_sweep.training.job import Job


@contextmanager
def importing(log: Path | None, environment: Mapping[str, str]) -> Iterator[None]:
    """For a block that imports Keras, with an engine's environment; log: see ``native_output.importing``.

    Raises ConfigError where Keras is imported already, and with another engine.
    """
    with process.prepared(environment), native_output.importing(log):
        yield


class NetworkTrainer(Trainer):
    """A trainer of Keras models. A subclass has to have ``train``."""

    tried_keys: tuple[str, ...] = ("model", "optimizer", "schedule", "callbacks")

    @property
    def engine(self) -> Engine:
        """What Keras computes with."""
        return engine_named(TENSORFLOW)

    @property
    def environment(self) -> Mapping[str, str]:
        """The engine's."""
        return self.engine.environment

    def check(self, config: Mapping[str, Any], dataset: Dataset) -> None:
        """Raise ConfigError for a scikit-learn model, for nodes that name nothing and for what Keras cannot train on
        this machine as it is set up, DataError for too few images for both sides of the split.
        """
        self.check_machine()
        model = str(config["model"]["_target_"])
        if model.startswith("sklearn."):
            raise ConfigError(f"{model} is a scikit-learn classifier, no network: it needs trainer=cross_validation")
        problems = [problem for key in self.tried_keys for problem in _unnamed(key, config.get(key))]
        if problems:
            raise ConfigError("; ".join(problems))
        split.check_size(dataset, config["data"]["validation_fraction"], config["data"]["limit"])

    def check_machine(self) -> None:
        """Raise ConfigError where the engine is not installed, or Keras is set up to train something else."""
        choice.require(self.environment[BACKEND])
        keras_settings.check(self.engine)

    def cost(self, config: Mapping[str, Any]) -> float:
        """See ``cost.cost``."""
        return cost.cost(config)

    def summary(self, config: Mapping[str, Any], dataset: Dataset) -> str:
        """What ``model.summary()`` prints, with whichever engine the process has."""
        with process.first_import(self.environment), native_output.importing(None):
            import keras

            from fashion_sweep.models import build
            from fashion_sweep.training import model_setup

            keras.utils.clear_session()  # names of models and layers are counted, and training starts at zero, too
            model = build.build_model(config["model"], dataset.images.shape[1:], len(dataset.class_names))
            return model_setup.summary(model)

    def try_out(self, config: Mapping[str, Any], folder: Path, announce: Callable[[str], None]) -> list[str]:
        """See ``trial.problems``."""
        with importing(None, self.environment):
            from fashion_sweep.training import trial

            return trial.problems(config, folder, announce)

    def warm_up(self) -> None:
        """Import Keras and its engine. Raises ConfigError where the process has another one."""
        with importing(None, self.environment):
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
