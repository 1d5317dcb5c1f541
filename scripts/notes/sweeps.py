"""Runs an experiment of the notes as a sweep, with the command line that a user would type, and reads its folder."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pandas as pd

from fashion_sweep.analysis.load import collect
from fashion_sweep.analysis.summary import summarize
from fashion_sweep.errors import UserError
from fashion_sweep.storage.record import RunRecord, Status
from fashion_sweep.storage.sweep_dir import SweepDir
from notes.compare import Restoration
from notes.rows import Experiment, Restored


@dataclass(frozen=True)
class Sweep:
    """An experiment's sweep, read from its folder."""

    experiment: Experiment
    folder: Path
    command: str  # for readers
    planned: int  # runs
    runs: pd.DataFrame  # the completed ones: see analysis.collect
    histories: pd.DataFrame
    records: list[RunRecord]  # of the completed ones
    missing: list[str]  # status and reason of the others


class SweepError(UserError):
    """A sweep's command could not train anything, or was interrupted."""

    def __init__(self, text: str, exit_code: int) -> None:
        super().__init__(text)
        self.exit_code = exit_code


def arguments(experiment: Experiment, count: int, folder: Path, overrides: Sequence[str]) -> list[str]:
    """The words after ``python`` of the command that trains ``count`` replicates into a folder."""
    values = ",".join(map(str, experiment.replicates(count)))
    grid = [f"experiment={experiment.name}", f"{experiment.replicated}={values}", *overrides]
    return ["-m", "fashion_sweep", "-m", *grid, f"hydra.sweep.dir={_quoted(str(folder))}"]


def train(words: Sequence[str]) -> None:
    """Run the command, with our stdout and stderr. Failed runs are left to ``read``.

    Raises SweepError if nothing was trained or it was interrupted.
    """
    code = subprocess.run([sys.executable, *words], check=False).returncode
    if code not in (0, 1):
        raise SweepError(f"exit code {code} of: {shown(words)}", 2 if code == 2 else abs(code))  # noqa: PLR2004


def read(experiment: Experiment, count: int, folder: Path, words: Sequence[str]) -> Sweep:
    """Read the command's runs from the folder; runs of earlier commands are ignored."""
    collected = collect([folder])
    planned = [run.run for run in SweepDir(folder).read_plan()[1]]
    runs = summarize(collected.runs, collected.histories, collected.measure)
    runs = runs[runs["run"].isin(planned)]
    if experiment.replicated in runs:  # there is no column for a single value
        runs = runs[runs[experiment.replicated].isin(list(experiment.replicates(count)))]
    done = runs[runs["status"] == Status.COMPLETED.value]
    others = runs[runs["status"] != Status.COMPLETED.value]
    return Sweep(
        experiment,
        folder,
        shown(words),
        len(runs),
        done,
        collected.histories[collected.histories["run"].isin(done["run"])],
        [record for record in collected.records if record.run in set(done["run"])],
        [f"{row['run']}: {row['status']} ({row['reason']})" for row in others.to_dict("records")],
    )


def restored(sweep: Sweep, what: Restored) -> Restoration:
    """Load this file of every run and measure it on the validation images; see evaluation.measure."""
    from fashion_sweep.evaluation import measure, saved_model

    accuracies, same = [], 0
    for record in sweep.records:
        run = saved_model.open_run(sweep.folder / record.run)
        found = measure.evaluate(run, saved_model.choose(run, name=what.file), measure.validation_images(run))
        expected = (record.last if what.epoch == "last" else record.best) or {}
        accuracies.append(found.accuracy)
        same += measure.recorded_epoch(run, found) == expected.get("epoch")
    return Restoration(what, tuple(accuracies), same)


def seconds(records: Sequence[RunRecord]) -> float:
    """Wall time during which any of these runs was training; simultaneous runs count once."""
    spans = sorted((_time(record.started), _time(record.ended)) for record in records)
    total, until = 0.0, 0.0
    for begin, end in spans:
        total += max(0.0, end - max(begin, until))
        until = max(until, end)
    return total


def _time(text: str | None) -> float:
    return datetime.fromisoformat(text).timestamp() if text else 0.0


def _quoted(text: str) -> str:
    """A value quoted for Hydra's command line."""
    return text if re.fullmatch(r"[\w./-]+", text) else "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def shown(words: Sequence[str]) -> str:
    """A command for readers on other machines: absolute paths are reduced to their last part."""
    text = shlex.join(["python", *words]).replace(str(Path.cwd()) + os.sep, "")
    return re.sub(r"(?<![\w.])/[^\s'\"]*/", ".../", text)
