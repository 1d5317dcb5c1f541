"""What a report says about the cost of a sweep: time, failures, and what settings need for what they reach."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from fashion_sweep.analysis.cost import COSTS, Clock, LaneTime, clock, costs, lane_time
from fashion_sweep.analysis.load import Collected
from fashion_sweep.analysis.measure import Measure
from fashion_sweep.reporting.labels import setting_names
from fashion_sweep.reporting.section import ROWS, Section, decimals, percent

FILE = "cost.csv"
PAUSE = 1.01
"""How much longer than its runs a sweep has to take before its pauses are mentioned."""


def section(table: pd.DataFrame, collected: Collected) -> Section | None:
    """None with fewer than two runs that ended."""
    samples = {name: each.data.get("train_samples", float("nan")) for name, each in collected.by_run.items()}
    found = costs(table, collected.swept, collected.measure, samples)
    if found["runs"].sum() < 2:  # noqa: PLR2004
        return None
    named = found.assign(label=[name or "all runs" for name in setting_names(found, table, collected.swept)])
    known = named.dropna(subset=[*COSTS, collected.measure.column])
    front, lost = _front(known, collected.measure), _lost(named)
    sentences = [
        *_clock_sentences(clock(collected.records)),
        *_lane_sentences(lane_time(collected.by_run, collected.histories)),
        *_lost_sentences(found),
        *([] if front.empty else _front_sentences(known, collected.measure)),
    ]
    tables = [each for each in (front, lost) if not each.empty]
    return Section("Cost", sentences, tables, {FILE: found.drop(columns=["setting", "run"])})


def duration(seconds: float) -> str:
    """``45.0 s``, ``12.3 min`` or ``4.5 h``."""
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:,.1f} {unit}"
    return f"{seconds:.1f} s"


def _clock_sentences(found: Clock | None) -> Iterator[str]:
    if found is None or found.covered_s <= 0:
        return
    yield (
        f"For {duration(found.covered_s)}, at least one of the {found.runs} runs that completed or diverged was "
        f"running, by the start and end of its last attempt. Their times add up to {duration(found.summed_s)}: on "
        f"average, {found.summed_s / found.covered_s:.1f} of them ran at the same time, in lanes or packs."
    )
    if found.whole_s > PAUSE * found.covered_s:
        yield f"From the first start to the last end, with pauses, it was {duration(found.whole_s)}."


def _lane_sentences(found: LaneTime) -> Iterator[str]:
    if not found.runs:
        return
    least = "at least " if found.is_least else ""
    why = " (runs that leave a pack early make the rest of its time uncertain)" if found.is_least else ""
    yield (
        f"The epochs of {found.runs} runs took {least}{duration(found.seconds)} of lane time, each pack counted once"
        f"{why}. Lanes that share a machine slow each other down, so times say little about settings."
    )
    if found.left_out:
        yield (
            f"{found.left_out} {'run is' if found.left_out == 1 else 'runs are'} left out of that: continued or "
            "trained again, so that the record does not say how each epoch was packed, or without a whole history."
        )


def _lost_sentences(found: pd.DataFrame) -> Iterator[str]:
    runs, failed, diverged = (int(found[name].sum()) for name in ("runs", "failed", "diverged"))
    if failed or diverged:
        yield f"Of {runs} runs that ended, {failed} failed and {diverged} diverged, in {_count(found)}."


def _count(found: pd.DataFrame) -> str:
    some = int(found["failure_rate"].gt(0).sum())
    return f"{some} of {len(found)} settings"


def _front_sentences(known: pd.DataFrame, measure: Measure) -> Iterator[str]:
    front = int(known["is_on_front"].sum())
    more = f" The best {ROWS} of them are shown; {FILE} has all settings." if front > ROWS else ""
    yield (
        f"{front} of {len(known)} settings are on the front of {measure.noun} against cost: no other setting has a "
        "mean that is as good with as few parameters and as few training images (each counts once an epoch), and is "
        f"better in one of these.{more} The verdict says which differences of means are more than chance."
    )


def _front(known: pd.DataFrame, measure: Measure) -> pd.DataFrame:
    """The settings on the front as texts, best first; none where all settings cost the same.

    known: settings with a result and known costs, and their labels.
    """
    if not known[list(COSTS)].nunique().gt(1).any():
        return pd.DataFrame()
    front = known[known["is_on_front"]].sort_values(measure.column, ascending=measure.sign == 1, kind="stable")
    front = front.head(ROWS)
    return pd.DataFrame(
        {
            "setting on the front": front["label"],
            f"mean {measure.result}": front[measure.column].map(decimals),
            "parameters": front["parameters"].map(_whole),
            "epochs": front["epochs_run"].map("{:.4g}".format),
            "training images": front["training_images"].map(_whole),
        }
    )


def _lost(named: pd.DataFrame) -> pd.DataFrame:
    """The settings with failures as texts, most first; none where each of them has a single run: no rate of any use."""
    lost = named[named["failure_rate"] > 0]
    if not lost["runs"].gt(1).any():
        return pd.DataFrame()
    lost = lost.sort_values("failure_rate", ascending=False, kind="stable").head(ROWS)
    return pd.DataFrame(
        {
            "setting with failures": lost["label"],
            "runs that ended": lost["runs"].map(str),
            "failed": lost["failed"].map(str),
            "diverged": lost["diverged"].map(str),
            "failure rate": lost["failure_rate"].map(percent),
        }
    )


def _whole(value: float) -> str:
    return f"{value:,.0f}"
