"""Engines compile programs that train and validate packs of runs."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fashion_sweep.training.engines.base import Engine


def engine_of(config: Mapping[str, Any]) -> Engine:
    """The engine of a run's resolved config; TensorFlow where its trainer has no key for it."""
    return engine_named(config["trainer"].get("engine", "tensorflow"))


@lru_cache
def engine_named(name: str) -> Engine:
    """The engine of this process with a name, the same at every call. Imports no compute library."""
    if name == "jax":
        from fashion_sweep.training.engines.jax.engine import JaxEngine

        return JaxEngine()
    from fashion_sweep.training.engines.tensorflow.engine import TensorFlowEngine

    return TensorFlowEngine()


def default_engine() -> Engine:
    return engine_named("tensorflow")
