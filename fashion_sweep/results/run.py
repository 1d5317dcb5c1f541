"""One run of a sweep, for notebooks and scripts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from fashion_sweep.analysis.folders import FoundRun
from fashion_sweep.storage import reading
from fashion_sweep.storage.plain_text import clean_lines
from fashion_sweep.storage.record import RunRecord
from fashion_sweep.storage.run_dir import RunDir


class Run:
    """A run as its folder was when it was loaded; ``log`` and ``model`` read the folder as it is now."""

    def __init__(self, name: str, found: FoundRun) -> None:
        self.name = name
        self._found = found

    @property
    def folder(self) -> Path:
        return self._found.path

    @property
    def record(self) -> RunRecord | None:
        """What run.json says: status, seed, versions, device, times, metrics; None before the run has started."""
        return self._found.record

    @property
    def config(self) -> dict[str, Any]:
        """The resolved config that the run was trained with, secrets redacted; empty before it has started."""
        return self.record.config if self.record else {}

    @property
    def history(self) -> pd.DataFrame:
        """A row for each epoch that could be read, the columns those of history.csv; empty before the first epoch."""
        rows = pd.DataFrame(self._found.history)
        return rows if rows.empty else rows.astype({"epoch": "int64"})

    @property
    def log(self) -> str:
        """The text of train.log, of at most 64 MiB; empty if there is none. Raises UnreadableError."""
        try:
            content, _ = reading.read_start(RunDir(self.folder).log, reading.MOST_BYTES)
        except FileNotFoundError:
            return ""
        return clean_lines(content.decode("utf-8", "replace"))

    def model(self, *, last: bool = False, file: str | None = None) -> Any:
        """The saved keras.Model, not compiled: the best one, or else that of the last epoch.

        It takes batches of images scaled to [0, 1] and gives class probabilities. last: only that of the last epoch;
        file: the name of another file in the folder. Imports Keras with the engine that trained the run, unless this
        process has imported it already. Models are loaded in Keras' safe mode.
        Raises FolderError where there is no such file or it is damaged, ConfigError where settings of Keras on this
        machine would change what the model computes.
        """
        from fashion_sweep.config import recorded
        from fashion_sweep.config.redaction import redacted_errors
        from fashion_sweep.evaluation.importing import first_import
        from fashion_sweep.evaluation.saved_model import choose, load, open_run

        run = open_run(self.folder)
        with redacted_errors(run.hidden):
            chosen = choose(run, last=last, name=file)
            recorded.check(run.folder, run.record.config)
            with first_import(run):
                return load(run, chosen)

    def __repr__(self) -> str:
        record = self.record or RunRecord("", "")
        reason = f" ({clean_lines(record.reason)})" if record.reason else ""
        return f"<Run {self.name}: {record.status.value}{reason}, {len(self._found.history)} epochs, {self.folder}>"
