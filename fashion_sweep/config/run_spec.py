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
    """What it takes to train one run: one grid point with one seed. Launchers hand it on without looking inside."""

    folder: Path  # absolute
    config: Mapping[str, Any]  # resolved, without the keys that its trainer does not use
    choices: dict[str, str]  # config group -> choice
    overrides: list[str]  # as typed, interpolations unresolved
    identity: str  # 64 hex digits: what is trained
    own_log: Callable[[], AbstractContextManager[None]] = nullcontext
    """Makes a context for what is logged of this run alone, so that a launcher can keep the logs of a pack apart."""
    code: Code = field(default_factory=Code)  # the source that it is trained with
    hidden: Redaction = field(default_factory=Redaction)  # what of the config is not to be written down
    data: str | None = None  # the fingerprint of the dataset in the identity; None: any
    number: int = 0  # hydra.job.num: the place in the grid
    cwd: Path | None = None  # absolute; where relative paths of the dataset start, None: the current folder
    request: dict[str, Any] | None = None  # of a single run: what ``resume`` composes it from

    @property
    def name(self) -> str:
        """The name of the run's folder."""
        return self.folder.name
