"""JAX's process-wide settings: those that runs start with, and those that code of a run may change."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from typing import Any

ENVIRONMENT = {
    "KERAS_BACKEND": "jax",
    "JAX_DEFAULT_MATMUL_PRECISION": "float32",  # not TF32, JAX's default on newer GPUs: 10 bits of a number's 23
    "JAX_ENABLE_X64": "0",
    "XLA_PYTHON_CLIENT_PREALLOCATE": "false",  # lanes that share a GPU share its memory
}
"""Variables that JAX and Keras read as they are imported, and when the device is used first."""


def settings() -> Iterator[tuple[Callable[[], Any], Callable[[Any], object]]]:
    """How to read and to set the options of jax.config; nothing where JAX is not imported."""
    jax = sys.modules.get("jax")
    if jax is not None:
        yield lambda: jax.config.values, lambda before: _update(jax.config, before)


def _update(config: Any, before: Mapping[str, Any]) -> None:
    """Set the options that are not as before; some of them may not be set once a device is in use."""
    for name, value in config.values.items():
        if value != before.get(name, value):
            config.update(name, before[name])
