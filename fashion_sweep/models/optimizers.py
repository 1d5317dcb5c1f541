"""From the config's ``optimizer`` and ``schedule`` nodes to a Keras optimizer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fashion_sweep.config import targets


def build_optimizer(config: Mapping[str, Any], steps: int) -> Any:
    """A new keras.optimizers.Optimizer.

    config: the resolved config of a run; steps: how many the whole run has, batches times epochs. A schedule is
    called with the optimizer's learning rate as its ``initial_learning_rate``, and with ``decay_steps`` = steps if
    its config leaves that null.
    """
    optimizer = dict(config["optimizer"])
    if config["schedule"]:
        initial = optimizer["learning_rate"]
        schedule = targets.call(config["schedule"], initial_learning_rate=initial, decay_steps=steps)
        return targets.call({**optimizer, "learning_rate": None}, learning_rate=schedule)
    return targets.call(optimizer)
