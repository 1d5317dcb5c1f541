"""Datasets: where images and labels come from, what they must look like, and how they are split.

A source is any function that the config's ``data._target_`` names. What it returns is checked once, here, so that
training may rely on it; the arrays are read-only and stay in memory, so that the runs of a sweep load them once.
Only numpy is imported at the top: a wrong config must be answered before heavier packages are loaded.
"""

from __future__ import annotations

import json
import math
import traceback
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from fashion_sweep.dataset import Dataset, checked, one_line, read_only, user_path
from fashion_sweep.errors import ConfigError, DataError, UserError

SPLIT_KEYS = ("validation_fraction", "split_seed", "limit")
"""Keys of the config node ``data`` that belong to ``split``; all others go to the source."""

ARRAY_PAIRS = (("images", "labels"), ("x_train", "y_train"), ("x", "y"))
"""Names under which an .npz file may hold its images and labels, in the order in which they are tried."""

MOST_NOISE = 100
"""Highest ``noise`` of synthetic data; far below it nothing is left to learn."""

_SYNTHETIC_CELLS = 7  # a synthetic image is about this many cells high and wide


@dataclass(frozen=True, eq=False)
class Split:
    """Training and validation side of a dataset. Images keep the source's dtype; labels are int64; all read-only."""

    x_train: np.ndarray  # [N, ...]
    y_train: np.ndarray  # [N]
    x_val: np.ndarray  # [M, ...]
    y_val: np.ndarray  # [M]
    class_names: tuple[str, ...]

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one image."""
        return tuple(self.x_train.shape[1:])

    @property
    def num_classes(self) -> int:
        """Number of class names."""
        return len(self.class_names)


def scale(images: np.ndarray) -> np.ndarray:
    """What a model is fed: float32. Integers are divided by 255, so 0..255 becomes 0..1; floats are cast only."""
    scaled = images.astype(np.float32)
    if np.issubdtype(images.dtype, np.integer):
        scaled /= np.float32(255)
    return scaled


def load(config: Mapping[str, Any]) -> Dataset:
    """The dataset that a resolved ``data`` node names: ``_target_`` is called with all keys but SPLIT_KEYS.

    The last few datasets are kept; files that the node names are read anew when they have changed.

    Raises:
        ConfigError: the node has no ``_target_``, or it cannot be imported or called with these keys.
        DataError: the source failed, or returned something else than a dataset (see ``checked``).
    """
    source = {key: value for key, value in config.items() if key not in SPLIT_KEYS}
    if not isinstance(source.get("_target_"), str):
        raise ConfigError("data._target_ is missing: it names the function that returns the dataset")
    return _load(json.dumps(source, sort_keys=True), _file_stamps(source))


def load_split(config: Mapping[str, Any]) -> tuple[Dataset, Split]:
    """``load``, then ``split`` as the same node says; a key of SPLIT_KEYS that is missing is a ConfigError."""
    missing = [f"data.{key}" for key in SPLIT_KEYS if key not in config]
    if missing:
        raise ConfigError(f"{', '.join(missing)}: missing from the config")
    dataset = load(config)
    return dataset, split(dataset, **{key: config[key] for key in SPLIT_KEYS})


def check_size(dataset: Dataset, validation_fraction: float, limit: int | None) -> None:
    """Raise DataError where the first ``limit`` images (None: all) are too few for both sides. Takes no time."""
    count = len(dataset.images[:limit])
    if math.ceil(validation_fraction * count) >= count:  # as scikit-learn counts
        raise DataError(
            f"{count} images are too few for a training and a validation side "
            f"with data.validation_fraction={validation_fraction} and data.limit={'null' if limit is None else limit}"
        )


def split(dataset: Dataset, *, validation_fraction: float, split_seed: int, limit: int | None) -> Split:
    """Split the first ``limit`` images (None: all) as scikit-learn's ``train_test_split`` does with this seed.

    The last few splits are kept.

    Raises:
        ConfigError: validation_fraction is not inside (0, 1), split_seed not in 0..2**32-1, or limit below 1.
        DataError: too few images for a training and a validation side.
    """
    if not 0 < validation_fraction < 1:
        raise ConfigError(f"data.validation_fraction={validation_fraction}: must be above 0 and below 1")
    if not 0 <= split_seed < 2**32:
        raise ConfigError(f"data.split_seed={split_seed}: must be a whole number from 0 to 4294967295")
    if limit is not None and limit < 1:
        raise ConfigError(f"data.limit={limit}: must be at least 1, or null for all images")
    check_size(dataset, validation_fraction, limit)
    return _split(dataset, validation_fraction, split_seed, limit)


def samples(dataset: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Ten images for a picture, and their labels: the first of each class in class order, then the second ones, ..."""
    where = [np.flatnonzero(dataset.labels == label) for label in np.unique(dataset.labels)[:10]]
    rounds = [divmod(place, len(where)) for place in range(10)]
    chosen = [where[label][turn % len(where[label])] for turn, label in rounds]
    return dataset.images[chosen], dataset.labels[chosen]


