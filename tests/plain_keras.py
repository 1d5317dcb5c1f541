"""Runs compared with a plain Keras loop."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from fashion_sweep.config.run_spec import RunSpec
from fashion_sweep.storage.run_dir import RunDir
from fashion_sweep.training.job import Job
from fashion_sweep.training.plain_keras import PlainKeras, Trained


def plain_keras(spec: RunSpec) -> Trained:
    """History and final weights of a run in a plain loop."""
    return PlainKeras(Job(spec)).trained()


def assert_close(spec: RunSpec, expected: Trained, tolerance: float) -> None:
    """Compare a trained run with a plain loop. tolerance: largest relative difference of losses."""
    history, weights = expected
    got = RunDir(spec.folder).read_history()
    assert len(got) == len(history)
    for row, reference in zip(got, history, strict=True):
        for key in ("loss", "val_loss"):
            assert row[key] == pytest.approx(reference[key], rel=tolerance), key
        for key in ("accuracy", "val_accuracy"):
            assert row[key] == pytest.approx(reference[key], abs=1.5 / 64), key  # one image on the edge at most
    saved = keras.models.load_model(RunDir(spec.folder).last_model, safe_mode=True)
    for one, two in zip(saved.get_weights(), weights, strict=True):
        np.testing.assert_allclose(one, two, rtol=50 * tolerance, atol=5 * tolerance)
