"""How much a random forest needs each parameter to predict the measure: for grids too incomplete for ``variance``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from fashion_sweep.analysis.measure import Measure
from fashion_sweep.analysis.parameters import cells_of
from fashion_sweep.analysis.settings import label
from fashion_sweep.analysis.summary import counted

LEAST_SETTINGS = 20
"""Fewer are not enough to hold any out: a fold would have three settings, and a level one."""
FOLDS, TREES, REPEATS = 5, 30, 2


class Importances(NamedTuple):
    """What a forest finds.

    rows: a parameter each, largest importance first. Columns: term, importance (what shuffling a parameter among the
        held-out runs adds to the mean squared error, over the variance; mean over FOLDS), low and high (smallest and
        largest of the folds, not an interval of confidence). Parameters that vary together share their importance.
    r2: of the predictions for settings held out.
    p_value: one-sided, of Kendall's rank correlation between results of settings and predictions. Without a relation,
        predictions for held-out settings lean the other way, if at all: they were learned from the rest.
    """

    rows: pd.DataFrame
    r2: float
    p_value: float


def importances(table: pd.DataFrame, parameters: Sequence[str], measure: Measure) -> Importances | None:
    """Permutation importance of each parameter; None without LEAST_SETTINGS settings, or where all results are equal.

    A forest learns four fifths of the settings and predicts the ranks of the results of the others, seeds included
    (ranks, so that a few huge losses do not decide). Where the predictions are no better than chance, importances mean
    nothing.
    """
    cells = cells_of(table, parameters, measure)
    settings = cells.groupby(list(parameters), sort=False).ngroup().to_numpy() if len(cells) else np.array([])
    ranks = cells[measure.column].rank(pct=True).to_numpy()
    if len(np.unique(settings)) < LEAST_SETTINGS or not ranks.var() > 0:
        return None
    folds, predicted = _held_out(_features(counted(table), parameters), ranks, settings)
    found = {"term": list(parameters), "importance": folds.mean(0), "low": folds.min(0), "high": folds.max(0)}
    rows = pd.DataFrame(found).sort_values("importance", ascending=False, kind="stable", ignore_index=True)
    means = pd.DataFrame({"rank": ranks, "predicted": predicted}).groupby(settings).mean()
    p_value = stats.kendalltau(means["rank"], means["predicted"], alternative="greater").pvalue
    return Importances(rows, 1 - float(((ranks - predicted) ** 2).mean() / ranks.var()), float(p_value))


def _features(included: pd.DataFrame, parameters: Sequence[str]) -> list[np.ndarray]:
    """Of each parameter an array [runs, columns]: numbers in one column, anything else in a column for each level."""
    return [_columns(included[name]) for name in parameters]


def _columns(values: pd.Series) -> np.ndarray:
    if all(type(value) in (int, float) for value in values):
        return values.to_numpy("float64")[:, None]
    return pd.get_dummies(values.map(label), dtype="float64").to_numpy()


def _held_out(features: Sequence[np.ndarray], targets: np.ndarray, groups: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Importances [folds, parameters] relative to the targets' variance, and the predictions for each when held out."""
    from sklearn.ensemble import RandomForestRegressor  # takes a second to import
    from sklearn.model_selection import GroupKFold

    every, rng = np.hstack(features), np.random.default_rng(0)
    found, predicted = [], np.empty(len(targets))
    for train, test in GroupKFold(FOLDS, shuffle=True, random_state=0).split(every, targets, groups):
        model = RandomForestRegressor(TREES, min_samples_leaf=2, random_state=0).fit(every[train], targets[train])
        predicted[test] = model.predict(every[test])
        shuffled = [_shuffled(features, place, test, rng) for place in range(len(features)) for _ in range(REPEATS)]
        squares = ((model.predict(np.vstack(shuffled)).reshape(-1, len(test)) - targets[test]) ** 2).mean(axis=1)
        added = squares.reshape(-1, REPEATS).mean(axis=1) - ((predicted[test] - targets[test]) ** 2).mean()
        found.append(added)
    return np.array(found) / float(targets.var()), predicted


def _shuffled(features: Sequence[np.ndarray], place: int, test: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The held-out runs, with the values of one parameter in another order."""
    order = rng.permutation(test)
    return np.hstack([each[order if place == number else test] for number, each in enumerate(features)])