def synthetic(*, samples: int, image_size: int, classes: int, noise: float, seed: int) -> Dataset:
    """Grey images made in memory: every class has a pattern of square cells, every image a shifted, noisy copy of it.

    Made of PCG64's raw bits, whose stream numpy keeps, and of sums that are exact: the same everywhere.

    Args:
        samples: number of images, classes in turn.
        image_size: height and width in pixels.
        classes: number of classes.
        noise: strength of the noise on cells; 0: none but a little on pixels, 1: nets err on about a tenth.
        seed: chooses patterns, shifts and noise.

    Returns: uint8 images [samples, image_size, image_size]; classes are named "0", "1", ...
    """
    for name, value in {"samples": samples, "image_size": image_size, "classes": classes}.items():
        if value < 1:
            raise ConfigError(f"data.{name}={value}: must be at least 1")
    if seed < 0 or not 0 <= noise <= MOST_NOISE:
        raise ConfigError(
            f"data.seed={seed}, data.noise={noise}: neither may be negative, nor noise above {MOST_NOISE}"
        )
    bits = np.random.PCG64(seed)
    labels = np.arange(samples) % classes
    cell = max(1, image_size // _SYNTHETIC_CELLS)
    grid = -(-image_size // cell) + 1  # one more cell than fits, to have room for shifts
    patterns = _random_bytes(bits, classes, grid, grid) // 2 + 64
    disturbed = sum(_random_bytes(bits, samples, grid, grid) for _ in range(4)) - np.float32(2 * 255)
    cells = np.rint(patterns[labels] + disturbed * np.float32(noise / 2)).clip(-255, 510).astype(np.int16)
    images = _shifted(cells.repeat(cell, 1).repeat(cell, 2), _random_bytes(bits, 2, samples) % cell, image_size)
    images += _random_bytes(bits, samples, image_size, image_size) // 4 - 32
    names = [str(number) for number in range(classes)]
    return checked(images.clip(0, 255).astype(np.uint8), labels, names, source="synthetic data")


def npz(
    *, path: str, images: str | None = None, labels: str | None = None, class_names: Sequence[str] | None = None
) -> Dataset:
    """Images and labels from an .npz file; Python objects in it are never unpickled.

    Args:
        path: the file; ``~`` is the home folder.
        images: name of the array of images; None: the first of ARRAY_PAIRS.
        labels: name of the array of labels; None: the first of ARRAY_PAIRS.
        class_names: one name a class; None: "0", "1", ... up to the highest label.

    Raises:
        DataError: no such file, no such array, or arrays that do not make a dataset (see ``checked``).
    """
    file = user_path(path)
    try:
        with _open_npz(file) as archive:
            names = _pair(file, archive.files, images, labels)
            x, y = archive[names[0]], archive[names[1]]
    except FileNotFoundError as error:
        raise DataError(f"{file}: no such file; data.path must name an .npz file of images and labels") from error
    except (OSError, ValueError, EOFError, RuntimeError, MemoryError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"{file}: cannot be read as an .npz file of plain arrays ({one_line(error)})") from error
    return checked(x, y, class_names, source=str(file), names=names)


def _open_npz(file: Path) -> np.lib.npyio.NpzFile:
    archive = np.load(file, allow_pickle=False)
    if not isinstance(archive, np.lib.npyio.NpzFile):
        raise ValueError("it holds one bare array")  # noqa: TRY004
    return archive


def _pair(file: Path, there: Sequence[str], images: str | None, labels: str | None) -> tuple[str, str]:
    """The names of the two arrays: those given, completed by the first of ARRAY_PAIRS that is there."""
    pairs = [(images or name, labels or other) for name, other in ARRAY_PAIRS]
    for pair in pairs:
        if set(pair) <= set(there):
            return pair
    expected = " or ".join(f"{name} and {other}" for name, other in dict.fromkeys(pairs))
    raise DataError(f"{file}: has the arrays {', '.join(there) or '(none)'}; expected {expected}")


@lru_cache(maxsize=4)
def _load(source: str, file_stamps: tuple[object, ...]) -> Dataset:  # noqa: ARG001 stamps are only a part of the key
    config = json.loads(source)
    target = config["_target_"]
    returned = _call(config)
    if isinstance(returned, Dataset):
        returned = (returned.images, returned.labels, returned.class_names)
    if not isinstance(returned, tuple) or len(returned) not in (2, 3):
        what = f"a tuple of {len(returned)}" if isinstance(returned, tuple) else f"a {type(returned).__name__}"
        raise DataError(
            f"data._target_={target} returned {what}; expected (images, labels[, class_names]) or a Dataset"
        )
    images, labels, *class_names = returned
    return checked(images, labels, class_names[0] if class_names else None, source=target)


def _call(config: Mapping[str, Any]) -> Any:
    """Call the node's ``_target_``; an error of its own becomes one line that says where it happened."""
    from hydra.errors import InstantiationException
    from hydra.utils import instantiate

    target = config["_target_"]
    try:
        return instantiate(config, _convert_="all")
    except InstantiationException as error:
        cause = error.__cause__ or error
        if isinstance(cause, UserError):
            raise cause from error
        frame = traceback.extract_tb(cause.__traceback__)[-1]
        if f"call to target '{target}'" not in str(error) or "hydra" in Path(frame.filename).parts:  # never entered
            raise ConfigError(f"data._target_={target}: {one_line(cause)}") from error
        where = f"{frame.filename}:{frame.lineno}"
        raise DataError(f"data._target_={target}: {type(cause).__name__} at {where}: {one_line(cause)}") from error


def _file_stamps(source: Mapping[str, Any]) -> tuple[object, ...]:
    """Modification time and size of every file or folder that a value names: they change when the file does."""
    stamps = []
    for value in source.values():
        if isinstance(value, str):
            with suppress(OSError, ValueError):  # most texts are no paths
                stat = user_path(value).stat()
                stamps.append((value, stat.st_mtime_ns, stat.st_size))
    return tuple(stamps)


@lru_cache(maxsize=4)
def _split(dataset: Dataset, validation_fraction: float, split_seed: int, limit: int | None) -> Split:
    """Datasets compare by identity, and ``load`` gives the same one for the same node: so this is made once."""
    images, labels = dataset.images[:limit], dataset.labels[:limit]
    from sklearn.model_selection import train_test_split

    sides = train_test_split(images, labels, test_size=validation_fraction, random_state=split_seed)
    x_train, x_val, y_train, y_val = map(read_only, sides)
    return Split(x_train, y_train, x_val, y_val, dataset.class_names)


def _shifted(images: np.ndarray, shifts: np.ndarray, size: int) -> np.ndarray:
    """Cut [N, size, size] out of [N, H, W], each from its own corner; shifts: [2, N] pixels down and right."""
    windows = np.lib.stride_tricks.sliding_window_view(images, (size, size), axis=(1, 2))
    cut: np.ndarray = windows[np.arange(len(images)), shifts[0], shifts[1]]
    return cut


def _random_bytes(bits: np.random.PCG64, *shape: int) -> np.ndarray:
    """Even random numbers 0..255 as int16, from the generator's raw 64-bit words."""
    count = math.prod(shape)
    words = np.asarray(bits.random_raw(-(-count // 8)), "<u8")
    return words.view(np.uint8)[:count].reshape(shape).astype(np.int16)
