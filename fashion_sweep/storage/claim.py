"""Which folders are ours to write into: those that we made, and those that hold nothing by the names that we write.

A folder gets a hidden marker before anything else is written. Folders of versions without one are known by what they
hold. Files that we did not write are neither overwritten nor deleted, nor is anything written through a link that has
taken the place of one of ours.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from fashion_sweep.errors import FolderError
from fashion_sweep.storage import owner
from fashion_sweep.storage.lease import OWNER
from fashion_sweep.storage.run_dir import RunDir
from fashion_sweep.storage.sweep_dir import SweepDir

MARKER = ".fashion_sweep"
"""Marks the folder of a sweep or of a single run."""
REPORT_MARKER = ".fashion_sweep_report"

SWEEP_NAMES = (*SweepDir.own_names(), ".code.new", ".code.old", "optimization_results.yaml")
"""What is written into a sweep's folder besides runs; the last one by sweepers that search."""


def mark(folder: Path, marker: str = MARKER) -> None:
    """Mark a folder as ours. Raises OSError where it cannot be written."""
    if not os.path.lexists(folder / marker):
        (folder / marker).touch()


def check_sweep(folder: Path) -> None:
    """Raise FolderError where a sweep would overwrite what is not its own."""
    if folder.is_dir():
        _check(folder, [*SWEEP_NAMES, OWNER], "hydra.sweep.dir", is_ours=_is_sweep(folder))


def check_run(folder: Path) -> None:
    """Raise FolderError where a single run would overwrite what is not its own."""
    if folder.is_dir():
        is_ours = _is_marked(folder) or _has_record(folder)
        _check(
            folder, [*RunDir.own_names(), SweepDir(folder).launch_error.name, OWNER], "hydra.run.dir", is_ours=is_ours
        )


def check_run_of_sweep(folder: Path, *, is_planned: bool) -> None:
    """The same for a run in a sweep. is_planned: whether the folder was the run's before this command."""
    if folder.is_dir():  # of a run whose place is taken by a file, training says so
        is_here = is_planned or os.path.lexists(RunDir(folder).record)
        is_ours = _has_record(folder) if folder.is_symlink() else is_here  # a link may have taken the folder's place
        _check(folder, RunDir.own_names(), "hydra.sweep.dir", is_ours=is_ours)


def check_report(folder: Path, names: Iterable[str]) -> None:
    """The same for a report. names: of the files that may be written."""
    if folder.is_symlink() and folder.name == SweepDir(folder.parent).report.name:
        raise FolderError(f"{folder} is a link, and nothing is written through it; remove it, or give another --output")
    if folder.is_dir():
        is_ours = os.path.lexists(folder / REPORT_MARKER) or _is_old_report(folder)
        _check(folder, names, "--output", is_ours=is_ours)


def holds_output(folder: Path) -> bool:
    """Whether a folder is a sweep's or a run's, of ours or of another Hydra program: none of it is source."""
    if _is_marked(folder) or (folder / ".hydra").is_dir():
        return True
    try:
        return any(SweepDir(folder).read_plan()) or RunDir(folder).read_record() is not None
    except FolderError:
        return False


def _check(folder: Path, names: Iterable[str], key: str, *, is_ours: bool) -> None:
    there = [name for name in names if os.path.lexists(folder / name)]
    links = [name for name in there if (folder / name).is_symlink()]
    if links:
        raise FolderError(f"{folder / links[0]} is a link, and nothing is written through it; give another {key}")
    foreign = [] if is_ours else [name for name in there if name != OWNER or not _is_owner_file(folder / name)]
    if foreign:
        more = f" and {len(foreign) - 1} more" if foreign[1:] else ""
        raise FolderError(
            f"{folder} holds {foreign[0]}{more}, not written by fashion-sweep, which would be overwritten; "
            f"give another {key}"
        )


def _is_marked(folder: Path) -> bool:
    return os.path.lexists(folder / MARKER)


def _is_sweep(folder: Path) -> bool:
    """Whether it is ours. Raises UnreadableError where its plan or a record cannot be read."""
    if _is_marked(folder) or any(SweepDir(folder).plan_before()):
        return True
    return any(_has_record(run.path) for run in SweepDir(folder).recorded())


def _has_record(folder: Path) -> bool:
    return RunDir(folder).record_before() is not None


def _is_owner_file(place: Path) -> bool:
    found = owner.read(place)
    return found is not None and found.pid > 0


def _is_old_report(folder: Path) -> bool:
    """Whether an earlier version, which did not mark it, wrote a report there."""
    try:
        return b"fashion-sweep" in (folder / "index.html").read_bytes()
    except OSError:
        return False
