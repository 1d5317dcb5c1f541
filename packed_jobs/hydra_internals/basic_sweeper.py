"""Hydra's own sweeper over a grid, which has no public name. Where Hydra has moved it, the import fails."""

from __future__ import annotations

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper, BasicSweeperConf

__all__ = ["BasicSweeper", "BasicSweeperConf"]
