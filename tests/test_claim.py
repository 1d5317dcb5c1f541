"""Files that we did not write are neither overwritten nor deleted."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import planning
import pytest
import sweeping
from analysis_folders import curve, grid, write_run, write_sweep

from fashion_sweep.errors import FolderError, UnreadableError
from fashion_sweep.planning import sweep_folder
from fashion_sweep.planning.plan import Plan
from fashion_sweep.reporting.files import NAMES
from fashion_sweep.reporting.report import write_report
from fashion_sweep.storage import claim
from fashion_sweep.storage.lease import owned
from fashion_sweep.storage.run_dir import RunDir
from fashion_sweep.storage.sweep_dir import SweepDir

RECORDED = Path(__file__).parent / "recorded"


def sweep(folder: Path, *overrides: str) -> Plan:
    return planning.make("seed=0,1", f"hydra.sweep.dir={folder}", *overrides)


def single(folder: Path) -> Plan:
    return planning.make(f"hydra.run.dir={folder}", multirun=False)


def fill(path: Path) -> None:
    path.write_text("mine")


def link(path: Path) -> None:
    path.symlink_to("nowhere")


OWN_NAMES = [
    *((name, sweep) for name in claim.SWEEP_NAMES if name != "sweep.json"),
    *((name, single) for name in RunDir.own_names() if name != "run.json"),
]


@pytest.mark.parametrize("make", [fill, Path.mkdir, link])
@pytest.mark.parametrize(("name", "plan"), OWN_NAMES)
def test_a_folder_of_ones_own_is_refused(
    tmp_path: Path, name: str, plan: Callable[[Path], Plan], make: Callable[[Path], None]
) -> None:
    make(tmp_path / name)
    key = "hydra.sweep.dir" if plan is sweep else "hydra.run.dir"
    with pytest.raises(FolderError, match=f"{name}.*; give another {key}"):
        sweep_folder.check_folder(plan(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize(("name", "plan"), [("sweep.json", sweep), ("run.json", single), ("owner.json", sweep)])
def test_a_file_by_the_name_of_our_own_may_be_anothers(tmp_path: Path, name: str, plan: Callable[[Path], Plan]) -> None:
    (tmp_path / name).write_text('{"method": "bayes"}')
    with pytest.raises(FolderError, match=f"holds {name}, not written by fashion-sweep"):
        sweep_folder.check_folder(plan(tmp_path))
    (tmp_path / claim.MARKER).touch()
    sweep_folder.check_folder(plan(tmp_path))
    (tmp_path / name).unlink()
    (tmp_path / name).mkdir()
    if name != "owner.json":
        with pytest.raises(UnreadableError, match=f"{name}: cannot be read"):
            sweep_folder.check_folder(plan(tmp_path))


def test_a_folder_is_marked_before_anything_else_is_written(tmp_path: Path) -> None:
    for plan in (sweep(tmp_path / "a" / "sweep"), single(tmp_path / "a" / "run")):
        sweep_folder.check_folder(plan)
        sweep_folder.make_folder(plan)
        assert [path.name for path in plan.folder.iterdir()] == [claim.MARKER]
        (plan.folder / "train.log").touch()
        sweep_folder.check_folder(plan)


def test_other_files_and_the_owner_of_a_killed_command_are_in_nobodys_way(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    with owned(tmp_path):
        sweep_folder.check_folder(sweep(tmp_path))
        sweep_folder.check_folder(single(tmp_path))


@pytest.mark.parametrize("name", ["sweep", "logistic", "run"])
def test_folders_of_earlier_versions_are_ours(tmp_path: Path, name: str) -> None:
    shutil.copytree(RECORDED / name, tmp_path / name)
    (tmp_path / name / "train.log").touch()
    (tmp_path / name / "code").mkdir(exist_ok=True)
    if name == "run":
        claim.check_run(tmp_path / name)
        return
    claim.check_sweep(tmp_path / name)
    (tmp_path / name / "sweep.json").write_text("{")  # its runs are known by their records
    claim.check_sweep(tmp_path / name)


@pytest.mark.parametrize("name", ["code", "report", "multirun.yaml"])
def test_a_link_in_the_place_of_our_own_is_refused(tmp_path: Path, name: str) -> None:
    plan = sweep(tmp_path / "sweep")
    sweep_folder.make_folder(plan)
    (tmp_path / "elsewhere").mkdir()
    (plan.folder / name).symlink_to("../elsewhere")
    with pytest.raises(FolderError, match=f"{plan.folder / name} is a link"):
        sweep_folder.check_folder(plan)


def test_the_folder_of_a_planned_run_may_be_anothers(tmp_path: Path) -> None:
    plan = sweep(tmp_path / "sweep")
    sweep_folder.make_folder(plan)
    folder = plan.specs[1].folder
    folder.mkdir()
    (folder / "notes.txt").touch()
    sweep_folder.check_folder(plan)
    (folder / "history.csv").write_text("mine")
    with pytest.raises(FolderError, match=f"{folder} holds history.csv, not written by fashion-sweep"):
        sweep_folder.check_folder(plan)
    SweepDir(plan.folder).write_plan("", plan.planned())
    sweep_folder.check_folder(plan)
    folder.rename(tmp_path / "mine")
    folder.symlink_to(tmp_path / "mine")
    with pytest.raises(FolderError, match=f"{folder} holds history.csv"):
        sweep_folder.check_folder(plan)


def test_a_file_in_the_place_of_a_run_is_left_to_the_run(tmp_path: Path) -> None:
    plan = sweep(tmp_path / "sweep")
    sweep_folder.make_folder(plan)
    plan.specs[0].folder.touch()
    sweep_folder.check_folder(plan)


@pytest.mark.parametrize("name", NAMES)
def test_a_report_does_not_overwrite_what_is_no_report(tmp_path: Path, name: str) -> None:
    write_sweep(tmp_path / "sweep", [])
    for folder, output in ((SweepDir(tmp_path / "sweep").report, None), (tmp_path / "mine", tmp_path / "mine")):
        folder.mkdir()
        (folder / name).write_text("mine")
        with pytest.raises(FolderError, match=f"{folder} holds {name}, not written by fashion-sweep"):
            write_report([tmp_path / "sweep"], output)
        assert [(path.name, path.read_text()) for path in folder.iterdir()] == [(name, "mine")]


def test_a_report_is_written_again_and_over_one_of_an_earlier_version(tmp_path: Path) -> None:
    write_sweep(tmp_path / "sweep", [])
    report = write_report([tmp_path / "sweep"])
    write_report([tmp_path / "sweep"])
    (report.output / claim.REPORT_MARKER).unlink()
    assert write_report([tmp_path / "sweep"]).output == SweepDir(tmp_path / "sweep").report


def test_a_report_is_not_written_through_a_link(tmp_path: Path) -> None:
    write_sweep(tmp_path / "sweep", [])
    (tmp_path / "mine").mkdir()
    SweepDir(tmp_path / "sweep").report.symlink_to("../mine")
    with pytest.raises(FolderError, match="report is a link"):
        write_report([tmp_path / "sweep"])
    assert list((tmp_path / "mine").iterdir()) == []


def test_only_temporary_files_of_our_own_are_cleared(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", grid(seed=[0])[0], curve("sgd", epochs=1))
    mine = {".2024.notes", ".1.", ".12.run.json", ".7.history.csv"}
    for name in mine:
        (run.path / name).touch()
    (run.path / ".3.folder").mkdir()
    RunDir(run.path).clear_leftovers()
    assert {path.name for path in run.path.glob(".*")} == {".2024.notes", ".1.", ".3.folder"}


@pytest.mark.slow
def test_a_command_refuses_a_folder_of_ones_own_and_leaves_it_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "app.py").write_text("mine")
    done = sweeping.run(tmp_path, "-m", *sweeping.TINY, "seed=0", "hydra.sweep.dir=.")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "fashion-sweep: . holds code, not written by fashion-sweep, which would be overwritten; " \
        "give another hydra.sweep.dir\n"  # fmt: skip
    assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")] == ["code", "code/app.py"]
