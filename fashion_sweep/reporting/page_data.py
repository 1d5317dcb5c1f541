"""What the script of the page draws: a sweep's frames as one compact JSON text that is safe inside HTML."""

from __future__ import annotations

import base64
import json
import math
import os
from collections.abc import Hashable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from fashion_sweep.analysis import replicates, summary
from fashion_sweep.analysis.columns import COUNTS, STATISTICS
from fashion_sweep.analysis.folders import FoundRun
from fashion_sweep.analysis.load import AVERAGES, MEASURES, Collected
from fashion_sweep.analysis.measure import Measure
from fashion_sweep.analysis.parameters import swept_parameters
from fashion_sweep.analysis.settings import is_missing
from fashion_sweep.analysis.statistics import LEVEL
from fashion_sweep.reporting import labels, table, verdict
from fashion_sweep.storage.plain_text import clean, clean_lines
from fashion_sweep.storage.record import METRICS, Status
from fashion_sweep.storage.run_dir import RunDir

MOST_EPOCHS = 100_000
"""Epochs of all runs together in the page; of more, each run keeps every second, third and so on, and its last."""
LOG_LINES = 8
LOG_LINE = 200
"""Characters of a line of a log."""
MOST_LOGS = 1_000_000
"""Characters of all logs in the page; runs that did not complete come first, then the best."""


