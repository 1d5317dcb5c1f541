"""A snapshot of a sweep's code and config groups, copied into its folder at the start.

People edit files during the hours that a sweep takes. Lanes, modules and configs that are loaded late all come from the
snapshot, and each run's record holds its hash. A snapshot is copied aside and moved into place as a whole; a list in it
says which of its files are ours.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Collection, Mapping
from pathlib import Path

from fashion_sweep.errors import FolderError, UnreadableError
from fashion_sweep.storage.atomic import as_json
from fashion_sweep.storage.reading import read_json
from fashion_sweep.storage.source_files import config_files, content

MANIFEST = ".files.json"
"""Names of the files of a snapshot, in its folder."""
NOT_OURS_TO_KEEP = ("__pycache__", ".DS_Store")
"""What programs leave beside any file."""


def fingerprint(files: Mapping[str, Path]) -> str:
    """SHA-256 (64 hex digits) of the names and contents of source files. Raises UnreadableError."""
    digest = hashlib.sha256()
    for name, path in sorted(files.items()):
        digest.update(f"{name}\0{hashlib.sha256(content(path)).hexdigest()}\n".encode())
    return digest.hexdigest()


def keep(folder: Path, files: Mapping[str, Path], config_folders: Mapping[str, Path]) -> None:
    """Keep source files in ``folder``, and each folder of configs in the folder of that name in it.

    What a snapshot of an earlier grid holds besides stays. Raises FolderError where ``folder`` holds files that are not
    ours, and for sources as ``source_files`` does; OSError, and the old snapshot stays, where it cannot be written.
    """
    _clear(folder)
    old = _check_ours(folder)
    kept = {name: folder / name for name in old if name.partition("/")[0] not in config_folders} | dict(files)
    for name, place in config_folders.items():
        found = config_files(place, [folder, folder.parent])
        kept |= {f"{name}/{path.relative_to(place).as_posix()}": path for path in found}
    if old == kept.keys() and _listed(folder) == old and all(_is_same(folder / name, kept[name]) for name in old):
        return
    aside = _aside(folder, "new")
    try:
        _write(aside, kept)
        _swap(aside, folder)
    finally:
        _clear(folder)


def recover(folder: Path) -> None:
    """Put the old snapshot back where a process was killed between the two steps of ``_swap``."""
    before = _aside(folder, "old")
    if before.is_dir() and not os.path.lexists(folder):
        before.rename(folder)


def _clear(folder: Path) -> None:
    """Leave nothing half done, by a killed process or by this one."""
    recover(folder)
    for which in ("old", "new"):
        shutil.rmtree(_aside(folder, which), ignore_errors=True)


def _aside(folder: Path, which: str) -> Path:
    return folder.with_name(f".{folder.name}.{which}")


def _write(folder: Path, files: Mapping[str, Path]) -> None:
    """Copy files' contents but not their permissions: a sweep's files follow the user's umask."""
    folder.mkdir()
    for name, source in files.items():
        to = folder / name
        to.parent.mkdir(parents=True, exist_ok=True)
        to.write_bytes(content(source))
    (folder / MANIFEST).write_text(as_json(sorted(files)), "utf-8")


def _swap(new: Path, folder: Path) -> None:
    """Between the two steps there is no snapshot: ``recover`` sees to that."""
    if folder.exists():
        folder.rename(_aside(folder, "old"))
    new.rename(folder)


def _check_ours(folder: Path) -> Collection[str]:
    """Names of the snapshot's files; raises FolderError for others. Those of a version without a list are all ours."""
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise FolderError(
            f"{folder} is no folder of the sweep's code any more; move it elsewhere and repeat the command"
        )
    there, listed = _there(folder), _listed(folder)
    foreign = sorted(there - listed) if listed is not None else []
    if foreign:
        raise FolderError(
            f"{folder / foreign[0]} is not a file of the sweep; move it elsewhere, as {folder} is replaced"
        )
    return {name for name in there if (folder / name).is_file()}


def _there(folder: Path) -> set[str]:
    """Names of the files and links in a snapshot's folder."""
    found = set()
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name not in NOT_OURS_TO_KEEP]
        links = [name for name in folders if (Path(place) / name).is_symlink()]
        files = [name for name in names if name not in NOT_OURS_TO_KEEP and not name.startswith(".nfs")]
        found |= {(Path(place) / name).relative_to(folder).as_posix() for name in (*files, *links)}
    return found - {MANIFEST}


def _listed(folder: Path) -> set[str] | None:
    """The names that the list in a snapshot has; None where there is none, or a damaged one."""
    try:
        return set(map(str, read_json(folder / MANIFEST)))
    except (FileNotFoundError, UnreadableError, ValueError, TypeError):
        return None


def _is_same(kept: Path, source: Path) -> bool:
    return kept == source or content(kept) == content(source)
