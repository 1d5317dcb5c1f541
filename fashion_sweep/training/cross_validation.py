"""The trainer ``cross_validation``: scikit-learn's classifiers as baselines for the networks.

``model`` names any scikit-learn classifier that predicts class probabilities. There are no epochs: a run's record has
the means over the folds, folds.csv the scores of each fold. TensorFlow is never imported, so that a run without a
network does not wait for it, and scikit-learn only when a classifier is made.
"""

from __future__ import annotations

import json
import logging
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from hydra.utils import get_method

from fashion_sweep.config import targets
from fashion_sweep.data.dataset import Dataset, one_line
from fashion_sweep.errors import ConfigError, DataError
from fashion_sweep.storage import provenance
from fashion_sweep.storage.atomic import write_text
from fashion_sweep.storage.record import METRICS, Status
from fashion_sweep.training.job import Job, running
from fashion_sweep.training.trainer_base import Trainer

log = logging.getLogger(__name__)

MIN_FOLDS = 2

SCORES = {"loss": "train_neg_log_loss", "accuracy": "train_accuracy",
          "val_loss": "test_neg_log_loss", "val_accuracy": "test_accuracy"}  # fmt: skip
"""METRICS, and what scikit-learn's cross_validate calls them; the validation side is the fold that is held out."""


class CrossValidation(Trainer):
    """Cross-validates scikit-learn classifiers, one run after another."""

    unused_keys = ("optimizer", "schedule", "callbacks", "epochs", "batch_size", "seed", "save")
    """A classifier's own ``random_state`` is its seed."""

    def __init__(self, *, folds: int) -> None:
        """folds: parts of the data, each held out once. Raises ConfigError for fewer than two."""
        if not (isinstance(folds, int) and folds >= MIN_FOLDS):
            raise ConfigError(f"trainer.folds is {folds}, expected at least {MIN_FOLDS}")
        self._folds = folds

    @property
    def environment(self) -> Mapping[str, str]:
        """Nothing: any process will do."""
        return {}

    def check(self, config: Mapping[str, Any], dataset: Dataset) -> None:
        """Raise ConfigError for a model that cannot be cross-validated, DataError for too few images of a class."""
        _tried(config, dataset)
        limit = config["data"]["limit"]
        counts = np.bincount(dataset.labels[:limit])
        fewest = int(counts[counts > 0].min())
        if fewest < self._folds:
            raise DataError(
                f"a class has {fewest} image{'s' * (fewest > 1)}, too few for trainer.folds={self._folds}, "
                f"with data.limit={'null' if limit is None else limit}"
            )
        if np.count_nonzero(counts) == 1:
            raise DataError("all images are of one class, so there is nothing to learn")

    def cost(self, config: Mapping[str, Any]) -> float:
        """Five folds of one pass of SGDClassifier take as long as 60 epochs of a small network."""
        return 500.0 * (config["model"].get("max_iter") or 100)

    def summary(self, config: Mapping[str, Any], dataset: Dataset) -> str:
        """The classifier with its arguments, its number of weights, and the number of folds."""
        tried = _tried(config, dataset)
        return _text(tried, self._folds, _parameters(tried))

    def warm_up(self) -> None:
        """Import what scikit-learn's cross_validate needs."""
        from sklearn import model_selection  # noqa: F401 - imported for its dependencies

    def train(self, jobs: Sequence[Job]) -> None:
        """Cross-validate the runs."""
        for job in jobs:
            with running([job]):
                _run(job, self._folds)


def _tried(config: Mapping[str, Any], dataset: Dataset) -> Any:
    """The classifier, fitted to a few made-up images: scikit-learn looks at its arguments only then."""
    node = json.dumps(config["model"], sort_keys=True)
    return _fitted_briefly(node, int(np.prod(dataset.images.shape[1:])), len(dataset.class_names))


@lru_cache
def _fitted_briefly(node: str, pixels: int, classes: int) -> Any:
    classifier = build(json.loads(node))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return classifier.fit(np.eye(2 * classes, pixels), np.arange(2 * classes) % classes)
    except Exception as error:
        raise ConfigError(f"model {type(classifier).__name__} cannot be trained: {one_line(error)}") from error


