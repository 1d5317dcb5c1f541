import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fashion_sweep.data import loading, synthetic_images
from fashion_sweep.data import split as data_split
from fashion_sweep.data.dataset import Dataset
from fashion_sweep.errors import ConfigError, DataError, UserError

SYNTHETIC: dict[str, Any] = {"samples": 200, "image_size": 8, "classes": 10, "noise": 1.0, "seed": 0}
SPLIT: dict[str, Any] = {"validation_fraction": 0.2, "split_seed": 42, "limit": None}


def node(target: str, **keys: Any) -> dict[str, Any]:
    return {"_target_": target, **keys, **SPLIT}


def dataset_of(count: int) -> Dataset:
    return Dataset(np.arange(count).reshape(count, 1), np.zeros(count, np.int64), ("0",))


class TestImport:
    def test_loading_and_checking_data_imports_neither_tensorflow_nor_scikit_learn(self) -> None:
        code = (
            "import sys, fashion_sweep.data.loading as d, fashion_sweep.data.split as split\n"
            f"data = d.load({node('fashion_sweep.data.synthetic', **SYNTHETIC)!r})\n"
            "split.check_size(data, 0.2, None); data.fingerprint; d.samples(data)\n"
            "print([m for m in ('tensorflow', 'keras', 'sklearn', 'pandas') if m in sys.modules])"
        )
        ran = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
        assert ran.stdout == "[]\n"


class TestScale:
    def test_integers_become_zero_to_one(self) -> None:
        scaled = data_split.scale(np.array([[0, 51, 255]], np.uint8))
        assert scaled.dtype == np.float32
        assert scaled.tolist() == [[0.0, np.float32(51) / np.float32(255), 1.0]]

    def test_floats_keep_their_values(self) -> None:
        scaled = data_split.scale(np.array([[-3.5, 0.25]], np.float64))
        assert scaled.dtype == np.float32
        assert scaled.tolist() == [[-3.5, 0.25]]

    def test_does_not_change_its_argument(self) -> None:
        images = np.array([[255]], np.uint8)
        data_split.scale(images)
        floats = np.array([[2.0]], np.float32)
        data_split.scale(floats)[0] = 7
        assert (images[0, 0], floats[0, 0]) == (255, 2.0)

    @given(hnp.arrays(st.sampled_from([np.uint8, np.int64]), (3, 4), elements=st.integers(0, 255)))
    def test_is_in_zero_to_one_and_can_be_reversed(self, images: np.ndarray) -> None:
        scaled = data_split.scale(images)
        assert ((scaled >= 0) & (scaled <= 1)).all()
        assert (np.rint(scaled * 255) == images).all()


class TestSplit:
    @settings(deadline=None, max_examples=50)
    @given(
        count=st.integers(2, 80),
        limit=st.none() | st.integers(1, 100),
        fraction=st.floats(0.01, 0.99),
        seed=st.integers(0, 2**32 - 1),
    )
    def test_is_a_partition_of_the_first_images(
        self, count: int, limit: int | None, fraction: float, seed: int
    ) -> None:
        dataset = dataset_of(count)
        used = count if limit is None else min(count, limit)
        if int(np.ceil(fraction * used)) >= used:
            with pytest.raises(DataError, match=f"^{used} images are too few"):
                data_split.split(dataset, validation_fraction=fraction, split_seed=seed, limit=limit)
            return
        split = data_split.split(dataset, validation_fraction=fraction, split_seed=seed, limit=limit)
        sides = np.concatenate([split.x_train[:, 0], split.x_val[:, 0]])
        assert sorted(sides) == list(range(used))
        assert len(split.x_val) == int(np.ceil(fraction * used)) == len(split.y_val)

    def test_is_scikit_learns_with_labels_beside_their_images(self) -> None:
        images, labels = np.arange(10, dtype=np.uint8).reshape(10, 1, 1), np.arange(10)
        dataset = Dataset(images, labels, tuple("abcdefghij"))
        split = data_split.split(dataset, **SPLIT)
        assert split.y_train.tolist() == [5, 0, 7, 2, 9, 4, 3, 6]
        assert split.y_val.tolist() == [8, 1]
        assert split.x_train.ravel().tolist() == split.y_train.tolist()
        assert split.x_val.ravel().tolist() == split.y_val.tolist()
        assert split.x_train.dtype == np.uint8
        assert split.y_train.dtype == np.int64
        assert (split.input_shape, split.num_classes) == ((1, 1), 10)

    def test_is_made_once_and_cannot_be_written_to(self) -> None:
        dataset = dataset_of(10)
        split = data_split.split(dataset, **SPLIT)
        assert data_split.split(dataset, **SPLIT) is split
        for array in (split.x_train, split.y_train, split.x_val, split.y_val):
            with pytest.raises(ValueError, match="read-only"):
                array[0] = 1

    def test_too_few_images(self) -> None:
        expected = (
            r"^2 images are too few for a training and a validation set "
            r"with data\.validation_fraction=0\.9 and data\.limit=2$"
        )
        with pytest.raises(DataError, match=expected):
            data_split.split(dataset_of(5), validation_fraction=0.9, split_seed=42, limit=2)

    @pytest.mark.parametrize(
        ("key", "value", "message"),
        [
            ("validation_fraction", 0, r"^data\.validation_fraction=0: must be above 0 and below 1$"),
            ("validation_fraction", 1, r"^data\.validation_fraction=1: must be above 0 and below 1$"),
            ("split_seed", -1, r"^data\.split_seed=-1: must be a whole number from 0 to 4294967295$"),
            ("limit", 0, r"^data\.limit=0: must be at least 1, or null for all images$"),
        ],
    )
    def test_wrong_values(self, key: str, value: int, message: str) -> None:
        with pytest.raises(ConfigError, match=message):
            data_split.split(dataset_of(10), **SPLIT | {key: value})


