"""A snapshot of a sweep's code and config groups, copied into its folder at the start.

People edit files during the hours that a sweep takes. Lanes, modules and configs that are loaded late all come from the
snapshot, and each run's record holds its hash.
"""

from __future__ import annotations

import ast
import hashlib
import os
import shutil
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Mapping
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

OURS = ("fashion_sweep", "packed_jobs", "hydra_plugins.packed_launcher", "hydra_plugins.planned_sweeper")
LARGEST = 2**20
"""Size in bytes above which a file in a package is not treated as source."""


def source_files(configs: Iterable[Mapping[str, Any]]) -> dict[str, Path]:
    """Relative name -> file: of this package, of modules named in resolved configs, and of the modules these import.

    Installed packages are left out: their versions identify them.
    """
    names = dict.fromkeys(target.partition(".")[0] for config in configs for target in _targets(config))
    found = {name: path for module in OURS for name, path in _files(module, _place(module))}
    todo = [name for name in names if name not in ("fashion_sweep", "hydra_plugins")]
    while todo:
        module = todo.pop()
        place = _place(module)
        if place is None or _is_installed(place):
            continue
        files = dict(_files(module, place))
        siblings = {name for path in files.values() for name in _imported(path)}
        beside = {name for name in siblings if _holds(place.parent, name) and name not in names}
        names |= dict.fromkeys(beside)
        todo += beside
        found |= files
    return found


def fingerprint(files: Mapping[str, Path]) -> str:
    """SHA-256 (64 hex digits) of the names and contents of source files."""
    digest = hashlib.sha256()
    for name, path in sorted(files.items()):
        digest.update(f"{name}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()


def keep(folder: Path, files: Mapping[str, Path], config_folders: Mapping[str, Path]) -> None:
    """Copy source files into ``folder``, and each folder of configs into the folder of that name in it."""
    for name, path in files.items():
        _copy(path, folder / name)
    for name, place in config_folders.items():
        if (folder / name).resolve() != place.resolve():
            shutil.rmtree(folder / name, ignore_errors=True)
            (folder / name).mkdir(parents=True)
            for path in _yaml_files(place):
                _copy(path, folder / name / path.relative_to(place))


def _copy(source: Path, to: Path) -> None:
    """Copy a file's content but not its permissions: a sweep's files follow the user's umask."""
    to.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, to)


def _yaml_files(place: Path) -> Iterator[Path]:
    for folder, _, names in os.walk(place, followlinks=True):
        yield from (Path(folder, name) for name in names if name.endswith((".yaml", ".yml")))


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


def _files(module: str, place: Path | None) -> Iterator[tuple[str, Path]]:
    if place is None:
        return
    if place.is_file():
        yield place.name, place
        return
    for path in sorted(place.rglob("*")):
        inner = path.relative_to(place)
        is_hidden = any(part.startswith(".") or part == "__pycache__" for part in inner.parts)
        if path.is_file() and not is_hidden and path.stat().st_size <= LARGEST:
            yield (Path(*module.split(".")) / inner).as_posix(), path


def _imported(path: Path) -> set[str]:
    """Top-level names that a Python file imports; none if it cannot be read."""
    if path.suffix != ".py":
        return set()
    try:
        nodes = list(ast.walk(ast.parse(path.read_bytes())))
    except (SyntaxError, ValueError):
        return set()
    plain = {alias.name.partition(".")[0] for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    return plain | {str(node.module).partition(".")[0] for node in nodes if isinstance(node, ast.ImportFrom)}


def _holds(folder: Path, name: str) -> bool:
    return (folder / f"{name}.py").is_file() or (folder / name / "__init__.py").is_file()
