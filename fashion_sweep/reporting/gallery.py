"""The figures of a report: draws and saves them, and explains any that cannot be drawn."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from fashion_sweep.analysis.load import Collected
from fashion_sweep.analysis.parameters import swept_parameters
from fashion_sweep.errors import FolderError
from fashion_sweep.reporting import curves, effect_figures, samples
from fashion_sweep.reporting.figure_style import save
from fashion_sweep.reporting.files import FIGURES, FORMATS


@dataclass(frozen=True)
class Picture:
    """One figure of a report, or why there is none."""

    name: str  # of the files, without the suffix
    title: str
    caption: str
    path: Path | None  # the PNG
    note: str = ""  # why there is none


@dataclass(frozen=True)
class _Plan:
    name: str
    title: str
    caption: str
    make: Callable[[], Figure]
    skip_reason: str  # why it cannot be drawn; empty if it can
    formats: tuple[str, ...] = ("png",)  # where nobody chooses


def draw(table: pd.DataFrame, collected: Collected, output: Path, formats: Collection[str] = ()) -> list[Picture]:
    """Draw and save every figure that there is data for.

    formats: of files.FORMATS, for every figure; the page needs PNG, which is always among them. Without any, the curves
    of the validation loss are an SVG, too. Files of an earlier report that are not written again are removed.
    Raises OSError if ``output`` cannot be written.
    """
    plans, files = [*_plans(table, collected), *_of_parameters(table, collected)], set[Path]()
    pictures = [_draw(plan, output, formats, files) for plan in plans]
    for path in {output / f"{name}.{suffix}" for name in FIGURES for suffix in FORMATS} - files:
        path.unlink(missing_ok=True)  # must not pass for this report's
    return pictures


def _draw(plan: _Plan, output: Path, formats: Collection[str], files: set[Path]) -> Picture:
    """files: gets those that were written."""
    figure, note = _make(plan)
    written = [output / f"{plan.name}.{each}" for each in dict.fromkeys(["png", *(formats or plan.formats)])]
    if figure is None:
        return Picture(plan.name, plan.title, plan.caption, None, note)
    for path in written:
        save(figure, path)
        files.add(path)
    return Picture(plan.name, plan.title, plan.caption, written[0], note)


def _make(plan: _Plan) -> tuple[Figure | None, str]:
    """The figure, or why there is none."""
    if plan.skip_reason:
        return None, plan.skip_reason
    try:
        return plan.make(), ""
    except FolderError as error:
        return None, str(error)


def _plans(table: pd.DataFrame, collected: Collected) -> list[_Plan]:
    histories = collected.histories
    lines = partial(curves.curves, table, histories, collected.swept, collected.measure)
    pairs = partial(curves.train_vs_val, table, histories, collected.swept, collected.measure)
    explain = partial(curves.explain, table, histories, collected.swept, collected.measure)
    dot = f"The dot marks each line's epoch of {collected.measure.best}."
    return [
        _Plan(
            "val_loss",
            "Validation loss",
            f"{explain('val_loss')} {dot} Lower is better.",
            partial(lines, "val_loss"),
            skip_reason(histories, ["val_loss"]),
            ("png", "svg"),
        ),
        _Plan(
            "accuracy",
            "Validation accuracy",
            f"{explain('val_accuracy')} {dot} Higher is better.",
            partial(lines, "val_accuracy"),
            skip_reason(histories, ["val_accuracy"]),
        ),
        _Plan(
            "train_vs_val",
            "Training against validation loss",
            "One panel per run, best first. A validation loss that rises while the training loss falls is overfitting. "
            + dot.replace("line", "run"),
            pairs,
            skip_reason(histories, ["loss", "val_loss"]),
        ),
        _Plan(
            "samples",
            "The data",
            "Ten images of the dataset and the names of their classes.",
            partial(samples.draw, collected.samples or Path()),
            "" if collected.samples else "The sweep's folder has no sample images.",
        ),
    ]


def _of_parameters(table: pd.DataFrame, collected: Collected) -> list[_Plan]:
    """Figures of what the parameters do; none where nothing was swept."""
    measure = collected.measure
    what = (table, swept_parameters(table, collected.swept, collected.records), measure)
    by_level = _Plan(
        "levels",
        "Results by level",
        f"A small dot is a run's {measure.result}. A large one is the mean of a level's runs for which every other "
        "level has a result, too; where none have, the mean over the level's settings. The bar is the 95% interval "
        "(Student's t, Bonferroni-corrected for all pairs of levels) of the level's distance from the mean of all "
        "levels, drawn around its mean: over seeds, or with one seed over combinations of the other parameters. Levels "
        "whose bars lie apart differ; others may. "
        f"{'Lower' if measure.sign == 1 else 'Higher'} is better.",
        partial(effect_figures.draw_levels, *what),
        "",
    )
    by_pair = _Plan(
        "pairs",
        "Results by pairs of parameters",
        f"The mean {measure.result} over all settings of a pair of levels; bright is good. Cells "
        "without a result are hatched.",
        partial(effect_figures.draw_pairs, *what),
        "",
    )
    has_levels, has_pairs = effect_figures.can_draw_levels(*what), effect_figures.pairs_of(*what)
    return [*([by_level] if has_levels else []), *([by_pair] if has_pairs else [])]


def skip_reason(histories: pd.DataFrame, metrics: Sequence[str]) -> str:
    """Why a figure of these metrics cannot be drawn; empty where it can."""
    if histories.empty:
        return "No run has an epoch to draw."
    has_any = bool(np.isfinite(histories[list(metrics)].to_numpy()).any())
    return "" if has_any else f"No epoch of any run has a finite {' or '.join(metrics)}."
