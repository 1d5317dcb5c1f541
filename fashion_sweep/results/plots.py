"""The figures of a report, for notebooks and scripts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd

from fashion_sweep.analysis.load import Collected
from fashion_sweep.analysis.measure import Measure
from fashion_sweep.analysis.parameters import swept_parameters
from fashion_sweep.errors import FolderError, UserError
from fashion_sweep.storage.record import OBJECTIVE, OBJECTIVES, Objective

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Plots:
    """Each method draws a new matplotlib figure, which a notebook shows and ``savefig`` writes.

    Raises FolderError where there is nothing to draw.
    """

    def __init__(self, table: pd.DataFrame, collected: Collected) -> None:
        self._table = table
        self._collected = collected

    def curves(self, metric: Objective = OBJECTIVE) -> Figure:
        """``val_loss`` or ``val_accuracy`` by epoch: a line for each run, or for each setting with several seeds the
        mean in a band that is its 95% interval.
        """
        from fashion_sweep.reporting import curves

        if metric not in OBJECTIVES:
            raise UserError(f"metric is {metric!r:.60}, expected {' or '.join(OBJECTIVES)}")
        self._require([metric])
        return curves.curves(
            self._table, self._collected.histories, self._collected.swept, self._collected.measure, metric
        )

    def train_vs_val(self) -> Figure:
        """Training and validation loss by epoch, a panel for each run, best first."""
        from fashion_sweep.reporting import curves

        self._require(["loss", "val_loss"])
        return curves.train_vs_val(
            self._table, self._collected.histories, self._collected.swept, self._collected.measure
        )

    def effects(self) -> Figure:
        """Results by level of each swept parameter, with the interval of the level's distance from the others."""
        from fashion_sweep.reporting import effect_figures

        if not effect_figures.can_draw_levels(*self._of_parameters):
            raise FolderError("no level of a swept parameter averages several results")
        return effect_figures.draw_levels(*self._of_parameters)

    def pairs(self) -> Figure:
        """Mean results by pairs of swept parameters, a heat map for each."""
        from fashion_sweep.reporting import effect_figures

        if not effect_figures.pairs_of(*self._of_parameters):
            raise FolderError("pairs take two swept parameters, and of three or more parameters a complete grid")
        return effect_figures.draw_pairs(*self._of_parameters)

    @property
    def _of_parameters(self) -> tuple[pd.DataFrame, list[str], Measure]:
        parameters = swept_parameters(self._table, self._collected.swept, self._collected.records)
        return self._table, parameters, self._collected.measure

    def samples(self) -> Figure:
        """Ten images of the dataset and their classes."""
        from fashion_sweep.reporting import samples

        if self._collected.samples is None:
            raise FolderError("there are no sample images: only a sweep's folder has them")
        return samples.draw(self._collected.samples)

    def _require(self, metrics: Sequence[str]) -> None:
        from fashion_sweep.reporting.gallery import skip_reason

        if reason := skip_reason(self._collected.histories, metrics):
            raise FolderError(reason)
