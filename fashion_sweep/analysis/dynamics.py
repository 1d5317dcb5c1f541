"""How each run learned: overfitting, plateaus and speed."""

from __future__ import annotations

import numpy as np
import pandas as pd

from fashion_sweep.analysis.measure import Measure
from fashion_sweep.analysis.summary import best_epochs, best_run, is_ranked
from fashion_sweep.analysis.trends import rises

TOLERANCE = 0.05
"""How far above the best run's loss, or error rate, the target lies, relative to it."""
SHORTEST = 5
"""Epochs at the end that show whether a run still improves, at least; a quarter of its epochs if that is more."""
WORTH = 0.01
"""How much of its loss, or error rate, a run has to gain over these epochs to count as improving."""

COLUMNS = ("gap_at_best", "gap_at_last", "overfits_after", "still_improving", "epochs_to_target")
LOSS = Measure("val_loss")
"""Overfitting is about the loss, whatever runs are ranked by: accuracies often rise while it does."""


def dynamics(table: pd.DataFrame, histories: pd.DataFrame, measure: Measure) -> pd.DataFrame:
    """One row per run with a whole history and a finite result. Columns: run, COLUMNS.

    gap_at_best, gap_at_last: validation loss minus training loss at the epoch where the measure's metric is best, and
        at the last one with both. The training loss is a mean over the epoch, with dropout and penalties where there
        are any, so that the gap may be negative.
    overfits_after: the epoch of lowest validation loss, if after it the validation loss has a rising trend and the
        training loss a falling one (``trends``); None otherwise. It takes ``trends.LEAST`` epochs after it to tell.
    still_improving: whether the metric gets better by a trend over the last SHORTEST epochs or last quarter, and by at
        least WORTH there (by the means of the stretch's halves; of the error rate for an accuracy); None with fewer
        epochs.
    epochs_to_target: the first epoch whose metric is as good as ``target``; None if there is none.
    """
    rows = histories[histories["run"].isin(table.loc[is_ranked(table) & ~table["is_partial"], "run"])]
    rows = rows[np.isfinite(rows["val_loss"]) & np.isfinite(rows[measure.metric])]
    rows = rows.sort_values(["run", "epoch"], kind="stable", ignore_index=True)
    rows = rows.assign(error=errors(rows[measure.metric], measure))
    best, last = best_epochs(rows, measure).set_index("run"), rows.groupby("run", sort=False).tail(1).set_index("run")
    lowest = best_epochs(rows, LOSS).set_index("run")
    reached = rows[rows["error"] <= _target_error(table, measure)].groupby("run")["epoch"].min()
    frame = pd.DataFrame(
        {
            "gap_at_best": best["val_loss"] - best["loss"],
            "gap_at_last": last["val_loss"] - last["loss"],
            "overfits_after": lowest["epoch"].where(_overfits(rows, lowest)).astype("Int64"),
            "still_improving": _improves(rows),
            "epochs_to_target": reached.reindex(best.index).astype("Int64"),
        },
        columns=list(COLUMNS),
    )
    return frame.reindex(table.loc[table["run"].isin(frame.index), "run"]).rename_axis("run").reset_index()


def target(table: pd.DataFrame, measure: Measure) -> float:
    """The value of the metric that lies TOLERANCE of its loss, or error rate, above the best completed run's result.

    NaN where no run has completed.
    """
    error = _target_error(table, measure)
    return error if measure.metric == "val_loss" else 1 - error


def errors(values: pd.Series[float], measure: Measure) -> pd.Series[float]:
    """Lower is better: a loss as it is, of an accuracy the error rate."""
    return values if measure.metric == "val_loss" else 1 - values


def _target_error(table: pd.DataFrame, measure: Measure) -> float:
    results = errors(table.loc[table["run"] == best_run(table), measure.column], measure)
    return float((results + TOLERANCE * results.abs()).iloc[0]) if len(results) else np.nan


def _overfits(rows: pd.DataFrame, lowest: pd.DataFrame) -> pd.Series[bool]:
    """Run -> whether it overfits after its epoch of lowest validation loss.

    That epoch is left out: as the lowest of all it would make a rise of what follows in any order.
    """
    after = rows[rows["epoch"] > rows["run"].map(lowest["epoch"])]
    falls = rises(after.assign(loss=-after["loss"]), "loss")
    return rises(after, "val_loss").reindex(lowest.index, fill_value=False) & falls.reindex(
        lowest.index, fill_value=False
    )


def _improves(rows: pd.DataFrame) -> pd.Series:
    """Run -> whether its error still falls at its last epoch; None where too few epochs tell."""
    groups = rows.groupby("run", sort=False)
    size, behind = groups["run"].transform("size"), groups.cumcount(ascending=False)
    length = (size // 4).clip(lower=SHORTEST)
    tail = rows[behind < length]
    length, behind = length[tail.index], behind[tail.index]
    early, late = (
        tail[is_part].groupby("run", sort=False)["error"].mean().reindex(groups.size().index)
        for is_part in (behind >= length - length // 2, behind < length // 2)
    )
    falls = rises(tail.assign(error=-tail["error"]), "error").reindex(early.index, fill_value=False)
    gains = early - late >= WORTH * early.abs()
    return (falls & gains).astype(object).where(groups.size() >= SHORTEST, None)
