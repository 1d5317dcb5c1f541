"""From the config's ``optimizer`` and ``schedule`` nodes to a Keras optimizer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from fashion_sweep.config import targets
from fashion_sweep.data.dataset import one_line
from fashion_sweep.errors import ConfigError, UserError


def build_optimizer(config: Mapping[str, Any], steps: int) -> Any:
    """A new keras.optimizers.Optimizer.

    config: the resolved config of a run; steps: how many the whole run has, batches times epochs. A schedule is
    called with the optimizer's learning rate as its ``initial_learning_rate``, and with ``decay_steps`` = steps if
    its config leaves that null.
    Raises: ConfigError if a call fails, or returns anything else than an optimizer and a schedule.
    """
    import keras

    node, rate = dict(config["optimizer"]), {}
    if config["schedule"]:
        if node.get("learning_rate") is None:
            raise ConfigError("optimizer.learning_rate: a value is required with a schedule, which starts from it")
        rate = {"learning_rate": _schedule(config["schedule"], node.pop("learning_rate"), steps)}
    return _made("optimizer", node, lambda: targets.prepared(node)(**rate), keras.optimizers.Optimizer)


def _schedule(node: Mapping[str, Any], initial: float, steps: int) -> Any:
    import keras

    kind = keras.optimizers.schedules.LearningRateSchedule
    return _made("schedule", node, lambda: targets.call(node, initial_learning_rate=initial, decay_steps=steps), kind)


def _made(group: str, node: Mapping[str, Any], make: Callable[[], Any], kind: type) -> Any:
    """What ``make`` makes of a node. Raises ConfigError if it fails, or returns nothing of this kind."""
    what = f"{group}._target_={node['_target_']}"
    try:
        made = make()
    except UserError:
        raise
    except Exception as error:
        why = f"{type(error).__name__}: {one_line(error)}{targets.advice(node)}"
        raise ConfigError(f"{what} cannot be made: {why}") from error
    if not isinstance(made, kind):
        raise ConfigError(f"{what} returned {type(made).__name__}, expected a keras {kind.__name__}")
    return made
