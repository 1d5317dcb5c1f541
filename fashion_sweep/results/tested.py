"""What the test images said of a sweep's selected setting, and how often they were looked at."""

from __future__ import annotations

import dataclasses
import shlex
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import pandas as pd

from fashion_sweep.analysis.load import Collected
from fashion_sweep.errors import UserError
from fashion_sweep.reporting.looks import latest, said
from fashion_sweep.storage.looks import Figures, Look, read
from fashion_sweep.storage.sweep_dir import SweepDir


@dataclass(frozen=True, eq=False, repr=False)
class Tested:
    """The best models of the selected setting's runs on the test images, beside the validation images.

    setting: its name when it was selected, empty if it was the only one; when: in UTC; images: number of test images.
    test, validation, difference (test minus validation): each has ``loss`` and ``accuracy``, means over runs, each with
        ``value``, ``low`` and ``high``: the ends of a 95% interval over images, NaN where there is none. It is for the
        models as they were trained, and says nothing of other seeds.
    runs: a row for each model: run, identity, seed, file, sha256, test_loss, test_accuracy, val_loss, val_accuracy.
    looks: a row for each time that the sweep's test images were looked at: when, asked (``selected``, or a single
        ``run``), setting, runs (their names), loss, accuracy.
    """

    setting: str
    when: datetime
    images: int
    test: Figures
    validation: Figures
    difference: Figures
    runs: pd.DataFrame
    looks: pd.DataFrame
    verdict: str

    def __repr__(self) -> str:
        return self.verdict


def tested(folder: Path, table: pd.DataFrame, collected: Collected) -> Tested:
    """Of the last look at the selected setting of a sweep. Raises as ``Results.test`` does.

    table: of ``summary.summarize``.
    """
    looks = read(SweepDir(folder))
    look = latest(looks)
    if look is None:
        raise UserError(
            f"{folder}: nobody has measured the selected setting on the test images; once all runs are trained, do:\n"
            f"{shlex.join(['fashion-sweep-evaluate', str(folder), '--selected', '--test'])}"
        )
    return Tested(
        look.setting,
        look.time,
        look.images,
        look.test,
        look.validation,
        look.difference,
        runs=pd.DataFrame([dataclasses.asdict(run) for run in look.runs]),
        looks=pd.DataFrame([_row(each) for each in looks]),
        verdict=" ".join(said(looks, table, collected)),
    )


def _row(look: Look) -> dict[str, object]:
    return {
        "when": look.time,
        "asked": look.asked,
        "setting": look.setting,
        "runs": [run.run for run in look.runs],
        "loss": look.test.loss.value,
        "accuracy": look.test.accuracy.value,
    }
