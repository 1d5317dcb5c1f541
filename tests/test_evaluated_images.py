"""What a saved model is measured on besides its validation images, and how its answers are shown."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from omegaconf import DictConfig
from test_evaluation import script

from fashion_sweep.errors import DataError
from fashion_sweep.evaluation import measure, saved_model
from fashion_sweep.evaluation.saved_model import TrainedRun
from fashion_sweep.planning import run_spec
from fashion_sweep.storage.record import Status
from fashion_sweep.training.train import RunSpec, train

SCRIPT = Path(__file__).parents[1] / "scripts" / "evaluate.py"


def test_class_names_cannot_become_formulas() -> None:
    assert measure.predictions_csv(np.array([[0.75, 0.25]]), ["=1+1", "b,c"]) == (
        "image,class,probability,'=1+1,\"b,c\"\n0,'=1+1,0.75,0.75,0.25\n"
    )


def test_images_that_cannot_be_classified(tmp_path: Path) -> None:
    def read_error(**arrays: object) -> str:
        np.savez(tmp_path / "x.npz", **arrays)  # type: ignore[arg-type]
        with pytest.raises(DataError) as raised:
            measure.read_images(tmp_path / "x.npz", (8, 8))
        return str(raised.value).replace(str(tmp_path), "")

    assert read_error(labels=[1]) == "/x.npz: has the arrays labels; expected one of images, x_test, x, x_train"
    assert read_error(images=np.zeros((2, 9, 9))) == (
        "/x.npz: array 'images' has shape (2, 9, 9); this run's model takes [images, 8, 8]"
    )
    assert read_error(images=np.full((1, 8, 8), np.nan)).endswith("NaN or infinite; expected finite numbers")
    assert "plain arrays" in read_error(images=np.array([{}], object))
    (tmp_path / "x.npz").write_bytes(b"PK\x03\x04 and no more")
    with pytest.raises(DataError, match=r"x\.npz: cannot be read as an \.npz file of plain arrays"):
        measure.read_images(tmp_path / "x.npz", (8, 8))
    with pytest.raises(DataError, match=r"y\.npz: no such file"):
        measure.read_images(tmp_path / "y.npz", (8, 8))


@pytest.fixture
def mine(composed: Callable[..., DictConfig], tmp_path: Path) -> TrainedRun:
    """A run on an .npz file that also has 7 test images."""
    chance = np.random.default_rng(0)
    x, y = chance.integers(0, 256, (64, 8, 8)).astype("uint8"), np.arange(64) % 5
    np.savez(tmp_path / "mine.npz", x_train=x, y_train=y, x_test=x[:7], y_test=y[:7])
    lines = ["trainer=fit", "data=npz", f"data.path={tmp_path / 'mine.npz'}", "epochs=1"]
    config = composed(*lines)
    resolved = run_spec.resolved(config)
    choices = run_spec.group_choices(config.hydra)
    [record] = train([RunSpec(tmp_path / "run", resolved, choices, lines, run_spec.identity_of(resolved))])
    assert record.status is Status.COMPLETED, record.reason
    return saved_model.open_run(tmp_path / "run")


def test_an_npz_file_may_have_test_images(mine: TrainedRun, tmp_path: Path) -> None:
    import keras

    found = measure.evaluate(mine, mine.folder.last_model, measure.test_images(mine))
    with np.load(tmp_path / "mine.npz") as arrays:
        x, y = arrays["x_test"].astype("float32") / 255, arrays["y_test"]
    predicted = keras.saving.load_model(mine.folder.last_model).predict(x, verbose=0).argmax(axis=1)
    assert (found.images, found.predicted.tolist()) == ("test", predicted.tolist())
    assert found.correct == (predicted == y).sum()
    done = script(tmp_path, "run", "--test")
    assert (done.returncode, done.stderr) == (0, "")
    assert "images    7 test images" in done.stdout


def test_test_images_are_like_those_of_training(mine: TrainedRun, tmp_path: Path) -> None:
    with np.load(tmp_path / "mine.npz") as arrays:
        whole = dict(arrays)

    def error(**changes: np.ndarray | None) -> str:
        arrays = {name: array for name, array in (whole | changes).items() if array is not None}
        np.savez(tmp_path / "mine.npz", **arrays)
        with pytest.raises(DataError) as raised:
            measure.test_images(mine)
        assert "\n" not in str(raised.value)
        return str(raised.value).replace(str(tmp_path), "")

    assert error(y_test=None) == (
        "/mine.npz: has no test images: expected x_test and y_test, found x_train, y_train, x_test"
    )
    assert error(y_test=np.full(7, 5)) == (
        "/mine.npz: array 'y_test' has labels 5..5; expected 0..4, as there are 5 class names"
    )
    assert error(y_test=np.zeros(6)).endswith("expected (7,), one label for each image in 'x_test'")
    assert error(x_test=np.zeros((7, 9, 9), "uint8")) == (
        "/mine.npz: array 'x_test' has shape (7, 9, 9); expected [images, 8, 8], as in training"
    )
    assert error(x_test=np.zeros((7, 8, 8))) == (
        "/mine.npz: array 'x_test' has float64 values; expected uint8, as in training"
    )
    np.savez(tmp_path / "mine.npz", **whole | {"y_train": np.zeros(64, int), "y_test": np.zeros(7, int)})
    assert measure.test_images(mine).note == "the dataset is no longer the one that the run was trained on"


def test_confusion_counts_true_by_predicted() -> None:
    from fashion_sweep.evaluation import confusion

    found = measure.Evaluation(Path("x"), "test", 0.5, np.array([0, 0, 1, 2]), np.array([0, 1, 1, 0]), np.full(4, 0.5))
    assert confusion.matrix(found, 3).tolist() == [[1, 1, 0], [0, 1, 0], [1, 0, 0]]
    drawn = confusion.figure(found, ["a", "b", "c"])
    texts = [text.get_text() for text in drawn.axes[0].texts]
    assert texts == ["1", "1", "", "", "1", "", "1", "", ""]
    assert drawn.axes[0].get_title() == "4 test images, 2 correct (0.5000)"