def as_inline_json(value: object) -> str:
    """JSON that no HTML parser takes for markup, whatever its texts are: ASCII without ``<``, ``>`` and ``&``."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def page_data(runs: pd.DataFrame, settings: pd.DataFrame, collected: Collected, output: Path) -> dict[str, Any]:
    """The frames as JSON values, a list or a ``_packed`` one per column.

    runs: the summary in plan order; settings: its ``replicates``; output: the page's folder, where links start.
    """
    measure = collected.measure
    names = table.informative_name_last(runs, collected.swept)
    shown = table.presented(runs)
    ordered = [collected.found[name] for name in shown["run"]]
    number = {text: place for place, text in enumerate(_setting_texts(runs, settings))}
    counted = set(summary.counted(runs)["run"])
    return {
        "measure": _measure(measure),
        "factors": _factors(runs, swept_parameters(runs, collected.swept, collected.records)),
        "columns": [_column(name, shown, measure) for name in _first(measure.column, measure.other, names)],
        "cells": {name: _packed(map(_plain, shown[name])) for name in names},
        "labels": _packed(_labels(shown, collected.swept)),
        "reasons": _packed(map(_plain, shown["reason"])),
        "settingOf": _packed(shown["setting"].map(number)),
        "states": _packed(status.partition(",")[0] for status in shown["status"]),
        "isCounted": _packed(int(name in counted) for name in shown["run"]),
        "best": table.best_marked(runs, settings),
        "settings": _settings(settings, runs, collected.swept, measure),
        "histories": _histories(shown["run"].tolist(), runs, collected.histories),
        "config": _configs(ordered),
        "folders": _folders(ordered, output.resolve()),
        "files": _packed([clean(name) for name in RunDir(run.path).files()] for run in ordered),
        "logs": _logs(ordered),
    }


def _measure(measure: Measure) -> dict[str, Any]:
    """What runs and settings are ranked by, in columns and in words."""
    return {
        "metric": measure.metric,
        "column": measure.column,
        "columns": list(measure.columns),
        "best": measure.best,
        "bestRun": f"{measure.best}{measure.when}",
        "bestSetting": f"{measure.rank} mean",
    }


def _factors(runs: pd.DataFrame, parameters: Sequence[str]) -> list[dict[str, Any]]:
    """What the sweep varies. levels: in their order, None for a parameter whose values are numbers."""
    last = [name.rpartition(".")[2] for name in parameters]
    short = [end if last.count(end) == 1 else name for name, end in zip(parameters, last, strict=True)]
    return [
        {"name": name, "label": label.replace("_", " "), "levels": _levels(runs[name])}
        for name, label in zip(parameters, short, strict=True)
    ]


def _levels(values: pd.Series[Any]) -> list[Any] | None:
    known = [value for value in values if not is_missing(value)]
    if all(type(value) in (int, float) for value in known):
        return None
    has_missing = len(known) < len(values)
    return [*dict.fromkeys(map(_plain, known)), *([None] if has_missing else [])]


def _first(column: str, other: str, names: Sequence[str]) -> list[str]:
    return [column, other, *(name for name in names if name not in (column, other))]


def _column(name: str, runs: pd.DataFrame, measure: Measure) -> dict[str, Any]:
    """A column of the table of runs.

    Hidden at first: the long names of folders, empty columns, and what is measured at other epochs than the measure.
    """
    best_epoch = ["best_epoch"] if measure.at == "best" else []
    others = {*MEASURES, *AVERAGES, "parameters", "run"} - {*measure.columns, *best_epoch}
    return {
        "name": name,
        "label": name.replace("_", " "),
        "isNumber": name in table.NUMBERS,
        "decimals": table.DECIMALS.get(name),
        "isHighFirst": name in table.DECIMALS and name.endswith("accuracy"),
        "isHidden": name in others or bool(runs[name].map(is_missing).all()),
    }


def _labels(runs: pd.DataFrame, swept: Sequence[str]) -> list[str]:
    """What sets each run apart; of runs in several sweeps that are the same otherwise, also the sweep."""
    found = pd.Series(labels.run_labels(runs, swept)).to_numpy(dtype=object)
    if "sweep" in runs:
        alike = pd.Series(found).duplicated(keep=False).to_numpy() & runs["sweep"].notna().to_numpy()
        found = np.where(alike, found + ", sweep " + runs["sweep"].map(str).to_numpy(dtype=object), found)
    return list(map(str, found))


def _setting_texts(runs: pd.DataFrame, settings: pd.DataFrame) -> list[str]:
    """What identifies the settings, in the order of ``replicates``, or of the plan where there are none."""
    known = runs.set_index("run")["setting"]
    return list(dict.fromkeys([*(known[name] for name in settings["run"]), *known]))


def _settings(
    settings: pd.DataFrame, runs: pd.DataFrame, swept: Sequence[str], measure: Measure
) -> dict[str, Any] | None:
    """A list per column; None if no setting has two seeds."""
    if settings.empty:
        return None
    statistics = [f"{name}_{what}" for name in measure.columns for what in STATISTICS]
    return {name: [_plain(value) for value in settings[name]] for name in statistics} | {
        "factors": {name: [_plain(value) for value in settings[name]] for name in replicates.factors(swept)},
        "label": [name or "all runs" for name in labels.setting_names(settings, runs, swept)],
        "counts": [_counts(row) for row in settings.to_dict("records")],
        "isMarked": table.among_the_best(settings, measure),
        "relation": ["", *(verdict.relation(row, measure) for _, row in settings.iloc[1:].iterrows())],
    }


def _counts(row: Mapping[Hashable, Any]) -> dict[str, int]:
    return {name: int(row[name]) for name in (COUNTS[0], "at_chance", *COUNTS[1:]) if row[name]}


def _histories(order: Sequence[str], runs: pd.DataFrame, histories: pd.DataFrame) -> dict[str, Any]:
    """Every run's curves, back to back: float32, little-endian, a metric after the other, in base64.

    quantiles: Student's t for the 95% interval of the mean of 2, 3, ... runs. isAveraged: see ``replicates.averaged``.
    """
    extra = [name for name in histories if name not in ("run", "epoch", *METRICS) and histories[name].notna().any()]
    metrics = [*METRICS, *extra]
    step = max(math.ceil(len(histories) / MOST_EPOCHS), 1)
    last = histories.groupby("run")["epoch"].transform("max")
    kept = histories[((histories["epoch"] - 1) % step == 0) | (histories["epoch"] == last)]
    place = {name: number for number, name in enumerate(order)}
    kept = kept.assign(place=kept["run"].map(place)).sort_values(["place", "epoch"], kind="stable")
    epochs = histories.groupby("run")["epoch"].max()
    with np.errstate(over="ignore"):
        values = kept[metrics].to_numpy("float64").T.astype("<f4")
    averaged = set(replicates.averaged(runs, histories)["run"])
    most = int(runs["setting"].value_counts().max()) if len(runs) else 1
    return {
        "metrics": metrics,
        "step": step,
        "epochs": [int(epochs.get(name, 0)) for name in order],
        "values": base64.b64encode(values.tobytes()).decode("ascii"),
        "isAveraged": [int(name in averaged) for name in order],
        "quantiles": [_short(float(stdtrit(count - 1, (1 + LEVEL) / 2))) for count in range(2, most + 1)],
    }


def _configs(found: Sequence[FoundRun]) -> dict[str, Any]:
    """The keys of the configs: those that differ, ``_packed`` by run, and those that are the same in all."""
    flat = [dict(_leaves(run.record.config)) if run.record else None for run in found]
    known = [each for each in flat if each]
    keys = dict.fromkeys(key for each in known for key in each)
    same = {key for key in keys if len({each.get(key) for each in known}) == 1}
    return {
        "differing": {
            key: _packed(None if each is None else each.get(key) for each in flat) for key in keys if key not in same
        },
        "same": {key: known[0].get(key) for key in keys if key in same},
        "isKnown": _packed(int(bool(each)) for each in flat),
    }


def _leaves(node: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Dotted keys, and values as JSON shows them."""
    for key, value in node.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, f"{prefix}{clean(key)}.")
        else:
            yield f"{prefix}{clean(key)}", clean(value if isinstance(value, str) else json.dumps(value))


