"""Two sweeps compared: the settings that both have, by seed, and what has changed between them.

Settings are matched by their configs without the seed, and those that are left by their overrides, as where a default
has changed; code, versions and devices may differ.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from fashion_sweep.analysis.distinctions import config_keys, leaves, overrides_but_seed
from fashion_sweep.analysis.load import Collected
from fashion_sweep.analysis.replicates import by_seed
from fashion_sweep.analysis.settings import label
from fashion_sweep.analysis.statistics import interval
from fashion_sweep.analysis.summary import summarize
from fashion_sweep.analysis.verdict import LEAST, comparisons, holm
from fashion_sweep.errors import FolderError
from fashion_sweep.storage.plain_text import clean
from fashion_sweep.storage.record import RunRecord

COLUMNS = ("setting", "seeds_before", "seeds_after", "shared", "mean_before", "mean_after", "difference", "low", "high",
           "percent_worse", "p_value")  # fmt: skip
"""Of ``Comparison.settings``."""


@dataclass(frozen=True)
class Comparison:
    """What two sweeps have in common, and what not.

    settings: one row per setting of both: COLUMNS. difference: after minus before, the mean over shared seeds, else of
        the means; low, high: its 95% interval by Student's t over shared seeds, NaN with fewer than two; percent_worse:
        the difference in percent of the mean before, positive where worse, infinite where only the first sweep has a
        result, NaN where it has none; p_value: paired, else Welch's, by Holm's method for all rows that have one.
    changes: what differs between the sweeps -> its values in each.
    """

    settings: pd.DataFrame
    only_before: list[str]
    only_after: list[str]
    changes: dict[str, tuple[list[str], list[str]]]


@dataclass(frozen=True)
class _Setting:
    """A setting of one sweep."""

    overrides: frozenset[str]  # without the seed
    first: RunRecord  # of its runs
    scores: pd.Series  # of the runs that count, by seed


def compare(before: Collected, after: Collected) -> Comparison:
    """Compare two sweeps that were collected by the same measure.

    Raises FolderError where they were trained on different datasets: their figures cannot be compared.
    """
    changes = _changes(before.records, after.records)
    if "dataset" in changes:
        one, other = (", ".join(values) or "none" for values in changes["dataset"])
        raise FolderError(f"the sweeps were trained on different datasets ({one}; {other}), so nothing can be compared")
    pairs, only_before, only_after = _matched(_settings(before), _settings(after))
    every = [setting.overrides for pair in pairs for setting in pair] + [each.overrides for each in only_before]
    common = frozenset.intersection(*every, *(each.overrides for each in only_after)) if every else frozenset()
    rows = [_row(_named(two, common), one.scores, two.scores, before.measure.sign) for one, two in pairs]
    settings = pd.DataFrame(rows, columns=list(COLUMNS))
    p_values = settings["p_value"].to_numpy("float64")
    return Comparison(
        settings.assign(p_value=holm(p_values, max(1, int(np.isfinite(p_values).sum())))),
        [_named(each, common) for each in only_before],
        [_named(each, common) for each in only_after],
        changes | _changed_configs(pairs),
    )


def _settings(collected: Collected) -> dict[str, _Setting]:
    """By config without the seed."""
    table = summarize(collected.runs, collected.histories, collected.measure)
    names = [name for name in table["run"] if name in collected.by_run]
    keys = dict(zip(names, config_keys([collected.by_run[name] for name in names]), strict=True))
    started = table[table["run"].isin(names)]
    scores = by_seed(started.assign(setting=started["run"].map(keys)), collected.measure).astype("float64")
    firsts = {key: collected.by_run[name] for name, key in reversed(keys.items())}
    return {
        key: _Setting(
            frozenset(overrides_but_seed(firsts[key].overrides)), firsts[key], scores.reindex([key]).iloc[0].dropna()
        )
        for key in dict.fromkeys(keys.values())
    }


def _matched(
    before: Mapping[str, _Setting], after: Mapping[str, _Setting]
) -> tuple[list[tuple[_Setting, _Setting]], list[_Setting], list[_Setting]]:
    """Pairs of settings, and those of one sweep alone."""
    pairs = [(setting, after[key]) for key, setting in before.items() if key in after]
    left = [setting for key, setting in before.items() if key not in after]
    right = [setting for key, setting in after.items() if key not in before]
    by_overrides = {setting.overrides: setting for setting in right}
    again = [(setting, by_overrides[setting.overrides]) for setting in left if setting.overrides in by_overrides]
    taken = {id(setting) for pair in again for setting in pair}
    return (
        pairs + again,
        [setting for setting in left if id(setting) not in taken],
        [setting for setting in right if id(setting) not in taken],
    )


def _row(name: str, before: pd.Series, after: pd.Series, sign: int) -> dict[str, object]:
    shared = sum(seed in after.index for seed in before.index)
    one, two = before.mean(), after.mean()
    mean, low, high, p_value = difference(before, after)
    worse = np.inf if len(before) and not len(after) else _percent(sign * mean, one)
    values = [name, len(before), len(after), shared, one, two, mean, low, high, worse, p_value]
    return dict(zip(COLUMNS, values, strict=True))


def difference(before: pd.Series, after: pd.Series) -> tuple[float, float, float, float]:
    """After minus before, ends of its interval, and p-value. Both are scores by seed.

    The mean over the seeds that both have, with its 95% interval and test by Student's t; where these are fewer than
    two the difference of the means, without an interval, tested by Welch. NaN for what there are too few seeds for.
    """
    shared = [seed for seed in before.index if seed in after.index]
    seeds = list(dict.fromkeys([*before.index, *after.index]))
    p_value = float(comparisons(pd.DataFrame([before, after]).reindex(columns=seeds))["p_value"].iloc[1])
    if len(shared) < LEAST:
        return float(after.mean() - before.mean()), np.nan, np.nan, p_value
    mean, _, low, high = interval(after[shared] - before[shared])
    return mean, low, high, p_value


def _percent(worse: float, of: float) -> float:
    return 0.0 if worse == 0 else 100 * worse / abs(of) if of else worse * np.inf


def _named(setting: _Setting, common: frozenset[str]) -> str:
    """What sets a setting apart from those around it."""
    return clean(" ".join(sorted(setting.overrides - common))) or "the defaults"


_KINDS: Mapping[str, Callable[[RunRecord], Mapping[str, object]]] = {
    "dataset": lambda record: {"": str(record.data.get("fingerprint"))[:8]},
    "code": lambda record: {"": str(record.code)[:8]},
    "commit": lambda record: {"": str((record.git or {}).get("commit"))[:10]},
    "version": lambda record: record.versions,
    "device": lambda record: {key: value for key, value in record.device.items() if key != "host"},
}


def _changes(before: Sequence[RunRecord], after: Sequence[RunRecord]) -> dict[str, tuple[list[str], list[str]]]:
    found: dict[str, tuple[list[str], list[str]]] = {}
    for kind, of in _KINDS.items():
        one, two = (_values([of(record) for record in records]) for records in (before, after))
        for key in one.keys() | two.keys():
            if one.get(key) != two.get(key):
                found[f"{kind} {key}".strip()] = one.get(key, []), two.get(key, [])
    return dict(sorted(found.items()))


def _changed_configs(pairs: Sequence[tuple[_Setting, _Setting]]) -> dict[str, tuple[list[str], list[str]]]:
    """What differs between the configs of matched settings, the seed aside."""
    found: dict[str, tuple[list[str], list[str]]] = {}
    for one, two in pairs:
        before, after = (dict(leaves(setting.first.config)) for setting in (one, two))
        for key in sorted(before.keys() | after.keys()):
            if before.get(key) != after.get(key) and key != "seed":
                was, now = found.setdefault(f"config {key}", ([], []))
                was.extend({label(before.get(key))} - set(was))
                now.extend({label(after.get(key))} - set(now))
    return found


def _values(records: Sequence[Mapping[str, object]]) -> dict[str, list[str]]:
    """Key -> its distinct values, sorted."""
    keys = dict.fromkeys(key for record in records for key in record)
    return {key: sorted({clean(label(record[key])) for record in records if key in record}) for key in keys}
