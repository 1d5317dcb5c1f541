"""A Hydra-configured sweep harness for training small neural networks.

For notebooks and scripts: ``load_sweep`` reads the results of sweeps, ``sweep`` trains one.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fashion_sweep.errors import FolderError, UserError
    from fashion_sweep.results import Best, Comparison, Difference, Effects, Results, Run, Tested, load_sweep, sweep

__all__ = [
    "Best",
    "Comparison",
    "Difference",
    "Effects",
    "FolderError",
    "Results",
    "Run",
    "Tested",
    "UserError",
    "load_sweep",
    "sweep",
]


def __getattr__(name: str) -> object:
    """Import the above when it is used: every command starts with this module, and pandas takes a second."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{'errors' if name.endswith('Error') else 'results'}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
