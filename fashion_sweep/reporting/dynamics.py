"""What a report says about how runs learned."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from fashion_sweep.analysis.dynamics import SHORTEST, TOLERANCE, dynamics, target
from fashion_sweep.analysis.load import EPOCH_RATE, Collected
from fashion_sweep.analysis.measure import Measure
from fashion_sweep.analysis.summary import ranked
from fashion_sweep.reporting.labels import run_labels
from fashion_sweep.reporting.section import ROWS, Section, decimals, text
from fashion_sweep.storage.record import Status

FILE = "dynamics.csv"


def section(table: pd.DataFrame, collected: Collected) -> Section | None:
    """None with fewer than two completed runs of several epochs."""
    measure = collected.measure
    found = dynamics(table, collected.histories, measure)
    completed = ranked(table[table["status"].eq(Status.COMPLETED.value)])
    known = found.set_index("run").reindex(completed["run"][completed["run"].isin(found["run"])]).reset_index()
    if len(known) < 2 or not completed["epochs_run"].gt(1).any():  # noqa: PLR2004
        return None
    sentences = [
        *_trend_sentences(known, measure, has_schedule=_has_schedule(known, collected.histories)),
        _target_sentence(known, target(table, measure), measure),
    ]
    shown = _texts(known.head(ROWS), run_labels(table, collected.swept))
    return Section("Dynamics", sentences, [shown], {FILE: found})


def _texts(known: pd.DataFrame, names: dict[str, str]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "run": known["run"].map(names),
            "gap at best": known["gap_at_best"].map(decimals),
            "gap at last": known["gap_at_last"].map(decimals),
            "overfits after": known["overfits_after"].map(text),
            "still improving": known["still_improving"].map({True: "yes", False: "no"}).fillna(""),
            "epochs to target": known["epochs_to_target"].map(text),
        }
    )


def _has_schedule(known: pd.DataFrame, histories: pd.DataFrame) -> bool:
    """Whether some run that still improves has a learning rate that was recorded by epoch."""
    improving = known.loc[known["still_improving"].eq(True), "run"]
    return bool(histories.loc[histories["run"].isin(improving), EPOCH_RATE].notna().any())


def _trend_sentences(known: pd.DataFrame, measure: Measure, *, has_schedule: bool) -> Iterator[str]:
    told = int(known["still_improving"].notna().sum())
    over, improving = int(known["overfits_after"].notna().sum()), int(known["still_improving"].eq(True).sum())
    yield "Gaps are the validation loss minus the training loss."
    if not told:
        yield f"Runs of fewer than {SHORTEST} epochs do not show whether they overfit or still improve."
        return
    yield (
        f"{over} of {len(known)} completed runs show overfitting: after the epoch of lowest validation loss, that loss "
        f"has a rising trend while the training loss falls. By {measure.noun}, {improving} of {told} still improve at "
        f"the last epoch{': with more epochs, their order may be another' if improving else ''}."
    )
    if has_schedule:
        yield "Some of these have a learning-rate schedule, which more epochs would stretch: another experiment."
    yield (
        "Both are read off one curve each (Mann-Kendall tests at 5%). Epochs of a run depend on each other, so that a "
        "slow wobble may count as either."
    )


def _target_sentence(known: pd.DataFrame, value: float, measure: Measure) -> str:
    more = f" The best {ROWS} runs are shown; {FILE} has all." if len(known) > ROWS else ""
    error = "loss" if measure.metric == "val_loss" else "error rate"
    return (
        f"{known['epochs_to_target'].notna().sum()} of {len(known)} reach a {measure.noun} of {value:.4f} in some "
        f"epoch: the target, at {TOLERANCE:.0%} more {error} than the best run.{more}"
    )
