"""Names for the types of the shared fixtures, so that the signatures of tests stay short."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from typing import TypeAlias

from fault_table import Told
from omegaconf import DictConfig

from fashion_sweep.training.train import RunSpec

Command: TypeAlias = Callable[..., subprocess.CompletedProcess[str]]
Compose: TypeAlias = Callable[..., DictConfig]
MakeSpec: TypeAlias = Callable[..., RunSpec]
Seen: TypeAlias = Told
