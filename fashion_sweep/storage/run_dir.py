"""The names and formats of a run's files, defined here and nowhere else; ``sweep_dir`` has those of a sweep.

Training writes through this module and analysis reads through it, so that neither depends on the other.
Every file is written under a temporary name and renamed: a reader never sees half of one.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from fashion_sweep.errors import FolderError, UnreadableError
from fashion_sweep.storage import reading
from fashion_sweep.storage.atomic import write_text
from fashion_sweep.storage.record import METRICS, RunRecord

HISTORY_COLUMNS = ("epoch", "loss", "accuracy", "val_loss", "val_accuracy", "learning_rate", "seconds")
"""Columns of history.csv in their order; ``learning_rate`` is there only for runs that change it."""

LOG_END = 4096
"""Bytes at the end of a log that are looked at."""

MOST_HISTORY = 16 * reading.MIB
"""Size above which only the start of a history is read: 100,000 epochs have less."""


@dataclass(frozen=True)
class RunDir:
    """The files of one run."""

    path: Path

    @property
    def record(self) -> Path:
        return self.path / "run.json"

    @property
    def history(self) -> Path:
        return self.path / "history.csv"

    @property
    def model_summary(self) -> Path:
        return self.path / "model.txt"

    @property
    def last_model(self) -> Path:
        return self.path / "last.keras"

    @property
    def last_weights(self) -> Path:
        return self.path / "last.weights.h5"

    @property
    def last_h5(self) -> Path:
        """The whole model in Keras' legacy format."""
        return self.path / "last.h5"

    @property
    def folds(self) -> Path:
        """Scores of every fold of a cross-validation, one row each."""
        return self.path / "folds.csv"

    @property
    def log(self) -> Path:
        return self.path / "train.log"

    @property
    def composed(self) -> Path:
        """The config as Hydra composed it, interpolations unresolved."""
        return self.path / ".hydra" / "config.yaml"

    @property
    def state(self) -> Path:
        """What an interrupted run needs to continue; removed once the run has ended."""
        return self.path / "state.npz"

    @staticmethod
    def own_names() -> list[str]:
        """The names of what is written into a run's folder."""
        run = RunDir(Path())
        texts = (run.record, run.history, run.model_summary, run.folds, run.log, run.state)
        models = (run.last_model, run.last_weights, run.last_h5, Path("best.keras"))
        return [*(path.name for path in (*texts, *models)), run.composed.parent.name]

    def files(self) -> list[str]:
        """The names of the files in the folder, sorted, without hidden ones; none where it cannot be read."""
        try:
            with os.scandir(self.path) as entries:
                return sorted(each.name for each in entries if each.name[0] != "." and _is_file(each))
        except OSError:
            return []

    def log_end(self, lines: int) -> list[str]:
        """The last lines of the log, without blank ones; none where it cannot be read."""
        try:
            text = reading.read_end(self.log, LOG_END).decode("utf-8", "replace")
        except (FileNotFoundError, UnreadableError):
            return []
        return [line for line in text.splitlines() if line.strip()][-lines:]

    def clear_leftovers(self) -> None:
        """Remove temporary files of killed processes, see ``replacing``; models may have any name, in any folder."""
        for path in self.path.rglob(".[0-9]*.*"):
            pid, _, name = path.name[1:].partition(".")
            is_ours = name in self.own_names() or name.endswith((".keras", ".h5"))
            if pid.isdecimal() and is_ours and not path.is_dir():
                path.unlink(missing_ok=True)

    def read_record(self) -> RunRecord | None:
        """The run's record; None if there is none yet.

        Raises FolderError for one that is damaged, UnreadableError where the file cannot be read.
        """
        try:
            return RunRecord.from_json(reading.read_text(self.record))
        except FileNotFoundError:
            return None
        except (ValueError, TypeError) as error:
            raise FolderError(f"{self.record}: cannot be read as a run's record ({error})") from error

    def record_before(self) -> RunRecord | None:
        """As ``read_record``; None for one that is damaged, which is no proof of a finished run.

        Raises UnreadableError.
        """
        try:
            return self.read_record()
        except UnreadableError:
            raise
        except FolderError:
            return None

    def write_record(self, record: RunRecord) -> None:
        write_text(self.record, record.to_json())

    def overwrite_record(self, record: RunRecord) -> None:
        """Overwrite the existing file in place: this works on a full disk, but is not atomic."""
        text = json.dumps(json.loads(record.to_json()), separators=(",", ":")).encode()
        with self.record.open("r+b") as file:
            file.write(text.ljust(self.record.stat().st_size))

    def read_history(self) -> list[dict[str, float]]:
        """One dict an epoch, numbers as floats. Empty if there is none yet.

        Raises FolderError for one that is damaged, UnreadableError where the file cannot be read.
        """
        rows, fault = self._history()
        if fault:
            raise FolderError(f"{self.history}: cannot be read as a history ({fault})")
        return rows

    def salvage_history(self) -> tuple[list[dict[str, float]], str]:
        """The epochs before the first damaged line, and what is wrong with that line: empty if nothing is."""
        try:
            return self._history()
        except UnreadableError as error:
            return [], str(error).removeprefix(f"{self.history}: ")

    def _history(self) -> tuple[list[dict[str, float]], str]:
        try:
            content, has_more = reading.read_start(self.history, MOST_HISTORY)
        except FileNotFoundError:
            return [], ""
        except ValueError as error:
            return [], str(error)
        rows, fault = _epochs(content.decode("utf-8", "replace").split("\n"))
        return rows, f"it is larger than {MOST_HISTORY // reading.MIB} MiB" if has_more else fault

    def write_history(self, rows: Sequence[Mapping[str, float]]) -> None:
        """Write all epochs so far; every row has the keys of the first, a subset of HISTORY_COLUMNS."""
        columns = [name for name in HISTORY_COLUMNS if name in rows[0]]
        lines = [columns, *([_cell(row[name]) for name in columns] for row in rows)]
        write_text(self.history, "".join(",".join(line) + "\n" for line in lines))


def _epochs(lines: Sequence[str]) -> tuple[list[dict[str, float]], str]:
    """The epochs in the lines of a file, and what is wrong with the first damaged line."""
    rows: list[dict[str, float]] = []
    columns = lines[0].strip().split(",")
    if len(lines) == 1 or not {"epoch", *METRICS} <= set(columns):
        return [], f"line 1 is not the column names: {lines[0]!r:.60}"
    for number, line in enumerate(lines[1:-1], start=2):
        try:
            rows.append(_epoch(columns, line, len(rows) + 1))
        except ValueError as error:
            return rows, f"line {number} is damaged: {error!s:.80}"
    # Every line is written with a newline: without one, a truncated number could pass for a whole one.
    if lines[-1]:
        return rows, f"line {len(lines)} is damaged: truncated"
    return rows, "" if rows else "it ends after the column names"  # it is written with its first epoch


def _epoch(columns: Sequence[str], line: str, epoch: int) -> dict[str, float]:
    """Parse a line of history.csv. Raises ValueError unless it is that of the given epoch."""
    cells = line.split(",")
    if len(cells) != len(columns):
        raise ValueError(f"it has {len(cells)} cells, expected {len(columns)}")
    row = dict(zip(columns, map(float, cells), strict=True))
    if row["epoch"] != epoch:
        raise ValueError(f"its epoch is {row['epoch']:g}, expected {epoch}")
    return row


def _is_file(entry: os.DirEntry[str]) -> bool:
    return entry.is_file(follow_symlinks=False)


def _cell(value: float) -> str:
    return str(value) if isinstance(value, int) else repr(float(value))
