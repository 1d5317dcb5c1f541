"""``report.py --watch``: reports that follow sweeps while they run."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from fashion_sweep.analysis.folders import Folder, Reader, check_folder, read_folder
from fashion_sweep.reporting.report import Report
from fashion_sweep.storage.lease import owner_of_run
from fashion_sweep.storage.record import Status

INTERVAL_S = 5.0
"""Seconds between two looks at the folders, at least."""
REST = 4
"""How many times as long as a look and its reports took, the next one waits: the runs need the machine."""


@dataclass
class Watched:
    """One report. write: writes it; it gets the reader that knows the folders already."""

    folders: Sequence[Path]
    write: Callable[[Reader], Report]
    reader: Reader = field(default_factory=Reader)
    read: list[Folder] = field(default_factory=list)  # what the last report was written of

    def updates(self) -> Iterator[Report]:
        """The report, written again, if anything has changed since. Raises FolderError for a folder that is gone."""
        for folder in self.folders:
            check_folder(folder)
        now = [read_folder(folder, self.reader) for folder in self.folders]
        if now != self.read:
            self.read = now
            yield self.write(self.reader)

    @property
    def is_running(self) -> bool:
        """Whether some run is being trained."""
        records = [run.record for folder in self.read for run in folder.runs if run.record]
        return any(record.status is Status.RUNNING for record in records)


def watch(every: Sequence[Watched], console: Console) -> list[Report]:
    """Keep reports up to date until no command trains into their folders any more. Returns them as they are then."""
    from fashion_sweep.reporting import table

    reports: dict[int, Report] = {}
    while True:
        began = time.monotonic()
        # Asked before reading, so that the last epochs are read.
        has_owner = any(owner_of_run(folder) for each in every for folder in each.folders)
        for place, each in enumerate(every):
            for report in each.updates():
                reports[place] = report
                said = f"{time.strftime('%H:%M:%S')} {table.sentence(report.table)} Report: {report.page}"
                console.print(escape(said), highlight=False, soft_wrap=True)
        if not has_owner and not any(each.is_running for each in every):
            return list(reports.values())
        time.sleep(max(INTERVAL_S, REST * (time.monotonic() - began)))
