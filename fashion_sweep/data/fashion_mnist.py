"""Fashion-MNIST (Xiao, Rasul, Vollgraf 2017, arXiv:1708.07747): found on this machine, or downloaded once and cached.

The dataset is four IDX files. The first source that has all four with the right checksums is used: ``data.dir`` if
given; else this project's cache, the folders where Keras and Debian put them, the dataset's public mirrors, and
Debian's package. Downloads are cached unpacked, which makes reading them ten times as fast.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import logging
import math
import os
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from fashion_sweep.data import download
from fashion_sweep.data.dataset import Dataset, one_line, read_only, user_path
from fashion_sweep.errors import DataError
from fashion_sweep.storage.atomic import replacing

log = logging.getLogger(__name__)

CLASS_NAMES = (
    *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
    *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
)


class DamagedError(DataError):
    """A file is there, but its content is not what it should be."""


@dataclass(frozen=True)
class IdxFile:
    """One file of the dataset: a header of 4 + 4 * len(shape) bytes, then unsigned bytes in C order."""

    name: str  # of the unpacked file; gzipped ones are called name.gz
    shape: tuple[int, ...]
    sha256: str  # of the unpacked content: Debian's .gz files are compressed differently from those of the mirrors

    @property
    def size(self) -> int:
        """Bytes, unpacked."""
        return 4 + 4 * len(self.shape) + math.prod(self.shape)


_SHA256 = (
    "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
)

FILES = (
    IdxFile("train-images-idx3-ubyte", (60_000, 28, 28), _SHA256[0]),
    IdxFile("train-labels-idx1-ubyte", (60_000,), _SHA256[1]),
    IdxFile("t10k-images-idx3-ubyte", (10_000, 28, 28), _SHA256[2]),
    IdxFile("t10k-labels-idx1-ubyte", (10_000,), _SHA256[3]),
)
"""Training images and labels, then test images and labels."""

MIRRORS = (
    "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
    "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
)


def _cache() -> Path:
    from platformdirs import user_cache_path

    return user_cache_path("fashion-sweep") / "fashion-mnist"


def _folders() -> tuple[Path, ...]:
    keras = user_path(os.environ.get("KERAS_HOME") or "~/.keras")
    return keras / "datasets" / "fashion-mnist", Path("/usr/share/datasets/fashion-mnist")


@dataclass(frozen=True)
class Sources:
    """Where the files are looked for, in this order, and how long to wait for them."""

    cache: Path = field(default_factory=_cache)  # for downloaded files
    folders: tuple[Path, ...] = field(default_factory=_folders)
    mirrors: tuple[str, ...] = MIRRORS  # URLs that end in a slash
    debian_package: str | None = "dataset-fashion-mnist"  # None: do not ask apt-get
    files: tuple[IdxFile, ...] = FILES
    silence_seconds: float = 5  # the longest wait for a connection or for the next bytes
    file_seconds: float = 180  # the longest download of one file
    command_seconds: float = 180  # the longest run of apt-get or dpkg-deb
    lock_seconds: float = 900  # the longest wait for another process that is fetching


def load(dir: str | None = None) -> Dataset:
    """The 60,000 training images; the test images are not read.

    Args:
        dir: a folder with the four files, plain or gzipped; None: search all sources and download them if necessary.

    Returns: uint8 images [60000, 28, 28] and int64 labels [60000], read-only.

    Raises:
        DataError: a file in ``dir`` is missing or damaged; or no source has the files, with all that were tried.
    """
    return read(dir, Sources())


def load_test(dir: str | None = None) -> Dataset:
    """The 10,000 test images, as ``load``: for the final evaluation of a model that was chosen without them."""
    return read(dir, Sources(), test=True)


def read(dir: str | None, sources: Sources, *, test: bool = False) -> Dataset:
    """``load`` or ``load_test`` from these sources."""
    wanted = sources.files[2:] if test else sources.files[:2]
    images, labels = (_array(content, file) for content, file in zip(_find(dir, sources, wanted), wanted, strict=True))
    return Dataset(images, read_only(labels.astype(np.int64)), CLASS_NAMES)


def _array(content: bytes, file: IdxFile) -> np.ndarray:
    """The array after the header, which the checksum has verified."""
    return np.frombuffer(content, np.uint8, offset=file.size - math.prod(file.shape)).reshape(file.shape)


def _find(dir: str | None, sources: Sources, wanted: Sequence[IdxFile]) -> list[bytes]:
    """The wanted files' contents from the first source that has all."""
    if dir is not None:
        try:
            return _from_folder(user_path(dir), sources, wanted)
        except DataError as problem:
            raise DataError(f"data.dir: {problem}") from problem
    notes = []
    for folder in (sources.cache, *sources.folders):
        try:
            return _from_folder(folder, sources, wanted)
        except DataError as problem:
            notes.append(str(problem))
            log.debug("not used: %s", problem)
    log.info("Fashion-MNIST is not on this machine yet: fetching it (30 MB), or waiting for another process to do so")
    with _locked(sources) as use_cache:
        if use_cache:  # another process may have fetched them by now
            try:
                return _from_folder(sources.cache, sources, wanted)
            except DataError as problem:
                log.debug("not cached yet: %s", problem)
        got = _fetch(sources, notes, use_cache=use_cache)
    return [got[file] for file in wanted]


