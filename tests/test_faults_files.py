"""Disks that are full, files that are damaged, folders and texts that are strange: real ones."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import keras
import pytest
from fault_table import fault
from fixture_types import Seen
from optional import present
from sweeping import (
    IN_S,
    TINY,
    assert_told_briefly,
    in_namespace,
    log_of,
    on_a_disk,
    run,
    script,
    statuses,
    table,
    words,
)
from sweeping import environment as surroundings

from fashion_sweep.storage.record import Status
from fashion_sweep.storage.run_dir import RunDir
from fashion_sweep.storage.sweep_dir import SweepDir

ODD = ('it\'s a "sweep" of süße 名前, a=b [1] {x} #2 & ' + "long " * 40)[:199] + "!"


def runs_of(sweep: Path) -> list[RunDir]:
    return SweepDir(sweep).run_dirs()


def fill(leave: int, after: str = "waiting") -> str:
    return f"{{_target_: faulty.Fill, filepath: run.json, leave: {leave}, after: {after}}}"


@fault("disk full while writing a history")
def test_a_disk_that_is_full(tmp_path: Path, seen: Seen) -> None:
    bad = f"+callbacks.bad={fill(0)},{{_target_: faulty.Wait, path: room}}"
    done = on_a_disk(tmp_path, "size=6m", "-m", bad, *TINY, "callbacks=none", "save=none", "epochs=4", IN_S,
                     "hydra.launcher.lanes=2")  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert_told_briefly(done)
    sweep = tmp_path / "kept" / "s"
    failed, other = [present(each.read_record()) for each in runs_of(sweep)]
    assert (failed.status, failed.reason) == (Status.FAILED, "disk full")
    assert (other.status, other.epochs_run) == (Status.COMPLETED, 4)
    assert [row["epoch"] for row in runs_of(sweep)[0].read_history()] == [1]
    assert "\n" not in runs_of(sweep)[0].record.read_text()  # written over the one before
    assert f"failed {failed.run}: disk full" in done.stdout
    seen(f'tmpfs: exit {done.returncode}; {statuses(sweep)}: "{failed.reason}" written over the old run.json; epoch 1 '
         "of 1 readable")  # fmt: skip


@fault("disk full while writing a checkpoint", rare=True)
def test_a_disk_that_is_full_at_a_checkpoint(tmp_path: Path, seen: Seen) -> None:
    bad = f"+callbacks.bad={fill(24_000)},{{_target_: faulty.Wait, path: room}}"
    done = on_a_disk(tmp_path, "size=6m", "-m", bad, *TINY, "epochs=6", IN_S, "hydra.launcher.lanes=2")
    assert done.returncode == 1, done.stderr
    assert_told_briefly(done)
    sweep = tmp_path / "kept" / "s"
    failed, other = [present(each.read_record()) for each in runs_of(sweep)]
    assert (failed.status, failed.reason, failed.epochs_run) == (Status.FAILED, "disk full", 2)
    assert other.status is Status.COMPLETED
    keras.saving.load_model(runs_of(sweep)[0].path / "best.keras", safe_mode=True)
    seen(f'tmpfs: exit {done.returncode}; {statuses(sweep)}: "{failed.reason}"; best.keras of epoch 2 loads')


@fault("disk full while writing a checkpoint", rare=True)
def test_a_file_that_may_not_grow(tmp_path: Path, seen: Seen) -> None:
    bad = "+callbacks.bad={_target_: faulty.LimitFiles, size: 40000}"
    done = run(tmp_path, "-m", bad, *TINY, "epochs=6", IN_S)
    assert done.returncode == 1, done.stderr
    [failed] = runs_of(tmp_path / "s")
    assert (present(failed.read_record()).status, present(failed.read_record()).reason) == (Status.FAILED, "disk full")
    assert len(failed.read_history()) == 2
    keras.saving.load_model(failed.path / "best.keras", safe_mode=True)
    assert "File too large" in log_of(failed)
    seen('limit on the size of files: the same, "disk full"')


@fault("disk full while writing a report", rare=True)
def test_a_disk_that_is_full_at_the_report(tmp_path: Path, seen: Seen) -> None:
    done = on_a_disk(tmp_path, "size=6m", "-m", f"+callbacks.bad={fill(60_000, 'null')}", *TINY, "callbacks=none",
                     "save=none", "epochs=3", IN_S)  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert_told_briefly(done)
    [told] = [line for line in done.stderr.splitlines() if line.startswith("fashion-sweep: ")]
    assert told.startswith("fashion-sweep: the report failed (")
    assert "No space left on device" in told
    [only] = runs_of(tmp_path / "kept" / "s")
    assert present(only.read_record()).status is Status.COMPLETED
    assert len(only.read_history()) == 3
    seen(f'exit {done.returncode}; "{told.removeprefix("fashion-sweep: ")}"')


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep of four runs."""
    folder = tmp_path_factory.mktemp("trained")
    done = run(folder, "-m", "seed=0,1,2,3", *TINY, "epochs=3", IN_S)
    assert done.returncode == 0, done.stderr
    return folder / "s"


