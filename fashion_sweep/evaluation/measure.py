"""Loss, accuracy and predictions of a run's saved model on images."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fashion_sweep.analysis.escaping import escape_formula
from fashion_sweep.data import fashion_mnist, loading, npz_file, split
from fashion_sweep.data.dataset import Dataset, checked, one_line
from fashion_sweep.data.npz_file import memory_bytes
from fashion_sweep.errors import DataError, FolderError, UnreadableError
from fashion_sweep.evaluation.saved_model import TrainedRun, load
from fashion_sweep.storage.archive import read_arrays

FASHION_MNIST = "fashion_sweep.fashion_mnist.load"
NPZ = "fashion_sweep.data.npz"
"""The sources that have test images."""

IMAGES = ("images", "x_test", "x", "x_train")
"""Names under which an .npz file may hold images to classify, in the order in which they are tried."""

BATCH = 256
EPSILON = 1e-7
"""Keras' own: the least probability that a cross-entropy takes the logarithm of."""
LOSS_TOLERANCE = 1e-4
"""Relative difference of losses that rounding can cause: a sum over images depends on how it is split."""


@dataclass(frozen=True)
class Images:
    """Images whose classes are known. x: [N, ...] as the dataset has them; y: [N] class numbers."""

    x: np.ndarray
    y: np.ndarray
    name: str  # validation or test
    note: str = ""  # a caveat about the results, for the reader


@dataclass(frozen=True)
class Evaluation:
    """A model's results on images. truth, predicted: class numbers [N]."""

    file: Path
    images: str  # validation or test
    loss: float  # as in Keras' model.evaluate: mean over images of -log(probability of the true class)
    truth: np.ndarray
    predicted: np.ndarray
    losses: np.ndarray  # of each image [N], whose mean is the loss

    @property
    def correct(self) -> int:
        """Number of correctly classified images."""
        return int((self.truth == self.predicted).sum())

    @property
    def accuracy(self) -> float:
        """Share of correctly classified images, by argmax over ``predict``."""
        return self.correct / len(self.truth)


def validation_images(run: TrainedRun) -> Images:
    """The images that the run was validated on; the note says so if the dataset has changed since."""
    dataset, split = loading.load_split(run.record.config["data"])
    return Images(split.x_val, split.y_val, "validation", _changed(run, dataset))


def _changed(run: TrainedRun, dataset: Dataset) -> str:
    """A caveat where the dataset is another one than at training."""
    is_same = dataset.fingerprint == run.record.data.get("fingerprint")
    return "" if is_same else "the dataset is no longer the one that the run was trained on"


def test_images(run: TrainedRun) -> Images:
    """The 10,000 test images of Fashion-MNIST, or x_test and y_test of the run's .npz file.

    Raises DataError where there are none, or where they are not like the images that the run was trained on.
    """
    node = run.record.config["data"]
    if node["_target_"] == FASHION_MNIST:
        test = fashion_mnist.load_test(node.get("dir"))
        return Images(test.images, test.labels, "test")
    if node["_target_"] == NPZ:
        train = loading.load(node)
        test = npz_file.load_test(str(node["path"]), train)
        return Images(test.images, test.labels, "test", _changed(run, train))
    name = run.record.choices.get("data", node["_target_"])
    raise DataError(
        f"{run.folder.path}: trained with data={name}, but only data=fashion_mnist and data=npz have test images"
    )


def evaluate(run: TrainedRun, file: Path, images: Images) -> Evaluation:
    """Measure the model in a file of the run. Raises what ``saved_model.load`` raises, and FolderError where the
    model's own code fails.
    """
    model = load(run, file)
    rows = probabilities(run, file, model, images.x)
    loss = _loss(file, model, images)
    return Evaluation(file, images.name, loss, images.y, rows.argmax(axis=1), _losses(rows, images.y, loss))


def _losses(rows: np.ndarray, truth: np.ndarray, loss: float) -> np.ndarray:
    """The loss of each image [N]: its cross-entropy as Keras computes it, and the same share of whatever else the loss
    has, such as a penalty of weights.
    """
    likely = np.clip(rows.astype(np.float64), EPSILON, 1 - EPSILON)
    found = -np.log(likely[np.arange(len(truth)), truth] / likely.sum(axis=1))
    shifted: np.ndarray = found + (loss - found.mean())
    return shifted


