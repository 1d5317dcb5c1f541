"""Histories as labelled arrays."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING

import pandas as pd

from fashion_sweep.errors import UserError
from fashion_sweep.storage.record import METRICS

if TYPE_CHECKING:
    import xarray

MOST_CELLS = 10**8
"""Of an array; incomplete grids of many parameters would take all memory."""


def to_xarray(histories: pd.DataFrame, parameters: Sequence[str]) -> xarray.Dataset:
    """METRICS by the parameters, seed and epoch; NaN where there is no value.

    histories: with the parameters, seed and epoch as columns. Raises UserError where xarray is not installed, where two
    runs have the same place, and where the array would be larger than MOST_CELLS.
    """
    if importlib.util.find_spec("xarray") is None:
        raise UserError("to_xarray() needs xarray: pip install 'fashion-sweep[xarray]'")
    names = [*parameters, *(["seed"] if histories["seed"].notna().any() else []), "epoch"]
    cells = prod(histories[name].nunique(dropna=False) for name in names)
    if cells > MOST_CELLS:
        raise UserError(f"an array by {', '.join(names)} would have {cells:,} cells; use .histories")
    rows = histories.set_index(names)[list(METRICS)]
    if rows.index.has_duplicates:
        raise UserError(f"several runs have the same {', '.join(names[:-1]) or 'settings'}; use .histories")
    return rows.to_xarray()
