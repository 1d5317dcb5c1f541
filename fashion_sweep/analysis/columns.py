"""Names of the columns that settings have in ``replicates``, in the order of its frame."""

from __future__ import annotations

from fashion_sweep.analysis.measure import Measure
from fashion_sweep.storage.record import Status

STATISTICS = ("mean", "sd", "low", "high")
"""Statistics of each of ``Measure.columns``: mean, standard deviation (n - 1), and the ends of the mean's interval."""

LEFT_OUT = tuple(status.value for status in Status if status is not Status.COMPLETED)
COUNTS = ("seeds", *LEFT_OUT, "without_result", "repeated")
"""Seeds included, and runs left out: by status, completed without a finite loss, or of a seed that is included."""

COMPARED = ("difference", "effect", "p_value", "optimism")
"""See ``verdict.comparisons`` and, for the first setting alone, ``verdict.optimism``."""

COST = ("failure_rate", "training_images", "is_on_front")
"""See ``cost.costs``."""


def measured(measure: Measure) -> list[str]:
    """All columns but COMPARED and what describes a setting."""
    return [*COUNTS, "at_chance", *(f"{name}_{what}" for name in measure.columns for what in STATISTICS)]
