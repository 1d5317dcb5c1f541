"""Builds all that a config of a network names, before the first run, and takes one step with two images.

Keras' own callbacks are called for an epoch, in a folder that is thrown away. Those of the user's own are made, and no
more: what they do may be seen outside.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import keras

from fashion_sweep.data import loading, split
from fashion_sweep.data.dataset import one_line
from fashion_sweep.errors import ConfigError, UserError
from fashion_sweep.models import build, optimizers
from fashion_sweep.storage.record import METRICS
from fashion_sweep.training import callbacks, model_setup
from fashion_sweep.training.callback_trial import CallbackTrial, is_from_keras

T = TypeVar("T")


def problems(config: Mapping[str, Any], folder: Path, announce: Callable[[str], None]) -> list[str]:
    """What is wrong with what a config names. See ``Trainer.try_out``."""
    trial = _Trial(config, folder, announce)
    model = trial.attempt(trial.model_name, trial.model)
    if "optimizer" not in config:
        return trial.found
    optimizer = trial.attempt(f"optimizer {config['optimizer']['_target_']}", trial.optimizer)
    made = {name: trial.callback(name) for name, node in config["callbacks"].items() if node}
    whole = {name: each for name, each in made.items() if each is not None}
    if model is not None and optimizer is not None and len(whole) == len(made):
        logs = trial.attempt(trial.model_name, lambda: trial.step(model, optimizer, whole))
        trial.found += CallbackTrial(model, logs).problems(whole) if logs else []
    return trial.found


class _Trial:
    def __init__(self, config: Mapping[str, Any], folder: Path, announce: Callable[[str], None]) -> None:
        self._config, self._folder, self._announce = config, folder, announce
        self._dataset = loading.load(config["data"])
        self.model_name = f"model {config['model']['_target_']}"
        self.found: list[str] = []

    def attempt(self, what: str, make: Callable[[], T]) -> T | None:
        """What ``make`` returns; None, and a problem more, where it raises."""
        self._announce(what)
        try:
            return make()
        except UserError as error:
            self.found.append(str(error))
        except SystemExit as stopped:
            self.found.append(f"{what} called sys.exit({stopped.code!r}), expected it to return")
        except Exception as error:
            self.found.append(f"{what} cannot be used: {type(error).__name__}: {one_line(error)}")
        return None

    def model(self) -> keras.Model:
        """The model, described as in training."""
        images, classes = self._dataset.images, self._dataset.class_names
        return _model(json.dumps(self._config["model"], sort_keys=True), images.shape[1:], len(classes))

    def optimizer(self) -> keras.optimizers.Optimizer:
        """The optimizer with its schedule over all steps of a run."""
        node = self._config["data"]
        images = len(self._dataset.images[: node["limit"]])
        trained = images - math.ceil(node["validation_fraction"] * images)
        steps = math.ceil(trained / self._config["batch_size"]) * self._config["epochs"]
        return optimizers.build_optimizer(self._config, steps)

    def callback(self, name: str) -> keras.callbacks.Callback | None:
        """The callback of this name, with all its paths in the folder of the trial."""
        node = self._config["callbacks"][name]
        inside = {key: self._inside(value) if key in callbacks.PATHS else value for key, value in node.items()}
        what = f"callbacks.{name}._target_={node['_target_']}"
        return self.attempt(what, lambda: callbacks.make(name, inside, self._folder))

    def _inside(self, value: Any) -> Any:
        """A path as a relative one that leads nowhere else; anything else as it is."""
        if not isinstance(value, str) or not value:
            return value
        path, runs = Path(value), self._folder.parent
        inner = path.relative_to(runs) if path.is_relative_to(runs) else Path(path.name) if path.is_absolute() else path
        return str(Path(*(part for part in inner.parts if part != "..")))

    def step(
        self, model: keras.Model, optimizer: keras.optimizers.Optimizer, made: Mapping[str, keras.callbacks.Callback]
    ) -> dict[str, float] | None:
        """The metrics of an epoch of one step with two images, as callbacks see them.

        None where that fails and the user's own callbacks might have helped it. Raises ConfigError where it fails.
        """
        images, labels = split.scale(self._dataset.images[:2]), self._dataset.labels[:2]
        try:
            model.compile(optimizer=optimizer, loss=model_setup.LOSS, metrics=["accuracy"])
            model.run_eagerly = True  # two images are not worth a graph
            fitted = model.fit(images, labels, batch_size=2, validation_data=(images, labels), verbose=0)
        except Exception as error:
            if not all(map(is_from_keras, made.values())):
                return None
            why = f"{type(error).__name__}: {one_line(error)}"
            nodes = (self._config[key] for key in ("optimizer", "schedule"))
            with_what = " and ".join(str(node["_target_"]) for node in nodes if node)
            raise ConfigError(f"{self.model_name} cannot take a training step with {with_what}: {why}") from error
        logs = {name: float(values[-1]) for name, values in fitted.history.items()}
        missing = [name for name in METRICS if name not in logs]
        if missing:
            raise ConfigError(f"{self.model_name} does not report {', '.join(missing)}, but {', '.join(logs)}")
        logs = {name: logs[name] for name in dict.fromkeys((*METRICS, *logs))}
        return logs | ({"learning_rate": float(optimizer.learning_rate)} if self._config["schedule"] else {})


@lru_cache(maxsize=1)
def _model(node: str, input_shape: tuple[int, ...], num_classes: int) -> keras.Model:
    """The model of a node as JSON, kept for further trials with it."""
    keras.utils.clear_session()
    model = build.build_model(json.loads(node), input_shape, num_classes)
    model_setup.summary(model)
    return model
