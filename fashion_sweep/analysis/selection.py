"""Which setting of a sweep is selected, and which of its runs count: frame in, frame out."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from fashion_sweep.analysis.measure import Measure
from fashion_sweep.analysis.replicates import every_setting
from fashion_sweep.analysis.summary import counted, is_ranked
from fashion_sweep.storage.record import Status


def selected(table: pd.DataFrame, swept: Sequence[str], measure: Measure) -> pd.DataFrame:
    """The runs of the setting that the verdict puts first; none where no run has completed with a result.

    table: of ``summary.summarize`` by the same measure. A new column ``left_out`` says why a run does not count: its
    status, ``without result`` or ``repeated``, a seed that counts already; it is empty for the runs that count.
    """
    included = counted(table)
    if included.empty:
        return table.iloc[:0].assign(left_out="")
    first = every_setting(table, swept, measure)["run"].iloc[0]
    runs = table[table["setting"].eq(table.loc[table["run"].eq(first), "setting"].iloc[0])]
    why = runs["status"].where(runs["status"].ne(Status.COMPLETED.value), "repeated")
    why = why.where(is_ranked(runs) | runs["status"].ne(Status.COMPLETED.value), "without result")
    return runs.assign(left_out=why.where(~runs.index.isin(included.index), ""))


def settings_with_results(table: pd.DataFrame) -> int:
    """How many settings ``selected`` chooses from."""
    return int(counted(table)["setting"].nunique())
