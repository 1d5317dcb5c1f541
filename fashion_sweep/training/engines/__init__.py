"""Engines compile programs that train and validate packs of runs. Nothing here imports a compute library."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from fashion_sweep.errors import ConfigError

if TYPE_CHECKING:
    from fashion_sweep.training.engines.base import Engine

TENSORFLOW, JAX = "tensorflow", "jax"
NAMES = (TENSORFLOW, JAX)
AUTO = "auto"
"""Stands for the engine that is best on a machine, see ``choice``; in the config of a run one of NAMES is named."""


@lru_cache
def engine_named(name: str) -> Engine:
    """The engine of this name, the same at every call. Raises ConfigError for another name than NAMES."""
    if name == TENSORFLOW:
        from fashion_sweep.training.engines.tensorflow.engine import TensorFlowEngine

        return TensorFlowEngine()
    if name == JAX:
        from fashion_sweep.training.engines.jax.engine import JaxEngine

        return JaxEngine()
    raise ConfigError(f"trainer.engine is {name}, expected {' or '.join(NAMES)}")


def engine_of(config: Mapping[str, Any]) -> Engine:
    """The engine that the resolved config of a run names, see ``name_of``."""
    return engine_named(name_of(config))


def name_of(config: Mapping[str, Any]) -> str:
    """One of NAMES: ``trainer.engine``, and TensorFlow where that names none, as in the records of the time when there
    was no other, and in the configs of trainers for which the key means something else.
    """
    name = (config.get("trainer") or {}).get("engine")
    return name if name in NAMES else TENSORFLOW
