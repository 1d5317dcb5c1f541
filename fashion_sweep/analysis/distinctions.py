"""Which runs are replicates of one setting, and which columns it takes to tell settings apart.

A setting is what is trained without the seed: config, dataset and code. Overrides do not say it: a default may have
changed between two commands, and an override may set several keys at once.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from fashion_sweep.analysis.folders import FoundRun
from fashion_sweep.analysis.settings import label
from fashion_sweep.storage.identity import NOT_IN_IDENTITY, identity
from fashion_sweep.storage.plain_text import clean
from fashion_sweep.storage.record import RunRecord

ORIGINS = ("dataset", "code")
"""Columns that tell settings apart whose configs are equal: see ``FoundRun.settings``."""


def settings_of(runs: Sequence[FoundRun]) -> list[str]:
    """A text for each run, equal for the replicates of a setting.

    A run without a record belongs to the setting of a run of its folder whose overrides differ in the seed alone.
    """
    seeds = _seed_paths([run.record for run in runs if run.record])
    texts = [_of_record(run.record, seeds) if run.record else "" for run in runs]
    overrides = list(map(_without_seed, runs))
    by_overrides = {each: text for each, text in zip(overrides, texts, strict=True) if text}
    return [text or by_overrides.get(each, each) for each, text in zip(overrides, texts, strict=True)]


def telling_keys(runs: Sequence[FoundRun], settings: Sequence[str], shown: Sequence[str]) -> list[str]:
    """Keys that tell settings apart which look alike in the columns of these keys: as few as it takes."""
    firsts: dict[str, FoundRun] = {}
    for run, setting in zip(runs, settings, strict=True):
        if run.record:
            firsts.setdefault(setting, run)
    found: list[str] = []
    for alike in _alike(list(firsts.values()), shown):
        seen, looked_up = [""] * len(alike), [run.settings for run in alike]
        for key in (key for key in _keys(alike) if key == clean(key)):  # it becomes a column's name
            values = [f"{before}|{label(each.value(key))}" for before, each in zip(seen, looked_up, strict=True)]
            if len(set(values)) > len(set(seen)):
                seen = values
                found.append(key)
    return list(dict.fromkeys(found))


def config_keys(records: Sequence[RunRecord]) -> list[str]:
    """A text for each run, equal where configs are, but for the seed."""
    seeds = _seed_paths(records)
    return [_of_config(record, seeds) for record in records]


def _of_record(record: RunRecord, seeds: Collection[str]) -> str:
    return f"{_of_config(record, seeds)} {record.data.get('fingerprint')} {record.code or ''}"


def _of_config(record: RunRecord, seeds: Collection[str]) -> str:
    return identity(dict(_without(record.config, seeds)), "")


def _seed_paths(records: Sequence[RunRecord]) -> set[str]:
    """The keys of the configs that are the seed in every run, such as one that interpolates it."""
    seeds: dict[str, set[int]] = {}
    others: set[str] = set()
    for record in records:
        for path, value in leaves(record.config):
            if type(value) is int and value == record.seed:
                seeds.setdefault(path, set()).add(value)
            else:
                others.add(path)
    return {"seed", *(path for path, values in seeds.items() if len(values) > 1 and path not in others)}


def _without_seed(run: FoundRun) -> str:
    """The overrides of a run without its seed, and the folder that it is in."""
    return f"{run.path.parent} {sorted(overrides_but_seed(run.overrides))}"


def overrides_but_seed(overrides: Sequence[str]) -> list[str]:
    """The overrides of a run that are not its seed."""
    return [each for each in overrides if each.partition("=")[0].lstrip("+") != "seed"]


def _alike(runs: Sequence[FoundRun], shown: Sequence[str]) -> Iterator[list[FoundRun]]:
    """Those that have the same labels, where there are several."""
    groups: dict[tuple[str, ...], list[FoundRun]] = {}
    for run in runs:
        settings = run.settings
        groups.setdefault(tuple(label(settings.value(key)) for key in shown), []).append(run)
    yield from (group for group in groups.values() if len(group) > 1)


def _keys(runs: Sequence[FoundRun]) -> list[str]:
    """The keys of configs that may tell runs apart."""
    paths = dict.fromkeys(path for run in runs if run.record for path, _ in leaves(run.record.config))
    return [*(path for path in paths if path not in (*NOT_IN_IDENTITY, "seed")), *ORIGINS]


def leaves(node: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted keys and values; lists are values."""
    for key, value in node.items():
        if isinstance(value, Mapping):
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", json.dumps(value) if isinstance(value, (list, tuple)) else value


def _without(node: Mapping[str, Any], paths: Collection[str], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in node.items():
        if f"{prefix}{key}" in paths:
            continue
        yield key, dict(_without(value, paths, f"{prefix}{key}.")) if isinstance(value, Mapping) else value