def _folders(found: Sequence[FoundRun], output: Path) -> Any:
    """The ways from the page to the runs' folders; None for a name that cannot be shown as it is."""
    paths = ((run.path, Path(os.path.relpath(run.path, output)).as_posix()) for run in found)
    return _packed(way if way.isprintable() and path.is_dir() else None for path, way in paths)


def _logs(found: Sequence[FoundRun]) -> dict[int, str]:
    """Place -> the last lines of the log, while there is space for more."""
    logs: dict[int, str] = {}
    left = MOST_LOGS
    for place in sorted(range(len(found)), key=lambda place: _is_completed(found[place])):
        if left <= 0:
            break
        lines = [line[:LOG_LINE] for line in RunDir(found[place].path).log_end(LOG_LINES)]
        if lines:
            logs[place] = clean_lines("\n".join(lines))
            left -= len(logs[place])
    return logs


def _is_completed(run: FoundRun) -> bool:
    return run.record is not None and run.record.status is Status.COMPLETED


def _packed(values: Iterator[Any] | Any) -> Any:
    """A list; where values repeat, its distinct values and the place of each among them."""
    every = list(values)
    texts = [json.dumps(value) for value in every]
    places = {text: place for place, text in enumerate(dict.fromkeys(texts))}
    if 2 * len(places) > len(every):
        return every
    return {"levels": list(map(json.loads, places)), "places": [places[text] for text in texts]}


def _plain(value: Any) -> Any:
    """A cell as a JSON value: a number with 7 digits, a text, or None for an empty one or no finite number."""
    if is_missing(value):
        return None
    if isinstance(value, (bool, np.bool_)):
        return str(value)
    if isinstance(value, (int, float, np.integer, np.floating)):
        return _short(float(value)) if math.isfinite(value) else None
    return str(value)


def _short(value: float) -> float | int:
    rounded = float(f"{value:.7g}") if value != int(value) else value
    return int(rounded) if rounded == int(rounded) and abs(rounded) < 2**53 else rounded
