"""What a person sees while runs train: a live line at a terminal, one plain line a run elsewhere.

It watches the run folders, and nothing else: so it shows the same whatever launcher trains them, in whatever process.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from fashion_sweep.errors import UserError
from fashion_sweep.run_dir import RunDir, RunRecord, Status

POLL_SECONDS = 0.5


@contextmanager
def shown(epochs: Mapping[RunDir, int], console: Console) -> Iterator[None]:
    """Show the progress of runs within the block. epochs: run -> how many it will have at most."""
    bar = Progress(
        TextColumn("{task.fields[runs]}"),
        BarColumn(bar_width=20),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(compact=True),
        console=console,
        disable=not console.is_terminal,
        transient=True,
    )
    with bar:
        watcher = _Watcher(dict(epochs), console, bar)
        thread = threading.Thread(target=watcher.watch, daemon=True)
        thread.start()
        try:
            yield
        finally:
            watcher.stop.set()
            thread.join()
            watcher.look()


@dataclass
class _Watcher:
    epochs: dict[RunDir, int]
    console: Console
    bar: Progress
    stop: threading.Event = field(default_factory=threading.Event)
    ended: set[RunDir] = field(init=False)
    before: dict[RunDir, str | None] = field(init=False)  # when a run that has a record already had been started
    task: TaskID = field(init=False)

    def __post_init__(self) -> None:
        records = {run: _record(run) for run in self.epochs}
        self.before = {run: record.started for run, record in records.items() if record}
        self.ended = {run for run, record in records.items() if record and record.status is Status.COMPLETED}
        if self.ended:
            self.console.print(f"{len(self.ended)} of {len(self.epochs)} runs were completed before")
        total = sum(self.epochs.values())
        self.task = self.bar.add_task("starting TensorFlow", total=total, runs=self._runs())

    def watch(self) -> None:
        while not self.stop.wait(POLL_SECONDS):
            self.look()

    def look(self) -> None:
        """Read the folders of the runs that had not ended, and show what is new."""
        done = sum(self.epochs[run] for run in self.ended)
        for run in [run for run in self.epochs if run not in self.ended]:
            record = _record(run)
            if record is None or record.started == self.before.get(run):
                continue
            if record.status.is_final:
                self._end(run, record)
                done += self.epochs[run]
            else:
                done += self._show_running(run, record)
        self.bar.update(self.task, completed=done, runs=self._runs())

    def _end(self, run: RunDir, record: RunRecord) -> None:
        self.ended.add(run)
        line = f"[{len(self.ended)}/{len(self.epochs)}] {record.run} {outcome(record)}"
        self.console.print(escape(line), highlight=False, soft_wrap=True)

    def _show_running(self, run: RunDir, record: RunRecord) -> int:
        """Put the run into the live line; returns its epochs so far."""
        try:
            history = run.read_history()
        except UserError:
            history = []
        loss = f" val_loss {history[-1]['val_loss']:.4f}" if history else ""
        text = f"{record.run} epoch {len(history)}/{self.epochs[run]}{loss}"
        self.bar.update(self.task, description=escape(text))
        return len(history)

    def _runs(self) -> str:
        return f"{len(self.ended)}/{len(self.epochs)} runs"


def outcome(record: RunRecord) -> str:
    """What became of a run, in a few words."""
    if record.status is not Status.COMPLETED or not record.best:
        return f"{record.status.value}: {record.reason}" if record.reason else record.status.value
    best = record.best
    return (
        f"completed: best val_loss {best['val_loss']:.4f}, val_accuracy {best['val_accuracy']:.4f} "
        f"at epoch {best['epoch']:g} of {record.epochs_run}, {record.seconds:.1f} s"
    )


def _record(run: RunDir) -> RunRecord | None:
    try:
        return run.read_record()
    except UserError:
        return None
