"""JAX as an engine. Importing this module imports neither JAX nor Keras."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from fashion_sweep.training.engines.jax.settings import ENVIRONMENT, settings


class JaxEngine:
    """See ``engines.base.Engine``."""

    environment: Mapping[str, str] = ENVIRONMENT

    def settings(self) -> Iterable[tuple[Callable[[], Any], Callable[[Any], object]]]:
        return settings()
