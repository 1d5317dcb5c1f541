"""The setting that a sweep's verdict puts first, and the best models of its runs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from fashion_sweep.analysis import selection
from fashion_sweep.analysis.folders import check_folder
from fashion_sweep.analysis.load import Collected, collect
from fashion_sweep.analysis.measure import Measure
from fashion_sweep.analysis.summary import counted, summarize
from fashion_sweep.config import recorded
from fashion_sweep.errors import DataError, FolderError
from fashion_sweep.evaluation.saved_model import Model, choose_best, open_run
from fashion_sweep.reporting.labels import setting_names
from fashion_sweep.storage.run_dir import RunDir
from fashion_sweep.storage.sweep_dir import SweepDir


@dataclass(frozen=True)
class Selected:
    """The selected setting of a sweep: the runs that count, in plan order."""

    sweep: SweepDir
    setting: str  # its name; empty where there is no other
    measure: Measure
    among: int  # settings with results, it included
    models: list[Model]  # the best ones
    left_out: dict[str, int]  # why -> how many of its runs
    unfinished: int  # runs of the sweep, of any setting, that have not ended or were interrupted
    warnings: list[str]  # files that could not be read


def select(folder: Path) -> Selected:
    """The setting of the best mean, by the objective that the runs of a sweep were trained for.

    Raises FolderError for a folder that is no sweep's, or where nothing can be selected or no best model is saved;
    DataError where the runs were trained on several datasets.
    """
    _check_sweep(folder)
    collected = collect([folder])
    table = summarize(collected.runs, collected.histories, collected.measure)
    runs = selection.selected(table, collected.swept, collected.measure)
    if runs.empty:
        raise FolderError(f"{folder}: no run has completed with a result, so there is nothing to select")
    _check_comparable(folder, collected, list(counted(table)["run"]))
    counting = runs[runs["left_out"].eq("")]
    return Selected(
        sweep=SweepDir(folder),
        setting=setting_names(counting.iloc[:1], table, collected.swept)[0],
        measure=collected.measure,
        among=selection.settings_with_results(table),
        models=[_best_model(folder / collected.found[name].path.name) for name in counting["run"]],
        left_out={str(why): int(count) for why, count in _counts(runs["left_out"]).items()},
        unfinished=int(table["status"].isin(["pending", "running", "interrupted"]).sum()),
        warnings=collected.warnings,
    )


def _best_model(path: Path) -> Model:
    run = open_run(path)
    recorded.check(run.folder, run.record.config)
    return Model(run, choose_best(run))


def _counts(why: pd.Series) -> pd.Series:
    return why[why.ne("")].value_counts()


def _check_sweep(folder: Path) -> None:
    """Raise FolderError unless it is a folder with a plan: others are collections of runs, or runs."""
    if os.path.lexists(RunDir(folder).record):
        raise FolderError(
            f"{folder}: this is a run's folder; --selected takes that of a sweep, such as {folder.parent}"
        )
    check_folder(folder)
    if not SweepDir(folder).plan.exists():
        raise FolderError(f"{folder}: has no sweep.json, so nothing says which runs were compared")


def _check_comparable(folder: Path, collected: Collected, counting: Sequence[str]) -> None:
    """Raise an error unless one ranking holds for all runs that count. counting: their names."""
    records = [collected.by_run[name] for name in counting]
    objectives = sorted({record.objective for record in records})
    if len(objectives) > 1:
        raise FolderError(
            f"{folder}: its runs were trained for {' and for '.join(objectives)}: no ranking holds for all"
        )
    datasets = sorted({str(record.data.get("fingerprint"))[:8] for record in records})
    if len(datasets) > 1:
        raise DataError(f"{folder}: its runs were trained on {len(datasets)} datasets ({', '.join(datasets)}), whose "
                        "results cannot be compared;\ngive a sweep on one of them")  # fmt: skip
