"""Reports that follow a running sweep, and read only what has changed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from analysis_folders import curve, grid, run_folder, write_run, write_sweep
from rich.console import Console

from fashion_sweep.analysis.folders import Reader, read_folder
from fashion_sweep.cli import watch as watching
from fashion_sweep.cli.watch import Watched, watch
from fashion_sweep.errors import FolderError
from fashion_sweep.reporting.report import write_report
from fashion_sweep.storage.lease import owned
from fashion_sweep.storage.record import Status
from fashion_sweep.storage.sweep_dir import SweepDir

POINTS = grid(optimizer=["sgd", "adam"])


def watched(sweep: SweepDir) -> Watched:
    return Watched([sweep.path], lambda reader: write_report([sweep.path], reader=reader))


def until(is_true: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not is_true():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_a_run_that_has_not_changed_is_not_read_again(tmp_path: Path) -> None:
    sweep, reader = write_sweep(tmp_path, POINTS), Reader()
    first = read_folder(sweep.path, reader).runs
    assert [run.history for run in first] == [run.history for run in read_folder(sweep.path).runs]
    write_run(run_folder(sweep, POINTS[1]).path, POINTS[1], curve("adam", epochs=7))
    again = read_folder(sweep.path, reader).runs
    assert again[0] is first[0]
    assert (len(first[1].history), len(again[1].history)) == (5, 7)


def test_a_file_that_changes_or_goes_is_read_again(tmp_path: Path) -> None:
    sweep, reader = write_sweep(tmp_path, POINTS[:1]), Reader()
    run = run_folder(sweep, POINTS[0])
    read_folder(sweep.path, reader)
    run.history.unlink()
    assert read_folder(sweep.path, reader).runs == read_folder(sweep.path).runs
    run.record.write_text("{")
    (lost,) = read_folder(sweep.path, reader).runs
    assert lost.is_lost


def test_a_running_run_is_interrupted_once_its_owner_is_gone(tmp_path: Path) -> None:
    sweep, reader = write_sweep(tmp_path, POINTS[:1]), Reader()
    write_run(run_folder(sweep, POINTS[0]).path, POINTS[0], curve(epochs=2), status=Status.RUNNING)
    with owned(sweep.path):
        (run,) = read_folder(sweep.path, reader).runs
        assert run.record is not None
        assert run.record.status is Status.RUNNING
    (run,) = read_folder(sweep.path, reader).runs
    assert run.record is not None
    assert run.record.status is Status.INTERRUPTED


def test_a_finished_sweep_has_its_report_once(tmp_path: Path) -> None:
    sweep = write_sweep(tmp_path, POINTS)
    console = Console(record=True, width=200)
    (report,) = watch([watched(sweep)], console)
    assert report.page.exists()
    assert console.export_text().count("2 runs: 2 completed.") == 1


def test_the_report_follows_until_the_sweep_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "INTERVAL_S", 0.05)
    monkeypatch.setattr(watching, "REST", 0)
    sweep, console = write_sweep(tmp_path, POINTS), Console(record=True, width=200)
    last = run_folder(sweep, POINTS[1])
    write_run(last.path, POINTS[1], curve("adam", epochs=2), status=Status.RUNNING)
    thread = threading.Thread(target=watch, args=([watched(sweep)], console))
    with owned(sweep.path):
        thread.start()
        until(lambda: "1 running" in console.export_text(clear=False))
        assert thread.is_alive()
        write_run(last.path, POINTS[1], curve("adam", epochs=3))
        until(lambda: "2 completed" in console.export_text(clear=False))
        assert thread.is_alive()  # the command may still write
    thread.join(60)
    assert not thread.is_alive()
    assert "2 completed" in (sweep.report / "summary.md").read_text()


def test_a_folder_that_goes_ends_it_with_a_message(tmp_path: Path) -> None:
    sweep = write_sweep(tmp_path / "sweep", POINTS)
    each = watched(sweep)
    watch([each], Console())
    sweep.path.rename(tmp_path / "renamed")
    with pytest.raises(FolderError, match="no such folder"):
        list(each.updates())
