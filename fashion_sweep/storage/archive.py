"""Reads NumPy's ``.npz`` archives, whatever is in them: nothing is unpickled, and nothing larger than promised."""

from __future__ import annotations

import errno
import math
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, BinaryIO

import numpy as np
from numpy.lib import format as npy

from fashion_sweep.errors import UserError
from fashion_sweep.storage.reading import open_file, unreadable

_HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
"""Format version -> what reads the header. Version 3 is for arrays with named fields only."""
_SUFFIX = ".npy"


def read_arrays(
    path: Path, choose: Callable[[list[str]], Sequence[str]], most_bytes: int | None = None
) -> dict[str, np.ndarray]:
    """The chosen arrays of an archive, by name.

    Args:
        path: the archive.
        choose: from the names of all arrays, those to read. What it raises as a UserError is passed on.
        most_bytes: what the arrays may take in memory; None: no more than the file, as they are not compressed.

    Raises:
        FileNotFoundError: there is no such file.
        UnreadableError: the file is there and cannot be read.
        ValueError: it is no such archive, or it is damaged, or its arrays are too large.
    """
    with open_file(path) as file:
        try:
            return _arrays(file, choose, path.stat().st_size if most_bytes is None else most_bytes)
        except UserError:
            raise
        except OSError as error:
            if error.errno == errno.EINVAL:  # the archive sends zipfile to a place before its begin
                raise ValueError("it is no archive, or it is damaged") from error
            raise unreadable(path, error) from error
        except Exception as error:  # zipfile, zlib, tokenize and NumPy raise a dozen kinds for damaged files
            raise ValueError(" ".join(str(error).split())[:160] or type(error).__name__) from error


def _arrays(file: BinaryIO, choose: Callable[[list[str]], Sequence[str]], most: int) -> dict[str, np.ndarray]:
    with zipfile.ZipFile(file) as archive:
        members = {info.filename.removesuffix(_SUFFIX): info for info in archive.infolist()}
        found = {}
        for name in choose(list(members)):
            if name not in members:
                raise ValueError(f"it has no array '{name}'")
            most -= _claimed_bytes(archive, members[name])
            if most < 0:
                raise ValueError(f"'{name}' is larger than the file or the memory allows")
            with archive.open(members[name]) as member:
                found[name] = npy.read_array(member, allow_pickle=False)
        return found


def _claimed_bytes(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> int:
    """How large an array's header says it is. Raises ValueError where the archive holds fewer bytes."""
    with archive.open(info) as member:
        shape, dtype = _header(member)
    if dtype.hasobject:
        return 0  # NumPy refuses these
    claimed = math.prod(shape) * max(dtype.itemsize, 1)
    if min(shape, default=0) < 0 or claimed > info.file_size:
        raise ValueError(f"'{info.filename}' claims {claimed:,} bytes and has {info.file_size:,}")
    return claimed


def _header(member: IO[bytes]) -> tuple[tuple[int, ...], np.dtype]:
    version = npy.read_magic(member)
    if version not in _HEADERS:
        raise ValueError(f"format version {version} is not one of plain arrays")
    shape, _, dtype = _HEADERS[version](member)
    return shape, dtype
