from __future__ import annotations

import io
import os
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress

from fashion_sweep.cli import progress
from fashion_sweep.storage.record import RunRecord, Status
from fashion_sweep.storage.run_dir import RunDir


def record(run: RunDir, status: Status, started: str = "t1", **fields: Any) -> None:
    run.path.mkdir(parents=True, exist_ok=True)
    run.write_record(RunRecord(run=run.path.name, identity="", status=status, started=started, **fields))


def completed(run: RunDir) -> None:
    best = {"epoch": 2.0, "loss": 0.5, "accuracy": 0.8, "val_loss": 0.25, "val_accuracy": 0.9}
    record(run, Status.COMPLETED, best=best, epochs_run=3, seconds=1.25)


def test_elsewhere_than_at_a_terminal_every_run_is_one_plain_line(tmp_path: Path) -> None:
    runs = [RunDir(tmp_path / name) for name in ("[red]a", "b", "c")]
    out = io.StringIO()
    with progress.shown(dict.fromkeys(runs, 5), Console(file=out, width=40)):
        completed(runs[0])
        time.sleep(2 * progress.POLL_SECONDS)
        record(runs[1], Status.FAILED, reason="disk full")
    assert out.getvalue().splitlines() == [
        "[1/3] [red]a completed: best val_loss 0.2500, val_accuracy 0.9000 at epoch 2 of 3, 1.2 s",
        "[2/3] b failed: disk full",
    ]


def test_runs_of_before_are_counted_and_those_that_run_again_are_shown(tmp_path: Path) -> None:
    old, failed = RunDir(tmp_path / "old"), RunDir(tmp_path / "failed")
    completed(old)
    record(failed, Status.FAILED, reason="old story")
    out = io.StringIO()
    with progress.shown(dict.fromkeys((old, failed), 5), Console(file=out, width=200), kept=[old]):
        time.sleep(2 * progress.POLL_SECONDS)
        record(failed, Status.INTERRUPTED, started="t2", reason="interrupted")
    with progress.shown(dict.fromkeys((old, failed), 5), Console(file=out, width=200), kept=[old, failed]):
        pass
    assert out.getvalue().splitlines() == [
        "1 of 2 runs were completed before",
        "[2/2] failed interrupted: interrupted",
        "1 of 2 runs were completed before, 1 that ended otherwise are left as they are",
    ]


def test_at_a_terminal_there_is_a_live_line(tmp_path: Path) -> None:
    run, other = RunDir(tmp_path / "run"), RunDir(tmp_path / "other")
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=120, color_system=None, legacy_windows=False)
    with progress.shown({run: 4, other: 4}, console):
        record(run, Status.RUNNING)
        row = {"epoch": 1, "loss": 1.0, "accuracy": 0.5, "val_loss": 0.125, "val_accuracy": 0.5, "seconds": 0.1}
        run.write_history([row])
        time.sleep(3 * progress.POLL_SECONDS)
        run.history.write_text("torn")  # a damaged file does not stop the line
        time.sleep(2 * progress.POLL_SECONDS)
    assert "0/2 runs" in out.getvalue()
    assert "run epoch 1/4 val_loss 0.1250" in out.getvalue()


def test_only_folders_whose_time_is_new_are_read(tmp_path: Path) -> None:
    runs = [RunDir(tmp_path / name) for name in ("a", "b", "pending")]
    watcher = progress._Watcher(dict.fromkeys(runs, 5), Console(file=io.StringIO()), Progress(disable=True), set())
    for run in runs[:2]:
        record(run, Status.RUNNING)
        os.utime(run.path, (1e9, 1e9))
    assert set(watcher._changed()) == set(runs[:2])
    assert list(watcher._changed()) == []
    record(runs[1], Status.RUNNING)
    assert list(watcher._changed()) == [runs[1]]
    assert list(watcher._changed()) == [runs[1]]  # so young that a write since may not show


def test_a_reason_cannot_write_to_the_terminal(tmp_path: Path) -> None:
    run, out = RunDir(tmp_path / "run"), io.StringIO()
    with progress.shown({run: 5}, Console(file=out, width=40)):
        record(run, Status.FAILED, reason="\x1b]0;title\x07\nno")
    assert out.getvalue() == "[1/1] run failed:  ]0;title  no\n"
