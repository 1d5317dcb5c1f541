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

    tries_models = True

    @property
    def engine(self) -> Engine:
        """What Keras computes with."""
        return engine_named(TENSORFLOW)

    @property
    def environment(self) -> Mapping[str, str]:
        """The engine's."""
        return self.engine.environment

    def check(self, config: Mapping[str, Any], dataset: Dataset) -> None:
        """Raise ConfigError for a scikit-learn model and for what Keras cannot train on this machine as it is set up,
        DataError for too few images for both sides of the split.
        """
        self.check_machine()
        model = str(config["model"]["_target_"])
        if model.startswith("sklearn."):
            raise ConfigError(f"{model} is a scikit-learn classifier, no network: it needs trainer=cross_validation")
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

    def warm_up(self) -> None:
        """Import Keras and its engine. Raises ConfigError where the process has another one."""
        with importing(None, self.environment):
            from fashion_sweep.training import packs  # noqa: F401 - imported for its dependencies


class FunctionTrainer(NetworkTrainer):
    """A function ``train(jobs, **options)`` as a trainer, where the options are the other keys of its node."""

    def __init__(self, function: Callable[..., Any], options: Mapping[str, Any]) -> None:
        self._function, self._options = function, dict(options)

    def warm_up(self) -> None:
        """Nothing: the function's module was imported when the function was found."""

    def train(self, jobs: Sequence[Job]) -> None:
        """Call the function."""
        self._function(jobs, **self._options)
