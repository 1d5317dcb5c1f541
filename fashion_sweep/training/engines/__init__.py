"""Engines compile programs that train and validate packs of runs."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fashion_sweep.training.engines.base import Engine


@lru_cache
def default_engine() -> Engine:
    """The engine of this process, the same at every call. Imports no compute library."""
    from fashion_sweep.training.engines.tensorflow.engine import TensorFlowEngine

    return TensorFlowEngine()
