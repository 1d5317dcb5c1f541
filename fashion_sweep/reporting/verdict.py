"""The verdict of a sweep in sentences, none of which says more than its numbers carry."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pandas as pd

from fashion_sweep.analysis import summary
from fashion_sweep.analysis.columns import COUNTS
from fashion_sweep.analysis.measure import Measure
from fashion_sweep.analysis.verdict import LEVEL, MOST_SEEDS, POWER, pairs, seeds_needed, tied
from fashion_sweep.reporting import labels

NAMED = 3
"""Settings that are named; more are counted."""
FEW = 3
"""With so many seeds or fewer, an interval says little."""
AT_CHANCE = "That is no better than always naming the most frequent class."
MIXED = "Classifiers are measured on all images, each in the fold that held it out, networks on the validation images."
OPTIMISTIC = "The validation images chose {what}, so expect somewhat worse figures on new images"


def verdict(table: pd.DataFrame, settings: pd.DataFrame, swept: Sequence[str], measure: Measure) -> str:
    """Which setting is best by a measure, and whether that means anything; empty where no run has completed.

    table: one row per run, as of ``summary.summarize``; settings: its ``replicates``.
    """
    said = _of_runs(table, swept, measure) if settings.empty else _of_settings(settings, table, swept, measure)
    return " ".join([*said, *([MIXED] if is_mixed(table) else [])])


def is_mixed(table: pd.DataFrame) -> bool:
    """Whether there are results of cross-validated classifiers, which have no epochs, and of networks."""
    return bool(table.loc[summary.is_ranked(table), "epochs_run"].isna().nunique() == 2)  # noqa: PLR2004


def relation(row: pd.Series, measure: Measure) -> str:
    """How a row of ``replicates`` other than the first compares with it, in a few words."""
    if pd.isna(row[f"{measure.column}_mean"]):
        return "no result"
    if pd.isna(row["p_value"]):
        return "too few seeds"
    what = "worse" if row["p_value"] < LEVEL else "no claim"
    return f"{what}, p {p_text(row['p_value'])}"


def _of_runs(table: pd.DataFrame, swept: Sequence[str], measure: Measure) -> Iterator[str]:
    """Where each setting has one seed."""
    best = summary.best_run(table)
    if best is None:
        return
    row = table[table["run"] == best].iloc[0]
    others = summary.is_ranked(table).sum() > 1
    other = "" if pd.isna(row[measure.other]) else f", {_noun(measure.other)} {row[measure.other]:.4f}"
    epoch = f" in epoch {row['best_epoch']}" if measure.at == "best" and not pd.isna(row["best_epoch"]) else ""
    what = f"{labels.run_labels(table, swept)[best]}: " if others else ""
    yield f"{measure.best.capitalize()}{measure.when}: {what}{row[measure.column]:.4f}{other}{epoch}."
    if row["at_chance"] is True:
        yield AT_CHANCE
    if others:
        several = "" if pd.isna(row["seed"]) else "; several seeds would, as with seed=0,1,2,3,4"
        yield f"One run each does not say which setting is best{several}."


def _of_settings(settings: pd.DataFrame, table: pd.DataFrame, swept: Sequence[str], measure: Measure) -> Iterator[str]:
    names = labels.setting_names(settings, table, swept)
    best, ranked = settings.iloc[0], settings[f"{measure.column}_mean"].notna()
    what = f"{names[0]}: " if len(settings) > 1 else ""
    seeds = _count(int(best["seeds"]), "seed")
    mean, low, high = (best[f"{measure.column}_{name}"] for name in ("mean", "low", "high"))
    interval = "" if pd.isna(low) else f", 95% interval {low:.4f} to {high:.4f}"
    rank = f"{measure.rank} mean" if len(settings) > 1 else "mean"
    title = f"{rank} {measure.noun}{measure.when}".capitalize()
    yield f"{title}: {what}{mean:.4f} ({seeds}{interval}), {_noun(measure.other)} {_other(best, measure)}."
    if best["at_chance"] == best["seeds"]:
        yield AT_CHANCE
    elif best["at_chance"]:
        yield f"{best['at_chance']} of the {seeds} end no better than guessing."
    if 1 < best["seeds"] <= FEW:
        yield f"An interval from {seeds} is weak evidence."
    if ranked.sum() > 1:
        yield from _compared(settings[ranked], [names[place] for place in settings.index[ranked]], measure)
    failures = int(best["failed"] + best["diverged"])
    if failures:
        yield f"{failures} of its {int(best[['seeds', *COUNTS[1:]]].sum())} runs failed or diverged."
    if ranked.sum() > 1:
        what = OPTIMISTIC.format(what="epoch and setting" if measure.at == "best" else "the setting")
        yield what + _by_how_much(best["optimism"], mean, int(ranked.sum()))


def _compared(settings: pd.DataFrame, names: Sequence[str], measure: Measure) -> Iterator[str]:
    """Of the best against the others, all of which have a mean."""
    others, best = settings.iloc[1:], settings.iloc[0]
    worse = others["p_value"].lt(LEVEL).to_numpy()
    alike = [name for name, is_tied in zip(names, tied(settings, measure), strict=True) if is_tied]
    if best["seeds"] == 1:
        yield "It has one seed, so nothing says that it is better than the others."
    elif not alike:
        largest = p_text(float(others["p_value"].max()))
        what = "the other setting" if len(others) == 1 else f"each of the other {len(others)} settings"
        yield f"It is better than {what} ({_method(settings)}, p {largest}{' at most' if len(others) > 1 else ''})."
    else:
        yield f"It cannot be told from {_listed(alike)} ({_method(settings)})."
        if worse.any():
            yield f"{_count(int(worse.sum()), 'other setting')} {'is' if worse.sum() == 1 else 'are'} worse."
        yield from _more_seeds(settings, names)
    means = measure.sign * settings[f"{measure.other}_mean"]  # of the other metric: higher is better
    ahead = int(means.to_numpy(na_value=float("-inf")).argmax())
    if ahead and means.iloc[ahead] > means.iloc[0]:
        yield f"By mean {_noun(measure.other)} {names[ahead]} is ahead, {_other(settings.iloc[ahead], measure)}."


def _by_how_much(optimism: float, mean: float, settings: int) -> str:
    if not optimism > abs(mean) * 1e-4:  # less than what is printed of a mean; or it cannot be estimated
        return "."
    return (
        f": choosing among {settings} settings alone flatters the mean by about {optimism:.2g} (leaving out each seed)."
    )


def _more_seeds(settings: pd.DataFrame, names: Sequence[str]) -> Iterator[str]:
    """How many seeds would separate the first two settings."""
    second = settings.iloc[1]
    if pd.isna(second["p_value"]) or second["p_value"] < LEVEL:
        return
    power = f"with {POWER:.0%} power, if they differ as much as they seem to"
    needed = seeds_needed(second["effect"], pairs(settings["seeds"])) if second["effect"] else None
    if needed is None:
        yield f"Not even {MOST_SEEDS} seeds each would separate it from {names[1]} {power}."
    else:
        yield f"About {needed} seeds each would separate it from {names[1]} {power}."


def _method(settings: pd.DataFrame) -> str:
    compared = pairs(settings["seeds"])
    corrected = f", Holm-corrected for {compared} pairs" if compared > 1 else ""
    return f"t-tests paired by seed{corrected}"


def _listed(names: Sequence[str]) -> str:
    named, more = names[:NAMED], len(names) - NAMED
    if more > 0:
        return f"{'; '.join(named)}; and {_count(more, 'other')}"
    return "; ".join([*named[:-2], " or ".join(named[-2:])])


def _noun(column: str) -> str:
    """``accuracy`` or ``loss``."""
    return column.rpartition("_")[2]


def _other(row: pd.Series, measure: Measure) -> str:
    """The mean of the metric that settings are not ranked by."""
    mean = row[f"{measure.other}_mean"]
    return "unknown" if pd.isna(mean) else f"{mean:.4f}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def p_text(value: float) -> str:
    """A p-value for people."""
    return "< 0.001" if value < 0.001 else f"{value:.2g}"  # noqa: PLR2004
