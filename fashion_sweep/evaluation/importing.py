"""With what trained models are loaded: one process has one engine, for good once Keras is imported."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from fashion_sweep.evaluation.saved_model import TrainedRun
from fashion_sweep.training import keras_settings, native_output
from fashion_sweep.training.engines import NAMES, choice, engine_named, name_of, process

if TYPE_CHECKING:
    from fashion_sweep.training.engines.base import Engine


@contextmanager
def first_import(run: TrainedRun) -> Iterator[None]:
    """A block that may be the first to import Keras, to load a model of the run.

    Raises ConfigError where a setting of Keras on this machine would change what a model computes.
    """
    engine = _engine(run)
    keras_settings.check(engine)
    with process.first_import(engine.environment), native_output.importing(None):
        yield


def _engine(run: TrainedRun) -> Engine:
    """The one that this process has, or that KERAS_BACKEND names, or the run's own, or else one of this machine."""
    given = process.imported_backend() or process.exported().get(process.BACKEND)
    name = given if given in NAMES else name_of(run.record.config)
    return engine_named(name if choice.problem(name) is None else choice.best_first()[0])