def _loss(file: Path, model: Any, images: Images) -> float:
    """What the model, compiled as for training, reports as its loss: a class of the user's own may have a say in it."""
    import keras

    from fashion_sweep.training.model_setup import LOSS

    try:
        model.compile(optimizer=keras.optimizers.SGD(), loss=LOSS, metrics=["accuracy"])
        model.run_eagerly = True
        found = model.evaluate(split.scale(images.x), images.y, batch_size=BATCH, verbose=0, return_dict=True)
    except Exception as error:
        raise FolderError(f"{file}: its model cannot be measured: {type(error).__name__}: {one_line(error)}") from error
    if "loss" not in found:
        raise FolderError(f"{file}: its model reports {', '.join(found)} and no loss; --predict gives its classes")
    return float(found["loss"])


def probabilities(run: TrainedRun, file: Path, model: Any, images: np.ndarray) -> np.ndarray:
    """Class probabilities [N, classes]. Raises FolderError if the model does not fit the run's images or classes."""
    model.run_eagerly = True  # tracing a graph takes longer than it saves, and warns if done often
    try:
        rows = np.asarray(model.predict(split.scale(images), batch_size=BATCH, verbose=0))
    except ValueError as error:
        raise FolderError(
            f"{file}: not this run's model: it does not accept images of shape {images.shape[1:]}"
        ) from error
    except Exception as error:
        raise FolderError(
            f"{file}: its model fails on the images: {type(error).__name__}: {one_line(error)}"
        ) from error
    if rows.shape != (len(images), len(run.class_names)):
        raise FolderError(f"{file}: not this run's model: it returns shape {rows.shape} for {len(images)} images")
    return rows


def recorded_epoch(run: TrainedRun, found: Evaluation) -> int | None:
    """The epoch of history.csv with this loss and accuracy on the validation images; None if there is none.

    Accuracies must be equal as float32, in which Keras computes them.
    """
    for row in run.folder.read_history() if found.images == "validation" else []:
        same = np.float32(row["val_accuracy"]) == np.float32(found.accuracy)
        if same and math.isclose(row["val_loss"], found.loss, rel_tol=LOSS_TOLERANCE, abs_tol=1e-7):
            return int(row["epoch"])
    return None


def read_images(file: Path, shape: Sequence[int]) -> np.ndarray:
    """The images [N, *shape] of an .npz file, the first of IMAGES that it has. Raises DataError."""
    try:
        [(name, images)] = read_arrays(file, lambda available: [_images(file, available)], memory_bytes()).items()
    except FileNotFoundError as error:
        raise DataError(f"{file}: no such file") from error
    except (UnreadableError, ValueError) as error:
        raise DataError(f"{file}: cannot be read as an .npz file of plain arrays ({one_line(error)[:160]})") from error
    if images.shape[1:] != tuple(shape) or not len(images):
        wanted = f"[images, {', '.join(map(str, shape))}]"
        raise DataError(f"{file}: array '{name}' has shape {images.shape}; this run's model takes {wanted}")
    return checked(images, np.zeros(len(images), int), None, source=str(file), names=(name, "labels")).images


def _images(file: Path, available: Sequence[str]) -> str:
    """The first of IMAGES that a file has. Raises DataError if it has none."""
    for name in IMAGES:
        if name in available:
            return name
    raise DataError(f"{file}: has the arrays {', '.join(available) or '(none)'}; expected one of {', '.join(IMAGES)}")


def predictions_csv(rows: np.ndarray, class_names: Sequence[str]) -> str:
    """CSV, one line per image: its index, predicted class, that class' probability, and those of all classes."""
    names = [escape_formula(name) for name in class_names]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["image", "class", "probability", *names])
    for number, row in enumerate(rows):
        best = int(row.argmax())
        writer.writerow([number, names[best], *(f"{value:.6g}" for value in (row[best], *row))])
    return text.getvalue()
