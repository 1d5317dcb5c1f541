"""Measures models on the test images, and records that it happened before anybody sees the figures.

The sweep is owned meanwhile: nothing is trained into it, and no two commands record at once.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import datetime, timezone

import numpy as np

from fashion_sweep.analysis import image_intervals
from fashion_sweep.analysis.image_intervals import ImageResults
from fashion_sweep.data.dataset import Dataset
from fashion_sweep.errors import DataError
from fashion_sweep.evaluation import measure
from fashion_sweep.evaluation.measure import Evaluation, Images
from fashion_sweep.evaluation.saved_model import Model, TrainedRun
from fashion_sweep.evaluation.selected import Selected
from fashion_sweep.storage import looks, provenance
from fashion_sweep.storage.lease import owned
from fashion_sweep.storage.looks import Asked, Estimate, Figures, Look, MeasuredRun
from fashion_sweep.storage.sweep_dir import SweepDir
from fashion_sweep.training.engines import process


@dataclass(frozen=True)
class Validated:
    """The selected models on the validation images of their runs."""

    found: list[Evaluation]
    unrecorded: list[str]  # runs in whose history no epoch has this loss and accuracy
    figures: Figures
    same_images: bool  # whether all runs were validated on the same ones

    @property
    def results(self) -> ImageResults:
        return _results(self.found)


@dataclass(frozen=True)
class Looked:
    """A look, and all looks of its sweep in their order. validated: None where nothing was measured now."""

    look: Look
    looks: list[Look]
    validated: Validated | None


def validate(selected: Selected) -> Validated:
    """Raises DataError where the dataset is no longer the one that the runs were trained on."""
    images = [_validation_images(model.run) for model in selected.models]
    pairs = list(zip(selected.models, images, strict=True))
    found = [measure.evaluate(model.run, model.file, of) for model, of in pairs]
    unrecorded = [
        model.run.folder.path.name
        for model, of in zip(selected.models, found, strict=True)
        if measure.recorded_epoch(model.run, of) is None
    ]
    same = all(_are_same(images[0], other) for other in images[1:])
    return Validated(found, unrecorded, image_intervals.figures(_results(found)) if same else _means(found), same)


def look_at_selected(selected: Selected) -> Looked:
    """Measure the selected models on the test images, unless the same models have been, and record it.

    Raises DataError where there are no test images, or as ``validate`` does; FolderError for a model that cannot be
    measured and where the sweep is in use; UnreadableError where the looks so far cannot be read.
    """
    images = measure.test_images(selected.models[0].run)
    if known := _recorded(selected, images):
        return known
    with owned(selected.sweep.path):
        if known := _recorded(selected, images):  # by a command that has just ended
            return known
        validated = validate(selected)
        look = _look_at_selected(selected, images, validated)
        return Looked(look, looks.add(selected.sweep, look), validated)


def look_at_run(model: Model, images: Images) -> tuple[Evaluation, Figures, list[Look]]:
    """A model on the test images: its results, its figures, and all looks of the sweep that its run is in.

    No looks for a run that is in none. Raises as ``look_at_selected`` does.
    """
    sweep = _sweep_of(model.run)
    with owned(sweep.path) if sweep else nullcontext():
        before = looks.read(sweep) if sweep else []
        found = measure.evaluate(model.run, model.file, images)
        look = _look(looks.ONE_RUN, images, [_row(model, found)], image_intervals.figures(_results([found])))
        is_new = sweep and look.key not in [each.key for each in before]
        return found, look.test, looks.add(sweep, look) if sweep and is_new else before


def _recorded(selected: Selected, images: Images) -> Looked | None:
    """The look that has shown these models on these images before."""
    before = looks.read(selected.sweep)
    wanted = looks.key(looks.SELECTED, _fingerprint(images), [_identified(model) for model in selected.models])
    found = next((look for look in before if look.key == wanted), None)
    return Looked(found, before, None) if found else None


def _look_at_selected(selected: Selected, images: Images, validated: Validated) -> Look:
    found = [measure.evaluate(model.run, model.file, images) for model in selected.models]
    figures = image_intervals.figures(_results(found))
    if validated.same_images:
        difference = image_intervals.difference(_results(found), validated.results)
    else:
        difference = image_intervals.without_interval(figures, validated.figures)
    triples = zip(selected.models, found, validated.found, strict=True)
    return replace(
        _look(looks.SELECTED, images, [_row(*each) for each in triples], figures),
        validation=validated.figures,
        difference=difference,
        setting=selected.setting,
        among=selected.among,
        metric=selected.measure.metric,
        left_out=selected.left_out,
    )


def _look(asked: Asked, images: Images, rows: list[MeasuredRun], figures: Figures) -> Look:
    now = datetime.now(timezone.utc).isoformat(timespec="seconds")
    versions = provenance.versions(process.imported_backend() or "tensorflow")
    return Look(now, asked, len(images.x), _fingerprint(images), rows, figures, versions=versions)


def _row(model: Model, test: Evaluation, validation: Evaluation | None = None) -> MeasuredRun:
    identity, file, digest = _identified(model)
    name, seed = model.run.folder.path.name, model.run.record.seed
    row = MeasuredRun(name, identity, seed, file, digest, test.loss, test.accuracy)
    return replace(row, val_loss=validation.loss, val_accuracy=validation.accuracy) if validation else row


def _identified(model: Model) -> tuple[str, str, str]:
    """What tells a model from others: the identity of its run, the file's name and its SHA-256."""
    return model.run.record.identity, model.name, model.sha256


def _fingerprint(images: Images) -> str:
    return Dataset(images.x, images.y, ()).fingerprint


def _sweep_of(run: TrainedRun) -> SweepDir | None:
    """The sweep that a run is in, wherever links have led to it."""
    sweep = SweepDir(run.folder.path.resolve().parent)
    return sweep if os.path.lexists(sweep.plan) else None


def _validation_images(run: TrainedRun) -> Images:
    images = measure.validation_images(run)
    if images.note:
        raise DataError(f"{run.folder.path}: {images.note}, so its figures cannot be compared with the recorded ones")
    return images


def _are_same(one: Images, other: Images) -> bool:
    return np.array_equal(one.y, other.y) and np.array_equal(one.x, other.x)


def _results(found: Sequence[Evaluation]) -> ImageResults:
    return ImageResults(
        np.stack([each.losses for each in found]), np.stack([each.predicted == each.truth for each in found])
    )


def _means(found: Sequence[Evaluation]) -> Figures:
    """Without intervals: the models were measured on different images."""
    loss, accuracy = (float(np.mean([getattr(each, name) for each in found])) for name in ("loss", "accuracy"))
    return Figures(Estimate(loss), Estimate(accuracy))
