"""When to save what a run needs to go on, or its best model: no more often than saving is worth."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

SHARE = 0.01
"""The largest share of the training time that saving may take."""
LEAST_SECONDS = 1.0
"""Training time that is not worth saving, because it is repeated as quickly as that."""


@dataclass
class SaveInterval:
    """Decides when to save, so that saving takes no more than a share of the time."""

    clock: Callable[[], float] = time.perf_counter  # seconds from any origin
    share: float = SHARE
    least: float = LEAST_SECONDS  # seconds between two saves
    cost: float = 0.0  # seconds of the last save
    last: float = field(init=False)

    def __post_init__(self) -> None:
        self.last = self.clock()

    @property
    def is_due(self) -> bool:
        return self.clock() - self.last >= max(self.least, self.cost / self.share)

    def saved(self, started: float) -> None:
        """Record a save that started at this time of the clock."""
        self.last = self.clock()
        self.cost = self.last - started