@pytest.fixture
def sweep(trained: Path, tmp_path: Path) -> Path:
    """A copy of it, to be damaged."""
    return Path(shutil.copytree(trained, tmp_path / "s"))


def reports(sweep: Path) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    """The report's command, which ends well, and as --strict does not; and the warnings."""
    done = script(sweep.parent, "report", "s")
    assert done.returncode == 0, done.stderr
    assert_told_briefly(done)
    strict = script(sweep.parent, "report", "s", "--strict")
    assert strict.returncode == 1, strict.stderr
    warnings = [line for line in done.stdout.splitlines() if line.startswith("warning ")]
    return done, warnings


@fault("history.csv torn, empty or damaged")
def test_damaged_histories(sweep: Path, seen: Seen) -> None:
    torn, empty, damaged, whole = runs_of(sweep)
    torn.history.write_bytes(torn.history.read_bytes()[:-12])
    empty.history.write_bytes(b"")
    lines = damaged.history.read_text().splitlines()
    damaged.history.write_text("\n".join([*lines[:2], "2,\x00\x00oops", *lines[3:]]) + "\n")
    _, warnings = reports(sweep)
    assert len(warnings) == 3
    for run_dir, warning in zip([torn, empty, damaged], warnings, strict=True):
        assert f"{run_dir.path.name}/history.csv" in warning
    assert [line.rpartition("; ")[2] for line in warnings] == [
        "run shown up to epoch 2", "run shown without its curves", "run shown up to epoch 1",
    ]  # fmt: skip
    assert [row["run"] for row in table(sweep)] == [each.path.name for each in (torn, empty, damaged, whole)]
    told = ", ".join(line.rpartition("; run ")[2] for line in warnings)
    seen(f"4 of 4 runs in the table, 3 warnings that name the files: {told}; exit 0, with --strict 1")


@fault("run.json truncated, not JSON, or missing")
def test_damaged_records(sweep: Path, seen: Seen) -> None:
    truncated, other, missing, whole = runs_of(sweep)
    truncated.record.write_bytes(truncated.record.read_bytes()[:100])
    other.record.write_text("<html>no such page</html>")
    missing.record.unlink()
    _, warnings = reports(sweep)
    assert len(warnings) == 3
    for run_dir, warning in zip([truncated, other, missing], warnings, strict=True):
        assert f"{run_dir.path.name}/run.json" in warning
    assert [row["run"] for row in table(sweep)] == [whole.path.name]
    seen("3 warnings that name the files, their runs left out; exit 0, with --strict 1")


@fault("best.keras damaged", rare=True)
def test_a_damaged_model(sweep: Path, seen: Seen) -> None:
    first = runs_of(sweep)[0]
    model = first.path / "best.keras"
    model.write_bytes(model.read_bytes()[:5000])
    done = script(sweep.parent, "evaluate", first.path)
    assert done.returncode == 2
    assert_told_briefly(done)
    [told] = done.stderr.splitlines()
    assert told.startswith(f"error: {model}: damaged")
    before = table(sweep)
    assert script(sweep.parent, "report", "s").returncode == 0
    assert table(sweep) == before
    assert len(before) == 4
    seen(f'exit {done.returncode}; "best.keras{told.partition("best.keras")[2]}"; the table is as before')


