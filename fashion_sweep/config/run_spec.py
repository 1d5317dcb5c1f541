"""Everything that it takes to train a run, made once by planning and handed on unchanged."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fashion_sweep.config.redaction import Redaction
from fashion_sweep.storage.provenance import Code


@dataclass(frozen=True)
class RunSpec:
    """What it takes to train one run."""

    folder: Path
    config: Mapping[str, Any]  # resolved
    choices: dict[str, str]  # config group -> choice
    overrides: list[str]
    identity: str
    own_log: Callable[[], AbstractContextManager[None]] = nullcontext
    """Returns a context that collects what is logged about this run, so that the runs of a pack have separate logs."""
    code: Code = field(default_factory=Code)
    hidden: Redaction = field(default_factory=Redaction)  # values of the config that must not be written
