"""Everything that it takes to train a run, made once by planning and handed on unchanged."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fashion_sweep.config.redaction import Redaction
from fashion_sweep.storage.provenance import Code

if TYPE_CHECKING:
    pass


@dataclass(frozen=True)
class RunSpec:
    """What it takes to train one run."""

    folder: Path
    config: Mapping[str, Any]  # resolved
    choices: dict[str, str]  # config group -> choice
    overrides: list[str]
    identity: str
    own_log: Callable[[], AbstractContextManager[None]] = nullcontext
    """Makes a context for what is logged of this run alone, so that a launcher can keep the logs of a pack apart."""
    code: Code = field(default_factory=Code)
    hidden: Redaction = field(default_factory=Redaction)  # what of the config is not to be written down
