"""Finds and loads a run's saved models.

Models are loaded in Keras' safe mode, which runs no code from a file, and nothing is unpickled. Weights are loaded into
a model that the function named in the run's config builds, as in training.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from fashion_sweep.config import recorded
from fashion_sweep.config.redaction import Redaction
from fashion_sweep.data.dataset import one_line
from fashion_sweep.errors import FolderError
from fashion_sweep.models import build
from fashion_sweep.storage.looks import sha256_of
from fashion_sweep.storage.plain_text import clean
from fashion_sweep.storage.record import RunRecord, fits
from fashion_sweep.storage.run_dir import RunDir
from fashion_sweep.storage.sweep_dir import SweepDir

CROSS_VALIDATION = "cross_validation"
"""The trainer of scikit-learn's classifiers, which scores them and saves none."""

KERAS_MONITOR = "val_loss"
"""What Keras' ModelCheckpoint compares where a config does not say."""

WEIGHTS = ".weights.h5"
"""The suffix of files that hold weights without an architecture."""


@dataclass(frozen=True)
class TrainedRun:
    """A run's folder and its record."""

    folder: RunDir
    record: RunRecord
    hidden: Redaction = field(default_factory=Redaction)  # values of the config that must not be written

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one image. Raises FolderError for a run that ended before its data was loaded."""
        return tuple(self._of_data("input_shape", list[int]))

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of the classes in the order of their numbers. Raises as input_shape does."""
        return tuple(map(clean, self._of_data("class_names", list[str])))

    def best_files(self, metric: str | None = None) -> list[Path]:
        """The files that the run's callbacks were configured to save the best model to, whether or not they exist.

        metric: only of the epoch where this one is best.
        """
        callbacks = self.record.config.get("callbacks")
        nodes = [node for node in callbacks.values() if _saves_best(node)] if isinstance(callbacks, Mapping) else []
        wanted = [node for node in nodes if metric in (None, node.get("monitor", KERAS_MONITOR))]
        return [self.folder.path / node["filepath"] for node in wanted]

    def last_files(self) -> list[Path]:
        """The files that ``save`` may leave of the last model, whole models first."""
        return [self.folder.last_model, self.folder.last_h5, self.folder.last_weights]

    def _of_data(self, key: str, kind: Any) -> list[Any]:
        if key not in self.record.data:
            raise FolderError(f"{self.folder.record}: has no data.{key}; the run ended before its data was loaded")
        values: list[Any] = self.record.data[key]
        if not fits(values, kind):
            raise FolderError(f"{self.folder.record}: data.{key} is {values!r:.60}, expected {kind}")
        return values


@dataclass(frozen=True)
class Model:
    """A run, and a file in its folder that holds a model."""

    run: TrainedRun
    file: Path

    @property
    def name(self) -> str:
        """Of the file, from the run's folder."""
        return os.path.relpath(self.file, self.run.folder.path)

    @cached_property
    def sha256(self) -> str:
        """Of the file when it was first asked for."""
        return sha256_of(self.file)


def open_run(path: Path) -> TrainedRun:
    """The run in a folder. Raises FolderError if there is none; for a sweep, the error names the best run."""
    if not path.is_dir():
        inside = f"; give the run's folder: {path.parent}" if path.is_file() else ""
        raise FolderError(f"{path}: no such folder{inside}")
    record = RunDir(path).read_record()
    if record is None:
        raise FolderError(f"{path}: {_explain_missing_record(path)}")
    found = recorded.read(RunDir(path), record)  # with values of environment variables, which run.json lacks
    return TrainedRun(RunDir(path), replace(record, config=found.values), found.hidden)


def choose(run: TrainedRun, *, last: bool = False, name: str | None = None) -> Path:
    """The file of the best model, or else of the last; with ``last`` only of the last; or the file of this name.

    Raises FolderError if the run has no such file.
    """
    if name is not None:
        wanted = [run.folder.path / name]
    else:
        wanted = run.last_files() if last else [*run.best_files(), *run.last_files()]
    found = next((path for path in wanted if _is_file_in(run.folder.path, path)), None)
    if found is None:
        raise FolderError(f"{run.folder.path}: {_explain_missing_model(run, wanted)}")
    return found