@fault("a sweep folder that cannot be written")
@pytest.mark.parametrize("mode", ["run", pytest.param("sweep", marks=pytest.mark.rare)])
def test_a_folder_that_cannot_be_written(tmp_path: Path, seen: Seen, mode: str) -> None:
    flags = ["-m"] if mode == "sweep" else []
    given = [*flags, *TINY, f"hydra.{mode}.dir={{}}"]
    steps = f'mount -t tmpfs -o ro tmpfs "{tmp_path}" && cd / && "$@"'
    if subprocess.run(in_namespace(f'mount -t tmpfs -o ro tmpfs "{tmp_path}"'), check=False).returncode:
        pytest.skip("no file systems can be mounted here")
    for place in (tmp_path, tmp_path / "new"):
        command = [*in_namespace(steps), *words(*(each.format(place) for each in given))]
        done = subprocess.run(command, env=surroundings(), capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 2, done.stderr
        [told] = done.stderr.splitlines()
        assert told.startswith(f"fashion-sweep: {place} cannot be ")
        assert "(Read-only file system)" in told
    seen(f'hydra.{mode}.dir: exit {done.returncode}; "{told.removeprefix(f"fashion-sweep: {tmp_path}/")}"')


def hydra_quoted(text: object) -> str:
    """A text as Hydra's command line takes it literally."""
    return "'" + str(text).replace("'", "\\'") + "'"


@fault("a path with spaces, quotes, Unicode and 200 characters", rare=True)
def test_a_strange_path(tmp_path: Path, seen: Seen) -> None:
    assert len(ODD) == 200
    folder = tmp_path / ODD
    folder.mkdir()
    sweep = folder / f"{ODD[:100]}-"
    default = run(folder, "-m", "seed=0", *TINY, "epochs=1")
    assert default.returncode == 0, default.stderr
    given = run(folder, "-m", "seed=0,1", *TINY, "epochs=1", f"hydra.sweep.dir={hydra_quoted(sweep)}")
    assert given.returncode == 0, given.stderr
    runs_of(sweep)[1].record.unlink()
    resumed = run(folder, f"resume={hydra_quoted(sweep)}")
    assert resumed.returncode == 0, resumed.stderr
    assert [present(each.read_record()).status for each in runs_of(sweep)] == [Status.COMPLETED] * 2
    report = script(folder, "report", sweep)
    evaluated = script(folder, "evaluate", runs_of(sweep)[0].path)
    assert (report.returncode, evaluated.returncode) == (0, 0), report.stderr + evaluated.stderr
    assert {each.name for each in folder.iterdir()} == {"outputs", sweep.name}
    seen(f"as the current folder and as hydra.sweep.dir: sweep, resume, report and evaluate, exit {resumed.returncode}")


TEXTS = ("'a/b'", "'../..'", "'x=y'", "'p,q'", "'new\nline'", "[1,2]", "'/etc/passwd'", "'$(id) `id` ; é'", "''")


@fault("overrides with /, .., newlines, =, commas, lists", rare=True)
def test_strange_overrides(tmp_path: Path, seen: Seen) -> None:
    grid = ["+callbacks.note={_target_: faulty.Note, text: none}", f"callbacks.note.text={','.join(TEXTS)}"]
    done = run(tmp_path, "-m", *grid, *TINY, "epochs=1", "callbacks=none", "save=none", IN_S)
    assert done.returncode == 0, done.stderr
    sweep = tmp_path / "s"
    planned = [each.run for each in SweepDir(sweep).read_plan()[1]]
    made = sorted(path.parent.name for path in sweep.rglob("run.json"))
    assert len(set(planned)) == len(TEXTS)
    assert made == sorted(planned)
    assert all(re.fullmatch(r"[A-Za-z0-9_.+-]{10,100}", name) for name in planned)
    assert [each.name for each in tmp_path.iterdir()] == ["s"]
    texts = [present(each.read_record()).config["callbacks"]["note"]["text"] for each in runs_of(sweep)]
    assert texts == ["a/b", "../..", "x=y", "p,q", "new\nline", [1, 2], "/etc/passwd", "$(id) `id` ; é", ""]
    told = ", ".join(present(re.search(r"text-(.*)_", name))[1] for name in planned if re.search(r"text-(.*)_", name))
    seen(f"{len(made)} folders, all in the sweep's, as planned: text-... {told}")
