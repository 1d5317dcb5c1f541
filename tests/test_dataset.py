import numpy as np
import pytest

from fashion_sweep.data.dataset import Dataset, checked
from fashion_sweep.errors import DataError


class TestFingerprint:
    def test_depends_only_on_the_content(self) -> None:
        made = Dataset(np.arange(8, dtype=np.uint8).reshape(2, 2, 2), np.array([0, 1]), ("a", "b"))
        again = Dataset(np.arange(8, dtype=np.uint8).reshape(2, 2, 2), np.array([0, 1]), ("a", "b"))
        assert made.fingerprint == again.fingerprint
        assert made.fingerprint == "f80a4bd678aa65651293033dc32e04e3c67223e5915d4c083bd1eef54a5bf59c"

    def test_changes_with_every_difference(self) -> None:
        images, labels = np.arange(8, dtype=np.uint8), np.array([0, 1])
        other_pixel = images.copy()
        other_pixel[7] = 99
        different = [
            Dataset(images.reshape(2, 2, 2), labels, ("a", "b")),
            Dataset(images.reshape(2, 4), labels, ("a", "b")),
            Dataset(images.reshape(2, 2, 2).view(np.int8), labels, ("a", "b")),
            Dataset(other_pixel.reshape(2, 2, 2), labels, ("a", "b")),
            Dataset(images.reshape(2, 2, 2), np.array([1, 0]), ("a", "b")),
            Dataset(images.reshape(2, 2, 2), labels, ("a", "c")),
        ]
        assert len({dataset.fingerprint for dataset in different}) == len(different)


class TestChecked:
    def test_lists_are_accepted(self) -> None:
        made = checked([[1, 2], [3, 4]], [1, 0], ["no", "yes"], source="here")
        assert (made.images.tolist(), made.labels.tolist(), made.class_names) == (
            [[1, 2], [3, 4]],
            [1, 0],
            ("no", "yes"),
        )

    def test_ragged_lists_are_rejected(self) -> None:
        with pytest.raises(DataError, match=r"^here: array 'images' is not an array: setting an array element"):
            checked([[1, 2], [3]], [1, 0], None, source="here")

    def test_the_callers_array_stays_writable_and_is_not_copied(self) -> None:
        images = np.zeros((2, 3))
        made = checked(images, [0, 1], None, source="here")
        assert np.shares_memory(made.images, images)
        images[0, 0] = 1
        with pytest.raises(ValueError, match="read-only"):
            made.images[0, 0] = 2

    def test_any_layout_becomes_c_contiguous(self) -> None:
        made = checked(np.arange(12).reshape(3, 4).T, [0, 0, 1, 1], None, source="here")
        assert made.images.flags.c_contiguous
        assert made.images[0].tolist() == [0, 4, 8]
