"""Sections of a report besides its main tables: sentences, short tables and files, and nothing if there is none.

Frames come from ``analysis``; a sentence here says what may be concluded from them.
"""

from __future__ import annotations

import pandas as pd

from fashion_sweep.analysis.load import Collected
from fashion_sweep.analysis.parameters import swept_parameters
from fashion_sweep.reporting import cost, dynamics, effects, looks
from fashion_sweep.reporting.section import Section


def sections(table: pd.DataFrame, collected: Collected) -> list[Section]:
    """Those that have something to say. table: of ``summary.summarize`` by the same measure."""
    parameters = swept_parameters(table, collected.swept, collected.records)
    found = [
        looks.section(table, collected),
        effects.section(table, parameters, collected.measure),
        dynamics.section(table, collected),
        cost.section(table, collected),
    ]
    return [section for section in found if section]
