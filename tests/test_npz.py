"""data=npz: a user's own files, valid and invalid."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fashion_sweep.data import loading, npz_file
from fashion_sweep.errors import DataError

SPLIT: dict[str, Any] = {"validation_fraction": 0.2, "split_seed": 42, "limit": None}


def save(path: Path, **arrays: Any) -> str:
    np.savez(path, **arrays)
    return str(path)


GOOD = {"images": np.zeros((4, 2, 2), np.uint8), "labels": np.array([0, 1, 2, 1])}


class TestNpz:
    @settings(deadline=None, max_examples=60)
    @given(st.data())
    def test_gives_back_what_was_saved(self, tmp_path_factory: pytest.TempPathFactory, draw: st.DataObject) -> None:
        shape = draw.draw(hnp.array_shapes(min_dims=2, max_dims=4, max_side=4))
        dtype = draw.draw(st.sampled_from(["u1", "<i4", ">i4", "<f4", ">f8", "f2", "?"]))
        finite = None if dtype == "?" else st.integers(0, 255) if "f" not in dtype else st.floats(-9, 9, width=16)
        images = draw.draw(hnp.arrays(dtype, shape, elements=finite))
        kind = draw.draw(st.sampled_from(["u1", ">i8", "f4"]))
        labels = draw.draw(hnp.arrays(kind, shape[0], elements=st.integers(0, 9)))
        path = tmp_path_factory.mktemp("npz") / "any.npz"
        made = npz_file.npz(path=save(path, images=images, labels=labels))
        assert np.array_equal(made.images, images)
        assert np.array_equal(made.labels, labels)
        assert made.images.dtype == images.dtype.newbyteorder("=")
        assert made.images.flags.c_contiguous
        assert len(made.class_names) == labels.max() + 1

    @pytest.mark.parametrize(("x", "y"), [("images", "labels"), ("x_train", "y_train"), ("x", "y")])
    def test_finds_the_usual_names(self, tmp_path: Path, x: str, y: str) -> None:
        path = save(tmp_path / "a.npz", other=np.zeros(3), **{x: GOOD["images"], y: GOOD["labels"]})
        assert npz_file.npz(path=path).labels.tolist() == [0, 1, 2, 1]

    def test_given_names_take_precedence(self, tmp_path: Path) -> None:
        path = save(tmp_path / "a.npz", **GOOD, truth=[3, 3, 3, 0])
        made = npz_file.npz(path=path, labels="truth", class_names=["a", "b", "c", "d", "e"])
        assert made.labels.tolist() == [3, 3, 3, 0]
        assert made.class_names == ("a", "b", "c", "d", "e")

    def test_accepts_columns_and_whole_floats_and_compression(self, tmp_path: Path) -> None:
        np.savez_compressed(tmp_path / "a.npz", images=GOOD["images"], labels=np.array([[0.0], [1.0], [2.0], [1.0]]))
        made = npz_file.npz(path=str(tmp_path / "a.npz"))
        assert made.labels.tolist() == [0, 1, 2, 1]
        assert made.labels.dtype == np.int64

    def test_home_folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HOME", str(tmp_path))
        save(tmp_path / "a.npz", **GOOD)
        assert npz_file.npz(path="~/a.npz").labels.tolist() == [0, 1, 2, 1]

    def test_an_edited_file_is_read_again(self, tmp_path: Path) -> None:
        config = {"_target_": "fashion_sweep.data.npz", "path": save(tmp_path / "a.npz", **GOOD), **SPLIT}
        first = loading.load(config)
        assert loading.load(config) is first
        save(tmp_path / "a.npz", **GOOD | {"labels": [1, 1, 1, 1]})
        os.utime(tmp_path / "a.npz", ns=(0, 0))
        assert loading.load(config).labels.tolist() == [1, 1, 1, 1]

    @pytest.mark.parametrize(
        ("changed", "message"),
        [
            ({"images": np.zeros(4)}, r"'images' has shape \(4,\); expected \[N, H, W\] or \[N, H, W, C\], none"),
            ({"images": np.zeros((0, 2, 2))}, r"'images' has shape \(0, 2, 2\); expected .* none of them 0"),
            ({"images": np.full((4, 2), "x")}, r"'images' has shape \(4, 2\) and dtype <U1; expected numbers"),
            (
                {"images": np.zeros((4, 2), complex)},
                r"'images' has shape \(4, 2\) and dtype complex128; expected numbers",
            ),
            ({"images": np.full((4, 2), np.nan)}, r"'images' has values that are NaN or infinite; expected finite"),
            ({"images": np.full((4, 2), -np.inf)}, r"'images' has values that are NaN or infinite; expected finite"),
            ({"images": np.full((4, 2), 256)}, r"'images' has int64 values 256\.\.256; expected 0\.\.255, or floats"),
            (
                {"labels": np.zeros((4, 2))},
                r"'labels' has shape \(4, 2\); expected \(4,\), one label for each image in",
            ),
            ({"labels": np.zeros(3)}, r"'labels' has shape \(3,\); expected \(4,\), one label for each"),
            ({"labels": np.array(list("abcd"))}, r"'labels' has shape \(4,\) and dtype <U1; expected numbers"),
            ({"labels": np.array([0, 1, 0.5, 1])}, r"'labels' has float64 values that are not whole numbers; expected"),
            ({"labels": np.array([0, 1, np.nan, 1])}, r"'labels' has float64 values that are not whole numbers"),
            ({"labels": np.array([0, 1, np.inf, 1])}, r"'labels' has float64 values that are not whole numbers"),
            (
                {"labels": np.array([0, -1, 2, 1])},
                r"'labels' has labels -1\.\.2; expected 0\.\.99999 \(more need class",
            ),
            (
                {"labels": np.array([0, 1, 2, 2**40])},
                r"'labels' has labels 0\.\.1099511627776; expected 0\.\.99999 \(more",
            ),
        ],
    )
    def test_wrong_arrays(self, tmp_path: Path, changed: dict[str, Any], message: str) -> None:
        path = save(tmp_path / "a.npz", **GOOD | changed)
        with pytest.raises(DataError, match=rf"a\.npz: array {message}") as caught:
            npz_file.npz(path=path)
        assert "\n" not in str(caught.value)

    def test_more_labels_than_class_names(self, tmp_path: Path) -> None:
        path = save(tmp_path / "a.npz", x=GOOD["images"], y=GOOD["labels"])
        message = r"a\.npz: array 'y' has labels 0\.\.2; expected 0\.\.1, as there are 2 class names$"
        with pytest.raises(DataError, match=message):
            npz_file.npz(path=path, class_names=["a", "b"])

    def test_objects_are_not_unpickled(self, tmp_path: Path) -> None:
        path = save(tmp_path / "a.npz", **GOOD | {"labels": np.array([Bomb()], object)})
        with pytest.raises(DataError, match=r"a\.npz: cannot be read as an \.npz file of plain arrays \(Object arrays"):
            npz_file.npz(path=path)

    def test_missing_arrays(self, tmp_path: Path) -> None:
        path = save(tmp_path / "a.npz", images=GOOD["images"], truth=GOOD["labels"])
        message = r"a\.npz: has the arrays images, truth; expected images and labels or x_train and y_train or x and y$"
        with pytest.raises(DataError, match=message):
            npz_file.npz(path=path)
        with pytest.raises(DataError, match=r"a\.npz: has the arrays images, truth; expected images and target$"):
            npz_file.npz(path=path, images="images", labels="target")

    def test_missing_file(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"no\.npz: no such file; data\.path must name an \.npz file of images"):
            npz_file.npz(path=str(tmp_path / "no.npz"))
        with pytest.raises(DataError, match=r"^~nobody-has-this-name/a\.npz: no such file"):
            npz_file.npz(path="~nobody-has-this-name/a.npz")

    def test_files_that_are_not_npz(self, tmp_path: Path) -> None:
        whole = Path(save(tmp_path / "whole.npz", **GOOD)).read_bytes()
        np.save(tmp_path / "array.npy", GOOD["images"])
        pickled = b"\x80\x04."
        contents = {"empty": b"", "text": b"hello", "cut": whole[:-30], "pickle": pickled}
        damaged = bytearray(whole)
        damaged[150] ^= 1  # inside the first array: the archive's own checksum fails
        for name, content in (contents | {"damaged": bytes(damaged)}).items():
            (tmp_path / name).write_bytes(content)
        for name in [*contents, "damaged", "array.npy", "."]:
            with pytest.raises(DataError, match=r"cannot be read as an \.npz file of plain arrays") as caught:
                npz_file.npz(path=str(tmp_path / name))
            assert "\n" not in str(caught.value)


class Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return os._exit, (77,)
