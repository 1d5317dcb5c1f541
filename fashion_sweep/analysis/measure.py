"""What runs and settings are judged by: a validation metric, at the best epoch, the last, or over the last few."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from fashion_sweep.storage.record import OBJECTIVE, OBJECTIVES, Objective, RunRecord

Place = Literal["best", "last"]


@dataclass(frozen=True)
class Measure:
    """A metric, and the epochs at which it counts.

    at: best, the epoch where the metric is best, the first if tied; last; or how many of the last epochs are averaged,
    at least 2: all epochs of a run that has fewer. The other metric counts at the same epochs.
    """

    metric: Objective = OBJECTIVE
    at: Place | int = "best"

    @property
    def sign(self) -> int:
        """1 where lower is better, -1 where higher is."""
        return 1 if self.metric == "val_loss" else -1

    @property
    def columns(self) -> tuple[str, str]:
        """Of the table of runs: the validation loss and accuracy that count."""
        prefix = self.at if isinstance(self.at, str) else "mean"
        return f"{prefix}_val_loss", f"{prefix}_val_accuracy"

    @property
    def column(self) -> str:
        """Of the table of runs: what they are ranked by."""
        return self.columns[OBJECTIVES.index(self.metric)]

    @property
    def other(self) -> str:
        """Of the table of runs: the metric that they are not ranked by."""
        return self.columns[1 - OBJECTIVES.index(self.metric)]

    @property
    def noun(self) -> str:
        """``validation loss`` or ``validation accuracy``."""
        return f"validation {self.metric.removeprefix('val_')}"

    @property
    def rank(self) -> str:
        """``lowest`` or ``highest``."""
        return "lowest" if self.sign == 1 else "highest"

    @property
    def best(self) -> str:
        """``lowest validation loss`` or ``highest validation accuracy``."""
        return f"{self.rank} {self.noun}"

    @property
    def result(self) -> str:
        """What a run is judged by: ``lowest validation loss`` or ``validation loss in the last epoch``."""
        return f"{self.noun}{self.when}" if self.when else self.best

    @property
    def where(self) -> str:
        """In which epochs of a run it counts, to follow the run."""
        return self.when or f" at its epoch of {self.best}"

    @property
    def when(self) -> str:
        """In which epochs it counts, to follow the noun; empty for the best epoch."""
        if isinstance(self.at, int):
            return f" over the last {self.at} epochs"
        return "" if self.at == "best" else " in the last epoch"


def objective_of(records: Iterable[RunRecord]) -> tuple[Objective, str]:
    """The metric that runs were trained for, and a warning where they do not agree."""
    found = list(dict.fromkeys(record.objective for record in records))
    if len(found) < 2:  # noqa: PLR2004
        return found[0] if found else OBJECTIVE, ""
    others = f"the runs were trained for different objectives ({', '.join(found)})"
    return OBJECTIVE, f"{others}; they are ranked by {OBJECTIVE}, --measure chooses another"
