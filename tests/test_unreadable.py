"""A file that is there and cannot be read is not taken for one that is not there: nothing is trained over it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import planning
import pytest
from fixture_types import MakeSpec
from optional import present
from rich.console import Console

from fashion_sweep.errors import FolderError, UnreadableError
from fashion_sweep.planning import resume
from fashion_sweep.planning.plan import Plan
from fashion_sweep.storage.provenance import Code
from fashion_sweep.storage.record import RunRecord, Status
from fashion_sweep.storage.run_dir import RunDir
from fashion_sweep.storage.sweep_dir import SweepDir
from fashion_sweep.training.train import train


def folder(path: Path) -> None:
    """What reading answers with an error of the file system, also to root."""
    path.unlink(missing_ok=True)
    path.mkdir()


def circle(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.symlink_to(path.name)


UNREADABLE = pytest.mark.parametrize("spoil", [folder, circle])
Spoil = Callable[[Path], None]


def swept(tmp_path: Path) -> Plan:
    return planning.make("seed=0,1", f"hydra.sweep.dir={tmp_path}")


def begun(tmp_path: Path, *, is_planned: bool) -> Plan:
    """A plan, and a completed run in its folder."""
    plan = swept(tmp_path)
    spec = plan.specs[0]
    spec.folder.mkdir()
    RunDir(spec.folder).write_record(RunRecord(spec.name, spec.identity, Status.COMPLETED))
    if is_planned:
        SweepDir(tmp_path).write_plan("", plan.planned())
    return plan


@UNREADABLE
def test_a_record_stops_the_command(tmp_path: Path, spoil: Spoil) -> None:
    plan = begun(tmp_path, is_planned=True)
    place = RunDir(plan.specs[0].folder).record
    spoil(place)
    with pytest.raises(UnreadableError, match=f"{place}: cannot be read"):
        resume.take_over(plan, Code(), Console())
    resume.mark_lost(plan)  # at the end of a command, when it is too late to stop


@UNREADABLE
@pytest.mark.parametrize("is_planned", [False, True])
def test_a_plan_or_a_record_that_is_not_planned_stops_the_planning(
    tmp_path: Path, spoil: Spoil, is_planned: bool
) -> None:
    plan = begun(tmp_path, is_planned=is_planned)
    place = SweepDir(tmp_path).plan if is_planned else RunDir(plan.specs[0].folder).record
    spoil(place)
    with pytest.raises(UnreadableError, match=f"{place}: cannot be read"):
        swept(tmp_path)
    with pytest.raises(UnreadableError, match=f"{place}: cannot be read"):
        planning.make(f"hydra.run.dir={place.parent}", multirun=False) if not is_planned else \
            SweepDir(tmp_path).write_plan("", plan.planned())  # fmt: skip


def test_a_damaged_record_or_plan_is_none(tmp_path: Path) -> None:
    plan = begun(tmp_path, is_planned=True)
    RunDir(plan.specs[0].folder).record.write_text("{")
    SweepDir(tmp_path).plan.write_text("{")
    assert resume.take_over(swept(tmp_path), Code(), Console()) == plan.specs or len(plan.specs) == 2


@pytest.mark.parametrize("name", ["run.json", "sweep.json"])
def test_a_file_in_the_place_of_a_folder_holds_none(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    assert RunDir(tmp_path / "file").read_record() is None
    assert SweepDir(tmp_path / "file").read_plan() == ([], [])


@UNREADABLE
def test_a_run_whose_record_cannot_be_read_fails_and_keeps_it(make_spec: MakeSpec, spoil: Spoil) -> None:
    spec, other = make_spec(), make_spec("seed=1", "save=none", folder="other")
    spec.folder.mkdir()
    spoil(RunDir(spec.folder).record)
    failed, completed = train([spec, other])
    assert failed.status is Status.FAILED
    assert present(failed.reason).startswith(f"{RunDir(spec.folder).record}: cannot be read (")
    assert completed.status is Status.COMPLETED
    assert [path.name for path in spec.folder.iterdir()] == ["run.json"]


@UNREADABLE
@pytest.mark.parametrize("name", ["state.npz", "history.csv"])
def test_a_run_whose_state_cannot_be_read_fails_and_goes_on_when_it_can(
    make_spec: MakeSpec, spoil: Spoil, name: str
) -> None:
    lines = (
        "callbacks=none",
        "epochs=6",
        "+callbacks.interrupt={_target_: interrupting.Interrupt, epoch: 3, log_dir: x}",
    )
    spec = make_spec(*lines, "save=none")
    with pytest.raises(KeyboardInterrupt):
        train([spec])
    shutil.copytree(spec.folder, spec.folder.with_name("copy"))
    place = spec.folder / name
    spoil(place)
    [failed] = train([spec])
    assert (failed.status, failed.epochs_run) == (Status.FAILED, 3 if name == "state.npz" else 0)
    assert f"{place}: cannot be read (" in present(failed.reason)
    place.rmdir() if spoil is folder else place.unlink()
    shutil.copy(spec.folder.with_name("copy") / name, place)
    [completed] = train([spec])
    assert (completed.status, completed.epochs_run, completed.attempt) == (Status.COMPLETED, 6, 2)
    before, after = (
        (each / "history.csv").read_text().splitlines() for each in (spec.folder.with_name("copy"), spec.folder)
    )
    assert after[:4] == before  # seconds, too: these epochs were not trained again


def test_resume_of_what_cannot_be_read_says_so(tmp_path: Path) -> None:
    begun(tmp_path, is_planned=True)
    folder(SweepDir(tmp_path).plan)
    with pytest.raises(FolderError, match=r"sweep\.json: cannot be read"):
        SweepDir(tmp_path).read_requests()
