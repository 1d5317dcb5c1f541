"""What a person sees while runs train: a live line at a terminal, one plain line a run elsewhere.

It watches the run folders, and nothing else: so it shows the same whatever launcher trains them, in whatever process.
Every file of a run is moved into its folder, which changes the folder's time: only folders whose time is new are read,
and one listing of the sweep's folder tells which of thousands of runs have any.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from fashion_sweep.errors import UserError
from fashion_sweep.storage.plain_text import clean
from fashion_sweep.storage.record import RunRecord, Status
from fashion_sweep.storage.run_dir import RunDir

POLL_SECONDS = 0.5
SETTLED_SECONDS = 2.0
"""Age of a folder's time from which on a write since would have changed it: file systems count in steps."""


_Version = tuple[Status, int, str | None, str | None]
"""What tells a record from an earlier one of the same run."""


@contextmanager
def shown(epochs: Mapping[RunDir, int], console: Console, kept: Collection[RunDir] = ()) -> Iterator[None]:
    """Show the progress of runs within the block.

    epochs: run -> how many it will have at most; kept: those of them that are not trained again.
    """
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
        watcher = _Watcher(dict(epochs), console, bar, set(kept))
        thread = threading.Thread(target=watcher.watch, daemon=True)
        with suppress(RuntimeError):  # this process may have no further thread: then all is said at the end
            thread.start()
        try:
            yield
        finally:
            watcher.stop.set()
            if thread.ident is not None:
                thread.join()
            watcher.look(everywhere=True)


@dataclass
class _Watcher:
    epochs: dict[RunDir, int]
    console: Console
    bar: Progress
    ended: set[RunDir]
    stop: threading.Event = field(default_factory=threading.Event)
    before: dict[RunDir, _Version] = field(init=False)  # of the records that runs have already
    places: dict[Path, dict[str, RunDir]] = field(init=False)  # folder -> name -> run that has not ended
    so_far: dict[RunDir, int] = field(init=False, default_factory=dict)  # epochs of the runs that have begun
    read_at: dict[RunDir, int] = field(init=False, default_factory=dict)  # the folder's time when read, 0: too new
    task: TaskID = field(init=False)

    def __post_init__(self) -> None:
        records = {run: _record(run) for run in self.epochs}
        self.before = {run: _version(record) for run, record in records.items() if record}
        self.places = {run.path.parent: {} for run in self.epochs}
        for run in self.epochs.keys() - self.ended:
            self.places[run.path.parent][run.path.name] = run
        if self.ended:
            self.console.print(self._said_of_before(records))
        total = sum(self.epochs.values())
        self.task = self.bar.add_task("starting", total=total, runs=self._runs())

    def _said_of_before(self, records: Mapping[RunDir, RunRecord | None]) -> str:
        kept = [record.status for run, record in records.items() if record and run in self.ended]
        completed = kept.count(Status.COMPLETED)
        others = f", {len(kept) - completed} that ended otherwise are left as they are" * (len(kept) > completed)
        return f"{completed} of {len(self.epochs)} runs were completed before{others}"

    def watch(self) -> None:
        while not self.stop.wait(POLL_SECONDS):
            self.look()

    def look(self, everywhere: bool = False) -> None:
        """Read the folders that may have changed of the runs that had not ended, and show what is new.

        everywhere: of all of them.
        """
        for run in [run for run in self.epochs if run not in self.ended] if everywhere else self._changed():
            record = _record(run)
            if record is None or _version(record) == self.before.get(run):
                continue
            if record.status.is_final:
                self._end(run, record)
            else:
                self.so_far[run] = self._show_running(run, record)
        done = sum(self.epochs[run] for run in self.ended) + sum(self.so_far.values())
        self.bar.update(self.task, completed=done, runs=self._runs())

    def _changed(self) -> Iterator[RunDir]:
        """The runs that have not ended and whose folders may have changed since they were read."""
        for folder, runs in self.places.items():
            with suppress(OSError), os.scandir(folder) as entries:
                found = [(runs[entry.name], entry.stat().st_mtime_ns) for entry in entries if entry.name in runs]
                yield from (run for run, at in found if self._is_news(run, at))

    def _is_news(self, run: RunDir, at: int) -> bool:
        """Whether to read a folder whose time, in ns, is ``at``."""
        before = self.read_at.get(run)
        self.read_at[run] = at if time.time_ns() - at > SETTLED_SECONDS * 1e9 else 0
        return before != at

    def _end(self, run: RunDir, record: RunRecord) -> None:
        self.ended.add(run)
        self.so_far.pop(run, None)
        del self.places[run.path.parent][run.path.name]
        line = f"[{len(self.ended)}/{len(self.epochs)}] {clean(f'{record.run} {outcome(record)}')}"
        self.console.print(escape(line), highlight=False, soft_wrap=True)

    def _show_running(self, run: RunDir, record: RunRecord) -> int:
        """Put the run into the live line; returns its epochs so far."""
        history, _ = run.salvage_history()
        loss = f" val_loss {history[-1]['val_loss']:.4f}" if history else ""
        epochs = f" epoch {len(history)}/{self.epochs[run]}" if "epochs" in record.config or history else ""
        text = f"{clean(record.run)}{epochs}{loss}"
        self.bar.update(self.task, description=escape(text))
        return len(history)

    def _runs(self) -> str:
        return f"{len(self.ended)}/{len(self.epochs)} runs"


def outcome(record: RunRecord) -> str:
    """What became of a run, in a few words."""
    if record.status is not Status.COMPLETED or not record.best:
        return f"{record.status.value}: {record.reason}" if record.reason else record.status.value
    epoch, found = record.best.get("epoch"), {key: record.best.get(key) for key in ("val_loss", "val_accuracy")}
    values = [f"{key} {value:.4f}" for key, value in found.items() if value is not None]
    if len(values) < len(found) or record.seconds is None:
        return str(record.status.value)
    values = values if record.objective == "val_loss" else values[::-1]
    when = f" at epoch {epoch:g} of {record.epochs_run}" if record.epochs_run and epoch is not None else ""
    return f"completed: best {', '.join(values)}{when}, {record.seconds:.1f} s"


def _version(record: RunRecord) -> _Version:
    return record.status, record.attempt, record.started, record.ended


def _record(run: RunDir) -> RunRecord | None:
    try:
        return run.read_record()
    except UserError:
        return None
