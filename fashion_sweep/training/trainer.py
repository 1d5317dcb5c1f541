"""From a config to its trainer."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from fashion_sweep.data.dataset import one_line
from fashion_sweep.errors import ConfigError, UserError
from fashion_sweep.training import native_output
from fashion_sweep.training.engines import TENSORFLOW, engine_named, process
from fashion_sweep.training.network_trainer import FunctionTrainer
from fashion_sweep.training.trainer_base import Trainer


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
        return FunctionTrainer(found, options)
    try:
        return found(**options)
    except UserError:
        raise
    except (Exception, SystemExit) as error:
        raise ConfigError(f"trainer {target} cannot be made: {type(error).__name__}: {one_line(error)}") from error


def _find(target: str) -> Callable[..., Any]:
    from hydra.utils import get_method

    try:
        environment = engine_named(TENSORFLOW).environment  # a module of the user's may import it
        with process.first_import(environment), native_output.importing(None):
            return get_method(target)
    except (Exception, SystemExit) as error:
        raise ConfigError(f"trainer {target} cannot be imported: {one_line(error)}") from error
