"""What a report says about swept parameters: how their levels differ, and how much each one matters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import pandas as pd

from fashion_sweep.analysis.effects import COMBINATIONS, SEEDS, gaps, level_effects
from fashion_sweep.analysis.importance import importances
from fashion_sweep.analysis.measure import Measure
from fashion_sweep.analysis.variance import p_value, shares
from fashion_sweep.analysis.verdict import LEVEL
from fashion_sweep.reporting.section import ROWS, Section, bounds, decimals, listed, percent, spoken, text
from fashion_sweep.reporting.verdict import FEW, MIXED, is_mixed

KNOWN_NOISE = 10
"""Degrees of freedom below which the noise is known badly: a variance from 10 is off by 45% (sqrt(2 / 10))."""


def section(table: pd.DataFrame, parameters: Sequence[str], measure: Measure) -> Section | None:
    """None where no level of a parameter averages several results."""
    levels = level_effects(table, parameters, measure)
    if levels.empty:
        return None
    apart, (terms, shown, said) = gaps(table, parameters, measure), _importance(table, parameters, measure)
    mixed = [MIXED] if is_mixed(table) else []
    sentences = [*_gap_sentences(apart, measure), *mixed, *_lost(levels), *said]
    files = {"effects.csv": levels} | ({} if terms.empty else {"importance.csv": terms})
    return Section("Effects", sentences, [_gap_table(apart), *([] if shown.empty else [shown])], files)


def _gap_sentences(apart: pd.DataFrame, measure: Measure) -> Iterator[str]:
    yield (
        f"Mean {measure.result} of a parameter's levels, compared where everything else is equal: over the "
        "combinations of the other parameters in which every level has a result."
    )
    by_seed, by_combination = apart["unit"].eq(SEEDS), apart["unit"].eq(COMBINATIONS)
    is_told, has_interval = apart["low"].gt(0), apart["low"].notna()
    if (told := by_seed & is_told).any():
        yield f"Best and worst level differ for {_names(apart[told])}."
    if (told := by_combination & is_told).any():
        yield (
            f"On this one seed, best and worst level differ by more than combinations vary for {_names(apart[told])}; "
            "another seed may not agree."
        )
    if (open_ := has_interval & ~is_told).any():
        yield f"No difference between levels is shown for {_names(apart[open_])}."
    if has_interval.any():
        yield _of_intervals(apart[has_interval])
    if (single := apart["units"].eq(1)).any():
        yield (
            f"One result of each level is all there is to compare for {_names(apart[single])}: no interval, and no "
            "claim."
        )
    if apart["matched"].eq(0).any():
        yield (
            f"No combination has a result for every level of {_names(apart[apart['matched'].eq(0)])}, so that "
            "these cannot be compared fairly."
        )


def _of_intervals(apart: pd.DataFrame) -> str:
    over = (
        "over seeds, which cover these settings alone, on further seeds"
        if apart["unit"].eq(SEEDS).all()
        else "over combinations of the other parameters, as if these were drawn at random from more"
    )
    weak = f" An interval from {FEW} of them, or fewer, is weak evidence." if apart["units"].le(FEW).any() else ""
    corrected = "Bonferroni-corrected for all pairs of levels of all parameters"
    return f"Intervals are 95% (Student's t, {corrected}) {over}.{weak}"


def _names(apart: pd.DataFrame) -> str:
    return listed([spoken(name) for name in apart["parameter"]])


def _lost(levels: pd.DataFrame) -> Iterator[str]:
    """Levels whose runs have no result."""
    lost = levels[levels["failure_rate"] > 0].sort_values("failure_rate", ascending=False, kind="stable")
    if lost.empty:
        return
    named = [
        f"{row['failed'] + row['diverged']} of {_ended(row)} at {spoken(row['parameter'])} {row['level']}"
        for row in lost.head(FEW).to_dict("records")
    ]
    more = f" and {len(lost) - FEW} more levels" if len(lost) > FEW else ""
    yield (
        f"Runs that failed or diverged have no result ({', '.join(named)}{more}): combinations that they leave open "
        "are not compared, so that a level that makes runs diverge may look better than it is."
    )


def _ended(row: Mapping[object, object]) -> int:
    return sum(int(str(row[name])) for name in ("runs", "failed", "diverged", "without_result"))


def _importance(
    table: pd.DataFrame, parameters: Sequence[str], measure: Measure
) -> tuple[pd.DataFrame, pd.DataFrame, list[str]]:
    """Shares of variance, or importances where the grid is incomplete: all, as texts, and what may be said of them.

    No rows where they are no better than chance.
    """
    nothing = pd.DataFrame()
    if len(found := shares(table, parameters, measure)) > 1:
        is_told = p_value(found) < LEVEL
        said = list(_share_sentences(found)) if is_told else [_no_better("that the parameters explain the results")]
        return (found, _share_table(found), said) if is_told else (nothing, nothing, said)
    forest = importances(table, parameters, measure) if len(parameters) > 1 else None
    if forest is None:
        return nothing, nothing, []
    if not (forest.r2 > 0 and forest.p_value < LEVEL):
        said = [_no_better("that a random forest predicts settings held out")]
        return nothing, nothing, said
    said = [
        f"The grid is incomplete: a random forest predicts the ranks of the results of settings held out with R2 "
        f"{forest.r2:.2f}, and importance is the error that shuffling a parameter adds, in shares of the variance "
        "(mean, and range over five folds). It says what predicts the result, not in which direction; parameters that "
        "vary together share it."
    ]
    return forest.rows, _forest_table(forest.rows), said


def _no_better(what: str) -> str:
    return f"Nothing shows {what} better than chance would, so that no importance of parameters is given."


def _share_sentences(found: pd.DataFrame) -> Iterator[str]:
    noise = found[found["term"] == SEEDS]
    yield "Shares are of the variance of the results over this grid's levels: other levels would give other shares."
    if noise.empty:
        yield "With one seed, each share includes the noise of the seeds, so that a single small one means nothing."
        return
    yield "A term of no effect has about the share in the column noise; shares near it mean nothing."
    if noise["df"].iloc[0] < KNOWN_NOISE:
        yield f"The noise is estimated from {noise['df'].iloc[0]} degrees of freedom only, so it may be far off."


def _gap_table(apart: pd.DataFrame) -> pd.DataFrame:
    shown = apart.head(ROWS)
    over = shown["matched"].astype(str) + " of " + shown["combinations"].astype(str)
    seeds = shown["units"].astype(str).radd(" x ").add(" seeds").where(shown["unit"].eq(SEEDS), "")
    texts = {
        "parameter": shown["parameter"].map(spoken),
        "levels": shown["levels"].astype(str),
        "best": shown["best"].map(text),
        "worst": shown["worst"].map(text),
        "gap": shown["gap"].map(decimals),
        "95% interval": bounds(shown).where(shown["low"].notna(), "none"),
        "combinations": over + seeds,
    }
    return pd.DataFrame(texts)


def _forest_table(found: pd.DataFrame) -> pd.DataFrame:
    shown = found.head(ROWS)
    columns = {"term": shown["term"].map(spoken), "importance": shown["importance"].map(decimals)}
    return pd.DataFrame(columns | {"folds": bounds(shown)})


def _share_table(found: pd.DataFrame) -> pd.DataFrame:
    shown = found.head(ROWS)
    texts = {"term": shown["term"].map(spoken), "share": shown["share"].map(percent)}
    has_noise = shown["noise_share"].notna().any()
    return pd.DataFrame(texts | ({"noise": shown["noise_share"].map(percent)} if has_noise else {}))
