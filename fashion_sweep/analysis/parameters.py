"""What a sweep varies, and the results that its levels can be compared by."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import pandas as pd

from fashion_sweep.analysis.measure import Measure
from fashion_sweep.analysis.settings import FACTORS, label, levels, parse_overrides
from fashion_sweep.analysis.summary import counted, started
from fashion_sweep.storage.record import RunRecord

SEED = "seed"


def swept_parameters(table: pd.DataFrame, swept: Sequence[str], records: Iterable[RunRecord]) -> list[str]:
    """The columns that a sweep varies, without the seed.

    A column that nobody set, such as the default rate of each optimizer, follows from another one and is left out,
    unless it takes it to tell settings apart.
    """
    known, factors = started(table), {name: key for name, key in FACTORS.items() if name != SEED}
    overridden = {key for record in records for key in parse_overrides(record.overrides)}
    varying = [name for name in (*factors, *swept) if len(levels(known[name])) > 1]
    found = [name for name in varying if name in swept or factors[name] in overridden]
    groups = known.assign(point=known[found].map(label).agg(tuple, axis=1) if found else "")
    is_told = groups.groupby("point")["setting"].nunique().le(1).all()
    return found if is_told else varying


def cells_of(table: pd.DataFrame, parameters: Sequence[str], measure: Measure) -> pd.DataFrame:
    """The runs whose results count: labels of their parameters and seed, and the measure's column."""
    included = counted(table)
    texts = included[[*parameters, SEED]].map(label)
    return texts.assign(**{measure.column: included[measure.column].astype("float64")})


def says_something(cells: pd.DataFrame, parameter: str) -> bool:
    """Whether two levels of a parameter have results, and some level averages several of them."""
    return 1 < cells[parameter].nunique() < len(cells)
