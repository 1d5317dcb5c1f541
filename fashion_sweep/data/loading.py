"""Loads, checks and splits the dataset that a config names.

A source is any function that the config's ``data._target_`` names. Its result is checked here, once, so that training
can rely on it; the arrays are read-only and stay in memory, so that a sweep loads them only once.
Only numpy is imported at the top, so that a wrong config is reported before heavier packages are loaded.
"""

from __future__ import annotations

import json
import os
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from fashion_sweep.data.dataset import Dataset, checked, one_line, user_path
from fashion_sweep.data.split import SPLIT_KEYS, Split, split
from fashion_sweep.errors import ConfigError, DataError, UserError
from packed_jobs.process_state import restored


def load(config: Mapping[str, Any]) -> Dataset:
    """Load the dataset of a resolved ``data`` node: call ``_target_`` with all keys but SPLIT_KEYS.

    The last few datasets are cached; files that the node names are read again if they have changed.

    Raises:
        ConfigError: the node has no ``_target_``, or it cannot be imported or called with these keys.
        DataError: the source failed, or returned something other than a dataset (see ``checked``).
    """
    source = {key: value for key, value in config.items() if key not in SPLIT_KEYS}
    if not isinstance(source.get("_target_"), str):
        raise ConfigError("data._target_ is missing: it names the function that returns the dataset")
    return _load(json.dumps(source, sort_keys=True), _file_stamps(source))


def load_split(config: Mapping[str, Any]) -> tuple[Dataset, Split]:
    """``load`` a node's dataset and ``split`` it. Raises ConfigError if a key of SPLIT_KEYS is missing."""
    missing = [f"data.{key}" for key in SPLIT_KEYS if key not in config]
    if missing:
        raise ConfigError(f"{', '.join(missing)}: missing from the config")
    dataset = load(config)
    return dataset, split(dataset, **{key: config[key] for key in SPLIT_KEYS})


@contextmanager
def from_folder(folder: Path | None) -> Iterator[None]:
    """Within the block relative paths start at a folder; at the current one where it is None or no longer there."""
    before = Path.cwd()
    if folder is not None and folder.is_dir():
        os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


def samples(dataset: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Ten sample images and their labels: the first of each class in class order, then the second of each, ..."""
    where = [np.flatnonzero(dataset.labels == label) for label in np.unique(dataset.labels)[:10]]
    rounds = [divmod(place, len(where)) for place in range(10)]
    chosen = [where[label][turn % len(where[label])] for turn, label in rounds]
    return dataset.images[chosen], dataset.labels[chosen]


@lru_cache(maxsize=4)
def _load(source: str, file_stamps: tuple[object, ...]) -> Dataset:  # noqa: ARG001 the stamps are only part of the cache key
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
    """Call the node's ``_target_``; an error raised in it becomes one line that says where it happened."""
    from hydra.errors import InstantiationException
    from hydra.utils import instantiate

    target = config["_target_"]
    try:
        with restored():
            return instantiate(config, _convert_="all")
    except SystemExit as stopped:
        raise DataError(f"data._target_={target} called sys.exit({stopped.code!r}), expected it to return") from stopped
    except InstantiationException as error:
        cause = error.__cause__ or error
        if isinstance(cause, UserError):
            raise cause from error
        frame = traceback.extract_tb(cause.__traceback__)[-1]
        if (
            f"call to target '{target}'" not in str(error) or "hydra" in Path(frame.filename).parts
        ):  # not raised inside the target
            raise ConfigError(f"data._target_={target}: {one_line(cause)}") from error
        where = f"{frame.filename}:{frame.lineno}"
        raise DataError(f"data._target_={target}: {type(cause).__name__} at {where}: {one_line(cause)}") from error
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:
        raise DataError(f"data._target_={target}: {type(error).__name__}: {one_line(error)}") from error


def _file_stamps(source: Mapping[str, Any]) -> tuple[object, ...]:
    """Modification time and size of every file or folder that a value names: they change when the file does."""
    stamps = []
    for value in source.values():
        if isinstance(value, str):
            with suppress(OSError, ValueError):  # most strings are not paths
                stat = user_path(value).stat()
                stamps.append((value, stat.st_mtime_ns, stat.st_size))
    return tuple(stamps)