class TestSynthetic:
    def test_is_the_same_everywhere(self) -> None:
        made = synthetic_images.synthetic(**SYNTHETIC)
        assert made.images.dtype == np.uint8
        assert made.images.shape == (200, 8, 8)
        assert made.images[0, 0].tolist() == [156, 52, 135, 255, 168, 109, 83, 255]
        assert made.labels[:12].tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]
        assert made.class_names == ("0", "1", "2", "3", "4", "5", "6", "7", "8", "9")
        assert synthetic_images.synthetic(**SYNTHETIC).fingerprint == made.fingerprint
        assert synthetic_images.synthetic(**SYNTHETIC | {"seed": 1}).fingerprint != made.fingerprint

    def test_can_be_learned_and_noise_makes_it_harder(self) -> None:
        assert [self.accuracy(noise) > least for noise, least in [(0.0, 0.99), (1.0, 0.75)]] == [True, True]
        assert self.accuracy(0.5) > self.accuracy(1.0) > self.accuracy(3.0) > 0.2

    def accuracy(self, noise: float) -> float:
        """Accuracy of a nearest-class-mean classifier, a very simple model."""
        made = synthetic_images.synthetic(samples=2000, image_size=28, classes=10, noise=noise, seed=0)
        split = data_split.split(made, **SPLIT)
        means = [data_split.scale(split.x_train[split.y_train == label]).mean(0) for label in range(10)]
        far = [((data_split.scale(split.x_val) - mean) ** 2).sum((1, 2)) for mean in means]
        return float((np.argmin(far, 0) == split.y_val).mean())

    @pytest.mark.parametrize("image_size", [1, 2, 7, 9, 33])
    def test_any_size(self, image_size: int) -> None:
        made = synthetic_images.synthetic(samples=3, image_size=image_size, classes=2, noise=0, seed=0)
        assert made.images.shape == (3, image_size, image_size)

    @pytest.mark.parametrize(
        ("key", "value", "message"),
        [
            ("samples", 0, r"^data\.samples=0: must be at least 1$"),
            ("image_size", 0, r"^data\.image_size=0: must be at least 1$"),
            ("classes", -2, r"^data\.classes=-2: must be at least 1$"),
            (
                "noise",
                -0.5,
                r"^data\.seed=0, data\.noise=-0\.5: neither may be negative, and data.noise may be at most 100$",
            ),
            ("noise", float("nan"), r"noise=nan"),
            ("seed", -1, r"^data\.seed=-1, data\.noise=1\.0: neither may be negative"),
        ],
    )
    def test_wrong_values(self, key: str, value: float, message: str) -> None:
        with pytest.raises(ConfigError, match=message):
            synthetic_images.synthetic(**SYNTHETIC | {key: value})


class TestSamples:
    def test_first_of_each_class_then_second(self) -> None:
        labels = np.array([2, 2, 0, 2, 0, 2, 2])
        dataset = Dataset(np.arange(7).reshape(7, 1), labels, ("a", "b", "c"))
        images, shown = loading.samples(dataset)
        assert shown.tolist() == [0, 2, 0, 2, 0, 2, 0, 2, 0, 2]
        assert images[:, 0].tolist() == [2, 0, 4, 1, 2, 3, 4, 5, 2, 6]

    def test_ten_of_more_than_ten_classes(self) -> None:
        dataset = Dataset(np.arange(24).reshape(24, 1), np.arange(24) % 12, tuple("abcdefghijkl"))
        assert loading.samples(dataset)[1].tolist() == list(range(10))

    def test_ten_of_one_image(self) -> None:
        assert loading.samples(dataset_of(1))[0].tolist() == [[0]] * 10


def returns_pair() -> tuple[np.ndarray, list[int]]:
    return np.zeros((4, 2, 2)), [0, 1, 1, 0]


def returns_triple() -> tuple[np.ndarray, list[int], list[str]]:
    return np.zeros((4, 2, 2)), [0, 1, 1, 0], ["no", "yes"]