def _from_folder(folder: Path, sources: Sources, wanted: Sequence[IdxFile]) -> list[bytes]:
    """The wanted files' contents. Raises DataError unless all four files are there and the wanted ones are right."""
    try:
        names = {path.name for path in folder.iterdir()}
    except OSError as error:
        raise DataError(f"{folder}: {error.strerror}") from error
    missing = [file.name for file in sources.files if not {file.name, f"{file.name}.gz"} & names]
    if missing:
        raise DataError(f"{folder}: has no {', '.join(missing)} (plain or .gz)")
    contents = [_from_file(folder, file) for file in wanted]
    log.debug("Fashion-MNIST read from %s", folder)
    return contents


def _from_file(folder: Path, file: IdxFile) -> bytes:
    problems = []
    for path in (folder / file.name, folder / f"{file.name}.gz"):
        try:
            return _verified(path.read_bytes(), file, str(path))
        except FileNotFoundError:
            continue
        except OSError as error:
            problems.append(f"{path}: {error.strerror}")
        except DataError as problem:
            problems.append(str(problem))
    raise DataError("; ".join(problems) or f"{folder}: has no {file.name} (plain or .gz)")


def _verified(content: bytes, file: IdxFile, where: str) -> bytes:
    """The content, unpacked where ``where`` ends in .gz. Raises DamagedError if its checksum is wrong."""
    if where.endswith(".gz"):
        try:
            with gzip.GzipFile(fileobj=io.BytesIO(content)) as unpacked:
                content = unpacked.read(file.size + 1)  # never unpack more than it should contain
        except (OSError, EOFError, zlib.error) as error:
            raise DamagedError(f"{where}: damaged, cannot be unpacked ({one_line(error)})") from error
    found = hashlib.sha256(content).hexdigest()
    if found != file.sha256:
        raise DamagedError(f"{where}: unpacked, its SHA-256 is {found}, expected {file.sha256}")
    return content


@contextmanager
def _locked(sources: Sources) -> Iterator[bool]:
    """Hold the cache's lock, so that one process fetches and the others wait. Yields False if the cache is unusable."""
    from filelock import FileLock

    with ExitStack() as held:
        try:
            sources.cache.mkdir(parents=True, exist_ok=True)
            held.enter_context(FileLock(sources.cache / ".lock", timeout=sources.lock_seconds))
        except (OSError, NotImplementedError) as error:
            log.warning("Fashion-MNIST will not be cached: %s cannot be used (%s)", sources.cache, one_line(error))
            yield False
            return
        yield True


def _fetch(sources: Sources, notes: list[str], *, use_cache: bool) -> dict[IdxFile, bytes]:
    """The contents of all four files: intact ones from the cache, the others from the first source that has them."""
    got = _in_cache(sources) if use_cache else {}
    routes = [partial(_from_mirror, sources, mirror) for mirror in sources.mirrors]
    for route in [*routes, partial(_from_debian, sources)] if sources.debian_package else routes:
        try:
            for file, content in route([file for file in sources.files if file not in got]):
                got[file] = content
                if use_cache:
                    _write_to_cache(sources.cache / file.name, content)
        except DataError as problem:
            log.debug("not used: %s", problem)
            notes.append(str(problem))
        else:
            return got
    raise DataError(_failure_message(sources, notes))


def _in_cache(sources: Sources) -> dict[IdxFile, bytes]:
    got = {}
    for file in sources.files:
        with suppress(DataError):
            got[file] = _from_file(sources.cache, file)
    return got


def _write_to_cache(path: Path, content: bytes) -> None:
    try:
        with replacing(path) as beside:
            beside.write_bytes(content)
    except OSError as error:
        log.warning("%s could not be cached: %s", path, error.strerror)


def _from_mirror(sources: Sources, mirror: str, files: Sequence[IdxFile]) -> Iterator[tuple[IdxFile, bytes]]:
    """Download the files one after another; one whose checksum is wrong is fetched once more."""
    for file in files:
        url = f"{mirror}{file.name}.gz"
        get = partial(
            download.download,
            url,
            most_bytes=file.size + 65_536,  # gzip makes incompressible data slightly larger
            silence_seconds=sources.silence_seconds,
            seconds=sources.file_seconds,
        )
        try:
            content = _verified(get(), file, url)
        except DamagedError as problem:
            log.warning("%s; fetching it once more", problem)
            content = _verified(get(), file, url)
        log.info("Fashion-MNIST: %s from %s", file.name, url)
        yield file, content


def _from_debian(sources: Sources, files: Sequence[IdxFile]) -> Iterator[tuple[IdxFile, bytes]]:
    with download.debian_package(str(sources.debian_package), seconds=sources.command_seconds) as root:
        for file in files:
            yield file, _from_file(root / "usr/share/datasets/fashion-mnist", file)
    log.info("Fashion-MNIST from Debian's package %s", sources.debian_package)


def _failure_message(sources: Sources, notes: Sequence[str]) -> str:
    names = ", ".join(file.name for file in sources.files)
    tried = "".join(f"\n  {note}" for note in notes)
    return (
        f"Fashion-MNIST was not found and could not be fetched. Tried:{tried}\n"
        f"Put its four files ({names}; plain or .gz) into a folder and set data.dir=FOLDER, "
        f"or put them into {sources.cache}, "
        f"or run 'apt-get install dataset-fashion-mnist', or load them once with Keras, which puts them into "
        f"{sources.folders[0]}."
    )
