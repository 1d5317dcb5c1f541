"""Snapshots of code and configs: what they hold, and that none is ever half there."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest
import sweeping

from fashion_sweep.errors import FolderError, UnreadableError
from fashion_sweep.storage import code_snapshot, source_files
from fashion_sweep.storage.claim import MARKER
from fashion_sweep.storage.sweep_dir import SweepDir


def tree(folder: Path) -> dict[str, str]:
    """Name -> content of the files below a folder."""
    found = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_text() for path in found}


def snapshot(folder: Path) -> dict[str, str]:
    """The same of a snapshot, without its own list."""
    return {name: text for name, text in tree(folder).items() if name != code_snapshot.MANIFEST}


def write(folder: Path, **files: str) -> Path:
    """Files named with __ for a slash and a dot before the last word."""
    for name, text in files.items():
        path = folder / ".".join(name.replace("__", "/").rsplit("_", 1))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


class KilledError(BaseException):
    """Stands for kill -9: nothing that follows has an effect."""


STEPS = ("mkdir", "write_bytes", "write_text", "rename", "unlink")


def failing(monkeypatch: pytest.MonkeyPatch, at: int, *, is_killed: bool) -> Callable[[], bool]:
    """Have the step of that number fail, and all after it where the process is killed. Returns whether it came."""
    steps = count()
    seen: list[int] = []

    def wrapped(step: Callable[..., object]) -> Callable[..., object]:
        def work(*arguments: object, **named: object) -> object:
            number = next(steps)
            seen.append(number)
            if number < at or (number > at and not is_killed):
                return step(*arguments, **named)
            raise KilledError if is_killed else OSError(errno.ENOSPC, "No space left on device")

        return work

    for name in STEPS:
        monkeypatch.setattr(Path, name, wrapped(getattr(Path, name)))
    monkeypatch.setattr(code_snapshot.shutil, "rmtree", wrapped(code_snapshot.shutil.rmtree))  # type: ignore[attr-defined]
    return lambda: len(seen) > at


@pytest.mark.parametrize("is_killed", [False, True])
@pytest.mark.parametrize("begins", [False, True])
def test_a_snapshot_is_the_old_one_or_the_new_one_whatever_step_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, begins: bool, is_killed: bool
) -> None:
    first, second = ({"a_py": text, "pkg__b_py": text} for text in ("1", "2"))
    configs = write(tmp_path / "conf", x_yaml="old")
    for at in count():
        folder = tmp_path / str(at) / "code"
        folder.parent.mkdir()
        source = write(tmp_path / "source", **first)
        files = {"a.py": source / "a.py", "pkg/b.py": source / "pkg" / "b.py"}
        if not begins:
            code_snapshot.keep(folder, files, {"conf": configs})
        old = snapshot(folder)
        write(source, **second)
        with monkeypatch.context() as patched:
            came = failing(patched, at, is_killed=is_killed)
            try:
                code_snapshot.keep(folder, files, {"conf": configs})
            except (OSError, KilledError):
                pass
            else:
                break
            assert came()
        code_snapshot.recover(folder)
        new = {"a.py": "2", "pkg/b.py": "2", "conf/x.yaml": "old"}
        assert snapshot(folder) in (old, new)
        code_snapshot.keep(folder, files, {"conf": configs})
        assert snapshot(folder) == new
        assert [path.name for path in folder.parent.iterdir()] == ["code"]
    assert at > 5


def test_a_snapshot_that_is_up_to_date_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = write(tmp_path / "source", a_py="1")
    configs = write(tmp_path / "conf", x_yaml="x")
    given: tuple[Path, dict[str, Path], dict[str, Path]] = (
        tmp_path / "code", {"a.py": source / "a.py"}, {"conf": configs},
    )  # fmt: skip
    code_snapshot.keep(*given)
    before = os.stat(tmp_path / "code").st_ino  # noqa: PTH116
    failing(monkeypatch, 2, is_killed=True)  # but for clearing up
    code_snapshot.keep(*given)
    assert (tmp_path / "code").stat().st_ino == before


def test_a_second_grid_keeps_the_files_of_the_first(tmp_path: Path) -> None:
    source = write(tmp_path / "source", a_py="1", b_py="2")
    for name in ("one", "two"):
        write(tmp_path / name, **{f"{name}_yaml": name})
    code_snapshot.keep(
        tmp_path / "code", {"a.py": source / "a.py"}, {"conf": tmp_path / "one", "own": tmp_path / "one"}
    )
    code_snapshot.keep(tmp_path / "code", {"b.py": source / "b.py"}, {"conf": tmp_path / "two"})
    assert snapshot(tmp_path / "code") == {"a.py": "1", "b.py": "2", "conf/two.yaml": "two", "own/one.yaml": "one"}


def test_kept_configs_can_be_kept_again(tmp_path: Path) -> None:
    source, configs = write(tmp_path / "source", a_py="1"), write(tmp_path / "conf", x_yaml="x")
    code_snapshot.keep(tmp_path / "code", {"a.py": source / "a.py"}, {"conf": configs})
    write(source, a_py="2")
    code_snapshot.keep(tmp_path / "code", {"a.py": source / "a.py"}, {"conf": tmp_path / "code" / "conf"})
    assert snapshot(tmp_path / "code") == {"a.py": "2", "conf/x.yaml": "x"}


def test_files_that_are_not_ours_are_named_and_stay(tmp_path: Path) -> None:
    source = write(tmp_path / "source", a_py="1")
    folder = tmp_path / "code"
    code_snapshot.keep(folder, {"a.py": source / "a.py"}, {})
    write(source, a_py="2")
    write(folder, pkg__cache__a_pyc="", conf__notes_txt="mine")
    (folder / "pkg" / "cache").rename(folder / "pkg" / "__pycache__")
    with pytest.raises(FolderError, match=f"{folder}/conf/notes.txt is not a file of the sweep"):
        code_snapshot.keep(folder, {"a.py": source / "a.py"}, {})
    assert (folder / "conf" / "notes.txt").read_text() == "mine"
    assert (folder / "a.py").read_text() == "1"
    (folder / "conf" / "notes.txt").unlink()
    code_snapshot.keep(folder, {"a.py": source / "a.py"}, {})


@pytest.mark.parametrize("name", ["code", "code/pkg"])
def test_nothing_is_written_through_a_link(tmp_path: Path, name: str) -> None:
    source, elsewhere = write(tmp_path / "source", a_py="1"), write(tmp_path / "elsewhere", a_py="mine")
    folder = tmp_path / "code"
    if name != "code":
        code_snapshot.keep(folder, {"a.py": source / "a.py"}, {})
    (tmp_path / name).symlink_to(elsewhere)
    with pytest.raises(FolderError, match=f"{tmp_path / name} is (no folder|not a file) of the sweep"):
        code_snapshot.keep(folder, {"pkg/a.py": source / "a.py"}, {})
    assert tree(elsewhere) == {"a.py": "mine"}


def test_a_snapshot_of_an_earlier_version_is_ours(tmp_path: Path) -> None:
    write(tmp_path / "code", a_py="1", conf__old_yaml="old")
    configs = write(tmp_path / "configs", new_yaml="new")
    code_snapshot.keep(tmp_path / "code", {}, {"conf": configs})
    assert snapshot(tmp_path / "code") == {"a.py": "1", "conf/new.yaml": "new"}


def names(found: Iterator[Path], root: Path) -> list[str]:
    return [path.relative_to(root).as_posix() for path in found]


def test_config_files_are_those_of_the_user_alone(tmp_path: Path) -> None:
    root = write(tmp_path / "mine", a_yaml="", model__b_yml="", notes_txt="", model__outputs__2025__sweep_json="{}",
                 model__outputs__2025__code__conf__c_yaml="", model__other__multirun_yaml="")  # fmt: skip
    write(root, sweep__code__d_yaml="", git__e_yaml="", own__f_yaml="", job__config_yaml="")
    (root / "git").rename(root / ".git")
    (root / "sweep" / MARKER).touch()
    (root / "job" / ".hydra").mkdir()
    (root / "model" / "up").symlink_to("..")
    (root / "model" / ".#lock.yaml").symlink_to("user@host.1:2")
    (root / "model" / "loop.yaml").symlink_to("loop.yaml")
    (root / "twice").symlink_to("own")
    found = names(source_files.config_files(root, [root / "sweep"]), root)
    assert found == ["a.yaml", "model/b.yml", "model/other/multirun.yaml", "model/outputs/2025/code/conf/c.yaml",
                     "own/f.yaml", "twice/f.yaml"]  # fmt: skip
    (root / "model" / "outputs" / "2025" / "sweep.json").write_text(
        '{"command": "x", "runs": [{"run": "a", "overrides": [], "identity": "0"}]}'
    )
    assert "model/outputs/2025/code/conf/c.yaml" not in names(source_files.config_files(root), root)


@pytest.mark.parametrize("what", ["MOST_FILES", "MOST_BYTES", "MOST_ENTRIES"])
def test_a_folder_that_holds_too_much_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    for number in range(3):
        (tmp_path / f"{number}.yaml").write_text("a: 1")
    monkeypatch.setattr(source_files, what, 2)
    with pytest.raises(FolderError, match=f"{tmp_path} holds more than .* elsewhere"):
        list(source_files.config_files(tmp_path))


def test_a_source_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    source = tmp_path / "a.py"
    source.mkdir()  # as root, permissions would not do
    with pytest.raises(UnreadableError, match=f"{source}: cannot be read .Is a directory., but it belongs to the code"):
        code_snapshot.keep(tmp_path / "code", {"a.py": source}, {})
    with pytest.raises(UnreadableError, match=f"{source}: cannot be read"):
        code_snapshot.fingerprint({"a.py": source})
    assert [path.name for path in tmp_path.iterdir()] == ["a.py"]


@pytest.mark.slow
@pytest.mark.parametrize("size", ["500k", "700k", "800k"])
def test_a_sweep_that_begins_on_a_full_disk_can_be_resumed_or_has_no_plan(tmp_path: Path, size: str) -> None:
    arguments = ("-m", *sweeping.TINY, "epochs=1", "save=none", "callbacks=none", "seed=0", "hydra.sweep.dir=sweep")
    begun = sweeping.on_a_disk(tmp_path, f"size={size}", *arguments)
    sweep = SweepDir(tmp_path / "kept" / "sweep")
    resumed = sweeping.run(tmp_path / "kept", "resume=sweep")
    if sweep.plan.exists():
        assert resumed.returncode == 0, resumed.stderr
    else:
        assert (begun.returncode, resumed.returncode) == (2, 2)
        assert "cannot be written (No space left on device)" in begun.stderr
        assert not sweep.code.exists() or (sweep.code / code_snapshot.MANIFEST).exists()