def build(node: Mapping[str, Any]) -> Any:
    """The scikit-learn classifier that a resolved ``model`` node names. Raises ConfigError for anything else."""
    target = str(node["_target_"])
    try:
        kind = get_method(target)
        if not hasattr(kind, "fit"):
            raise ConfigError(
                f"trainer=cross_validation trains scikit-learn classifiers, such as model=logistic; "
                f"{target} is none: choose another trainer"
            )
        classifier = targets.call(node)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"model {target} cannot be made: {one_line(error)}") from error
    if not hasattr(classifier, "predict_proba"):
        raise ConfigError(f"model {target} gives no class probabilities with these values (it has no predict_proba)")
    return classifier


def _run(job: Job, folds: int) -> None:
    node = job.config["data"]
    dataset, limit = job.dataset(), node["limit"]
    labels = dataset.labels[:limit]
    held_out = len(labels) // folds
    job.recorder.describe_data(dataset, len(labels) - held_out, held_out, labels)  # each is held out once
    classifier = build(job.config["model"])
    found = _validated(classifier, _pixels(dataset.images[:limit]), labels, folds)
    parameters = _parameters(found["estimator"][0])
    job.recorder.describe_model(_text(classifier, folds, parameters), parameters, provenance.cpu())
    rows = [{name: _sign(name) * float(found[key][fold]) for name, key in SCORES.items()} for fold in range(folds)]
    write_text(job.run.folds, _csv(rows, found["fit_time"] + found["score_time"]))
    job.recorder.measure({name: float(np.mean([row[name] for row in rows])) for name in METRICS})
    job.recorder.finish(Status.COMPLETED)


def _sign(metric: str) -> int:
    """Minus one for losses, which scikit-learn negates so that more is better."""
    return -1 if metric.endswith("loss") else 1


def _pixels(images: np.ndarray) -> np.ndarray:
    """[N, ...] to float64 [N, pixels], integers divided by 255: in float32 SGDClassifier takes other steps."""
    scale = 255.0 if np.issubdtype(images.dtype, np.integer) else 1.0
    return images.reshape(len(images), -1) / scale


def _validated(classifier: Any, pixels: np.ndarray, labels: np.ndarray, folds: int) -> dict[str, Any]:
    """scikit-learn's cross_validate, folds in parallel. Threads share the images, and end with the process.

    Each warning, such as one of a fit that has not converged, is logged once.
    """
    from joblib import parallel_config  # type: ignore[import-untyped]
    from sklearn.model_selection import cross_validate

    with warnings.catch_warnings(record=True) as caught, parallel_config("threading", n_jobs=-1):
        warnings.simplefilter("always")
        found: dict[str, Any] = cross_validate(
            classifier, pixels, labels, cv=folds, scoring=("accuracy", "neg_log_loss"),
            return_train_score=True, return_estimator=True, error_score="raise",
        )  # fmt: skip
    for (kind, text), times in Counter((w.category.__name__, " ".join(str(w.message).split())) for w in caught).items():
        log.warning("%s, %d times: %s", kind, times, text)
    return found


def _parameters(fitted: Any) -> int | None:
    """Number of weights of a linear classifier; None for others."""
    weights, biases = getattr(fitted, "coef_", None), getattr(fitted, "intercept_", None)
    return None if weights is None or biases is None else int(np.size(weights) + np.size(biases))


def _text(classifier: Any, folds: int, parameters: int | None) -> str:
    weights = f"{parameters:,} parameters, " if parameters is not None else ""
    return f"{classifier!r}\n{weights}{folds}-fold cross-validation"


def _csv(rows: Sequence[Mapping[str, float]], seconds: Sequence[float]) -> str:
    lines = [",".join(["fold", *METRICS, "seconds"])]
    for fold, (row, spent) in enumerate(zip(rows, seconds, strict=True), 1):
        lines.append(",".join([str(fold), *(repr(row[name]) for name in METRICS), f"{spent:.3f}"]))
    return "\n".join(lines) + "\n"
