"""The files that a sweep is trained from: Python modules and config groups, found but not copied.

People keep their sources, their data and the outputs of earlier sweeps in one folder. So hidden folders and those that
hold sweeps or runs are left out, links are followed but not in circles, and there is a limit.
"""

from __future__ import annotations

import ast
import errno
import os
import stat
import sys
import sysconfig
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

from fashion_sweep.errors import FolderError, UnreadableError
from fashion_sweep.storage.claim import holds_output

OURS = ("fashion_sweep", "packed_jobs", "hydra_plugins.packed_launcher", "hydra_plugins.planned_sweeper")
LARGEST = 2**20
"""Size in bytes above which a file in a package is not treated as source."""
MOST_FILES, MOST_BYTES = 10_000, 200 * 10**6
"""The most that is kept of one folder: more is no source code, but a folder that was not meant."""
MOST_ENTRIES = 20 * MOST_FILES
"""Files and folders that are looked at to find these."""

_Number = tuple[int, int]


def source_files(configs: Iterable[Mapping[str, Any]], without: Collection[Path] = ()) -> dict[str, Path]:
    """Relative name -> file: of this package, of modules named in resolved configs, and of the modules these import.

    Installed packages are left out: their versions identify them. without: folders whose files are none.
    Raises FolderError for a package of too many files, UnreadableError for a file that cannot be read.
    """
    names = dict.fromkeys(target.partition(".")[0] for config in configs for target in _targets(config))
    found = {name: path for module in OURS for name, path in _files(module, _place(module), without)}
    todo = [name for name in names if name not in ("fashion_sweep", "hydra_plugins")]
    while todo:
        module = todo.pop()
        place = _place(module)
        if place is None or _is_installed(place):
            continue
        files = dict(_files(module, place, without))
        siblings = {name for path in files.values() for name in _imported(path)}
        beside = {name for name in siblings if _holds(place.parent, name) and name not in names}
        names |= dict.fromkeys(beside)
        todo += beside
        found |= files
    return found


def config_files(place: Path, without: Collection[Path] = ()) -> Iterator[Path]:
    """The YAML files below a folder of config groups. Raises as ``source_files`` does."""
    return files_below(place, lambda path: path.suffix in (".yaml", ".yml"), without)


def files_below(
    root: Path, is_wanted: Callable[[Path], bool], without: Collection[Path] = (), largest: float = float("inf")
) -> Iterator[Path]:
    """The wanted files of at most ``largest`` bytes below a folder, by name. Raises as ``source_files`` does."""
    left_out = {_number(found) for path in without if (found := _stat(path))}
    files = size = 0
    for entries, (path, found) in enumerate(
        _walk(root, frozenset(map(_number, filter(None, [_stat(root)]))), left_out), start=1
    ):
        if stat.S_ISREG(found.st_mode) and found.st_size <= largest and is_wanted(path):
            files, size = files + 1, size + found.st_size
            yield path
        if files > MOST_FILES or size > MOST_BYTES or entries > MOST_ENTRIES:
            raise FolderError(
                f"{root} holds more than {MOST_FILES:,} files or {MOST_BYTES // 10**6} MB that each sweep would keep; "
                f"move what is not code or config elsewhere"
            )


def content(path: Path) -> bytes:
    """A source file's bytes. Raises UnreadableError."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise _unreadable(path, error) from error


def _walk(
    folder: Path, above: frozenset[_Number], left_out: Collection[_Number]
) -> Iterator[tuple[Path, os.stat_result]]:
    """Files and folders below a folder. above: the folders around it, itself included."""
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise _unreadable(folder, error) from error
    for path in entries:
        found = _stat(path)
        if found is None:
            continue
        yield path, found
        if stat.S_ISDIR(found.st_mode):
            number = _number(found)
            is_hidden = path.name.startswith(".") or path.name == "__pycache__"
            if not (is_hidden or number in above or number in left_out or holds_output(path)):
                yield from _walk(path, above | {number}, left_out)


def _stat(path: Path) -> os.stat_result | None:
    """None for what has just been removed, and for a link that leads nowhere, such as an editor's lock."""
    try:
        return path.stat()
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            return None
        raise _unreadable(path, error) from error


def _number(found: os.stat_result) -> _Number:
    return found.st_dev, found.st_ino


def _unreadable(path: Path, error: OSError) -> UnreadableError:
    return UnreadableError(
        f"{path}: cannot be read ({error.strerror or error}), but it belongs to the code and configs that a sweep keeps"
    )


def _targets(node: Any) -> Iterator[str]:
    if isinstance(node, Mapping):
        yield from (str(value) for key, value in node.items() if key == "_target_")
    inner = node.values() if isinstance(node, Mapping) else node if isinstance(node, (list, tuple)) else ()
    for item in inner:
        yield from _targets(item)


def _place(module: str) -> Path | None:
    """The folder of a package, or the file of a module; None if Python finds neither."""
    if module in OURS:
        return Path(__file__).parents[2].joinpath(*module.split("."))
    spec = PathFinder.find_spec(module, sys.path)
    if spec is None or not (spec.origin or spec.submodule_search_locations):
        return None
    if spec.submodule_search_locations:
        return Path(next(iter(spec.submodule_search_locations)))
    return Path(str(spec.origin))


def _is_installed(place: Path) -> bool:
    """Whether it belongs to Python or to an installed package."""
    homes = {Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    parts = {"site-packages", "dist-packages"}
    return bool(homes & set(place.resolve().parents)) or bool(parts & set(place.resolve().parts))


def _files(module: str, place: Path | None, without: Collection[Path]) -> Iterator[tuple[str, Path]]:
    if place is None:
        return
    if place.is_file():
        yield place.name, place
        return
    for path in files_below(place, lambda path: not path.name.startswith("."), without, LARGEST):
        yield (Path(*module.split(".")) / path.relative_to(place)).as_posix(), path


def _imported(path: Path) -> set[str]:
    """Top-level names that a Python file imports; none if it is not Python."""
    if path.suffix != ".py":
        return set()
    try:
        nodes = list(ast.walk(ast.parse(content(path))))
    except (SyntaxError, ValueError, RecursionError):
        return set()
    plain = {alias.name.partition(".")[0] for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    return plain | {str(node.module).partition(".")[0] for node in nodes if isinstance(node, ast.ImportFrom)}


def _holds(folder: Path, name: str) -> bool:
    return (folder / f"{name}.py").is_file() or (folder / name / "__init__.py").is_file()
