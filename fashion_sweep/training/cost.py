"""How long networks take, judged by configs alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def cost(config: Mapping[str, Any]) -> float:
    """How long a run may take, relative to others on the same data: its steps times a guess at the work of one."""
    model = config["model"]
    units = [size for value in model.values() if isinstance(value, list) for size in value if isinstance(size, int)]
    kernel = model.get("kernel_size")  # which may be anything in a user's own model
    windows = (kernel**2 if isinstance(kernel, int) else 1) * (10 if "filters" in model else 1)
    steps: float = config["epochs"] * (1 / config["batch_size"] + 1 / 100)
    return steps * (100 + sum(units) * windows)