def choose_best(run: TrainedRun) -> Path:
    """The file of the model that the run's objective calls the best. Raises FolderError if the run has no such file."""
    wanted = run.best_files(run.record.objective)
    if run.record.choices.get("trainer") == CROSS_VALIDATION:
        raise FolderError(f"{run.folder.path}: {_explain_missing_model(run, wanted)}")
    if not wanted:
        raise FolderError(
            f"{run.folder.path}: the model of its best {run.record.objective} was not saved;\n"
            "train the sweep with callbacks=checkpoint to measure it"
        )
    found = next((path for path in wanted if _is_file_in(run.folder.path, path)), None)
    if found is None:
        names = ", ".join(path.name for path in wanted)
        raise FolderError(f"{run.folder.path}: callbacks=checkpoint saved its best model as {names}, which is gone")
    return found


def load(run: TrainedRun, file: Path) -> Any:
    """The keras.Model in a file of the run, not compiled.

    Raises FolderError for a damaged file and for weights that do not fit the model of the run's config, and ConfigError
    if that model can no longer be built.
    """
    if file.name.endswith(WEIGHTS):
        return _with_weights(run, file)
    if file.suffix == ".keras" and not _is_whole(file):
        raise FolderError(f"{file}: damaged: not a whole .keras file (a zip archive)")
    import keras

    with suppress(Exception):  # importing the user's module registers its layers; Keras names missing ones
        from hydra.utils import get_method

        get_method(run.record.config["model"]["_target_"])
    try:
        return keras.saving.load_model(file, compile=False, safe_mode=True)
    except Exception as error:  # keras, zipfile, h5py and json raise many kinds of errors for a damaged file
        raise FolderError(f"{file}: cannot be loaded as a Keras model ({_first_sentence(error)})") from error


def _is_whole(file: Path) -> bool:
    """Whether it is a zip archive that unpacks to no more than it holds: Keras compresses nothing."""
    try:
        with zipfile.ZipFile(file) as archive:
            return sum(member.file_size for member in archive.infolist()) <= file.stat().st_size
    except Exception:  # zipfile raises many kinds for a damaged file
        return False


def _with_weights(run: TrainedRun, file: Path) -> Any:
    model = build.build_model(run.record.config["model"], run.input_shape, len(run.class_names))
    try:
        model.load_weights(file)
    except OSError as error:
        raise FolderError(f"{file}: cannot be read as a file of weights ({_first_sentence(error)})") from error
    except Exception as error:
        what = f"its weights do not fit the model of {run.folder.record.name}'s config"
        raise FolderError(f"{file}: {what} ({_first_sentence(error)})") from error
    return model


def _saves_best(node: Any) -> bool:
    return isinstance(node, Mapping) and isinstance(node.get("filepath"), str) and bool(node.get("save_best_only"))


def _is_file_in(folder: Path, path: Path) -> bool:
    """Whether there is this file in a run's folder. Raises FolderError for one elsewhere, which links may lead to."""
    try:
        is_inside = path.resolve().is_relative_to(folder.resolve())
        if is_inside:
            return path.is_file()
    except (OSError, ValueError, RuntimeError):  # a name that no file can have, or links in a circle
        return False
    raise FolderError(
        f"{path}: not in the run's folder {folder}, so it is not loaded.\n"
        f"Give --last for the last model, or --file NAME for another file of the folder"
    )


def _explain_missing_record(path: Path) -> str:
    """What a folder without a run.json contains instead."""
    if not (SweepDir(path).plan.exists() or any(path.glob("*/run.json"))):
        return "no run.json in it; expected the folder of a run"
    from fashion_sweep.analysis import summary
    from fashion_sweep.analysis.load import collect

    collected = collect([path])
    best = summary.best_run(summary.summarize(collected.runs, collected.histories, collected.measure))
    advice = (
        f"give --selected, or one of its runs; the best is {path / best}"
        if best
        else "none of its runs has completed yet"
    )
    return f"this is a sweep's folder; {advice}"


def _explain_missing_model(run: TrainedRun, wanted: list[Path]) -> str:
    """Why none of the wanted files exists."""
    record, names = run.record, ", ".join(path.name for path in wanted)
    if record.choices.get("trainer") == CROSS_VALIDATION:
        return f"a run of model={record.choices.get('model')} saves no network; see {run.folder.folds.name}"
    state = record.status.value + (f" ({record.reason})" if record.reason else "")
    return f"no saved model ({names}); the run is {state}, with save={record.config.get('save', 'none')}"


def _first_sentence(error: BaseException) -> str:
    return one_line(error).partition(". ")[0][:160]