def returns_named(name: str) -> tuple[np.ndarray, list[int], list[str]]:
    return np.zeros((2, 2)), [0, 1], [f"{name}0", "1"]


def returns_dataset() -> Dataset:
    return Dataset(np.zeros((2, 2), np.uint8), np.array([0, 1], np.uint8), ("no", "yes"))


def returns_wrong_dataset() -> Dataset:
    return Dataset(np.zeros((2, 2), np.uint8), np.array([0, 2]), ("no", "yes"))


def returns_text() -> str:
    return "images"


def returns_one() -> tuple[np.ndarray]:
    return (np.zeros((4, 2, 2)),)


def has_a_bug(scale: int = 1) -> None:
    raise KeyError("pixels")


def raises_data_error() -> None:
    raise DataError("the archive is empty")


def takes_options(options: dict[str, Any]) -> tuple[np.ndarray, list[int]]:
    assert type(options) is dict
    assert type(options["sizes"]) is list
    return np.zeros((2, 2)), options["sizes"]


not_callable = 3


class TestLoad:
    def test_common_keys_do_not_reach_the_source(self) -> None:
        made = loading.load(node("fashion_sweep.data.synthetic", **SYNTHETIC))
        assert made.fingerprint == synthetic_images.synthetic(**SYNTHETIC).fingerprint

    def test_loads_once_for_all_splits(self) -> None:
        config = node("fashion_sweep.data.synthetic", **SYNTHETIC)
        dataset, split = loading.load_split(config)
        assert loading.load(config | {"split_seed": 1, "limit": 50}) is dataset
        assert loading.load_split(config)[1] is split
        assert len(loading.load_split(config | {"limit": 50})[1].x_val) == 10

    def test_missing_split_key(self) -> None:
        with pytest.raises(ConfigError, match=r"^data\.limit: missing from the config$"):
            loading.load_split(
                {key: value for key, value in node(f"{__name__}.returns_pair").items() if key != "limit"}
            )

    def test_a_users_function_returns_a_pair(self) -> None:
        made = loading.load(node(f"{__name__}.returns_pair"))
        assert (made.images.shape, made.labels.tolist(), made.class_names) == ((4, 2, 2), [0, 1, 1, 0], ("0", "1"))
        assert not made.images.flags.writeable
        assert not made.labels.flags.writeable

    def test_a_users_function_returns_a_triple(self) -> None:
        assert loading.load(node(f"{__name__}.returns_triple")).class_names == ("no", "yes")

    def test_a_users_function_returns_a_dataset(self) -> None:
        made = loading.load(node(f"{__name__}.returns_dataset"))
        assert made.labels.dtype == np.int64
        assert made.class_names == ("no", "yes")

    def test_a_users_function_gets_plain_values(self) -> None:
        made = loading.load(node(f"{__name__}.takes_options", options={"sizes": [1, 0]}))
        assert made.labels.tolist() == [1, 0]

    @pytest.mark.parametrize(
        ("target", "kind", "message"),
        [
            ("nowhere.load", ConfigError, "No module named 'nowhere'"),
            ("fashion_sweep.data.nothing", ConfigError, "nothing"),
            (f"{__name__}.not_callable", ConfigError, "Expected a callable target, got '3' of type 'int'"),
            (f"{__name__}.returns_text", DataError, r"returned a str; expected \(images, labels\[, class_names\]\) or"),
            (
                f"{__name__}.returns_one",
                DataError,
                r"returned a tuple of 1; expected \(images, labels\[, class_names\]\)",
            ),
            (f"{__name__}.has_a_bug", DataError, r"KeyError at .*test_data\.py:\d+: 'pixels'$"),
            (f"{__name__}.raises_data_error", DataError, r"^the archive is empty$"),
            (
                f"{__name__}.returns_wrong_dataset",
                DataError,
                r"_dataset: array 'labels' has labels 0\.\.2; expected 0\.\.1, as there are 2 class names$",
            ),
        ],
    )
    def test_errors_are_one_line(self, target: str, kind: type[UserError], message: str) -> None:
        with pytest.raises(kind, match=message) as caught:
            loading.load(node(target))
        assert "\n" not in str(caught.value)

    def test_unknown_argument(self) -> None:
        with pytest.raises(ConfigError, match=r"has_a_bug.* got an unexpected keyword argument 'sacle'$"):
            loading.load(node(f"{__name__}.has_a_bug", sacle=2))

    @pytest.mark.parametrize("text", ["~nobody-has-this-name/a.npz", "a" * 5000, "nul\0", ""])
    def test_strings_that_are_not_paths(self, text: str) -> None:
        assert loading.load(node(f"{__name__}.returns_named", name=text)).class_names == (f"{text}0", "1")

    def test_no_target(self) -> None:
        with pytest.raises(ConfigError, match=r"^data\._target_ is missing"):
            loading.load(SPLIT)
