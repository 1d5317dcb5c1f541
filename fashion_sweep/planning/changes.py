"""What is no longer as it was when a run was trained: versions, code, config, dataset, device."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fashion_sweep.data import loading
from fashion_sweep.errors import UserError
from fashion_sweep.storage import code_snapshot, source_files
from fashion_sweep.storage.identity import identity
from fashion_sweep.storage.provenance import Code, git_state, versions
from fashion_sweep.storage.record import RunRecord
from fashion_sweep.storage.run_dir import RunDir
from fashion_sweep.storage.sweep_dir import SweepDir
from fashion_sweep.training.engines import name_of

NAMED = 3
"""Changed source files that are named; more are counted."""


@dataclass(frozen=True)
class Change:
    """Something that is not as it was."""

    what: str
    text: str  # then and now, in one line
    matters: bool = True  # whether the numbers of a run may change with it


def before(run: RunDir, then: RunRecord, config: Mapping[str, Any]) -> list[Change]:
    """What is known to have changed before the run is trained again with a resolved config. Raises DataError."""
    return [*_versions(then, name_of(config)), *_git(then), *_code(run, then, config), *_data(then, config)]


def after(then: RunRecord, now: RunRecord) -> list[Change]:
    """What the record of the new run shows to be other than in the old one's."""
    return [*_device(then, now), *_pack(then)]


def code_of(configs: Iterable[Mapping[str, Any]]) -> Code:
    """The source that runs with these resolved configs are trained with now."""
    return Code(git_state(), code_snapshot.fingerprint(source_files.source_files(configs)))


def _versions(then: RunRecord, engine: str) -> Iterator[Change]:
    now = versions(engine)
    for package in dict.fromkeys([*then.versions, *now]):
        old, new = then.versions.get(package, "not recorded"), now.get(package, "not recorded")
        if old != new:
            yield Change("versions", f"{package}: then {old}, now {new}")


def _git(then: RunRecord) -> Iterator[Change]:
    """The commit alone changes no number: see _code."""
    old, new = _commit(then.git), _commit(git_state())
    if old != new:
        yield Change("git", f"then {old}, now {new}", matters=False)


def _commit(git: Mapping[str, Any] | None) -> str:
    if not git:
        return "no commit"
    return f"{str(git.get('commit'))[:10]}{', with changes' if git.get('dirty') else ''}"


def _code(run: RunDir, then: RunRecord, config: Mapping[str, Any]) -> Iterator[Change]:
    if then.code is None:
        yield Change("code", "the record does not say what it was")
        return
    sweep = SweepDir(run.path.absolute().parent)
    own = source_files.source_files([config])
    # The record of a run in a sweep has a fingerprint of what all runs of the sweep need.
    if then.code not in (
        code_snapshot.fingerprint(own),
        code_snapshot.fingerprint(source_files.source_files(_configs(sweep))),
    ):
        yield Change("code", _changed_files(sweep, own) or "other source files than then")


def _configs(sweep: SweepDir) -> Iterator[Mapping[str, Any]]:
    for run in sweep.run_dirs():
        try:
            record = run.read_record()
        except UserError:
            continue
        if record is not None:
            yield record.config


def _changed_files(sweep: SweepDir, now: Mapping[str, Path]) -> str:
    """The source files that are other than those that the sweep has kept; empty where it has kept none."""
    if not sweep.code.is_dir():
        return ""
    changed = [name for name, path in now.items() if not _same(sweep.code / name, path)]
    more = f" and {len(changed) - NAMED} more" if len(changed) > NAMED else ""
    return f"changed since: {', '.join(changed[:NAMED])}{more}" if changed else ""


def _same(kept: Path, now: Path) -> bool:
    return kept.is_file() and kept.read_bytes() == now.read_bytes()


def _data(then: RunRecord, config: Mapping[str, Any]) -> Iterator[Change]:
    now = loading.load(config["data"]).fingerprint
    old = then.data.get("fingerprint", now)
    if old != now:
        yield Change("data", f"another dataset: fingerprint then {old[:10]}, now {now[:10]}")
    if identity(config, old) != then.identity:
        yield Change("config", "not what was trained: an environment variable that it reads, or the file, has changed")


def _device(then: RunRecord, now: RunRecord) -> Iterator[Change]:
    for key in ("kind", "name", "threads", "host"):
        old, new = then.device.get(key, "not recorded"), now.device.get(key, "not known")
        if old != new and now.device:
            yield Change("device", f"{key}: then {old}, now {new}", matters=key != "host")
    if now.device.get("kind") == "GPU":
        yield Change("device", "a GPU, whose libraries choose their kernels anew in each process")


def _pack(then: RunRecord) -> Iterator[Change]:
    if then.pack > 1:
        yield Change("pack", f"then trained together with {then.pack - 1} others, now alone: sums round differently")
