"""Time packs on a GPU: ``python scripts/benchmark_gpu.py --help`` says more.

Everything that is timed runs in processes of its own; what fails, or finds no time left, is named in the tables. It
runs on a CPU as well, where only its proportions mean something.
"""

from __future__ import annotations

import argparse
import csv
import io
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import gpu, gpu_sweep, machine
from benchmarks.grid import Settings
from benchmarks.processes import CommandError, program, run_together, shown
from benchmarks.results import number
from benchmarks.tables import table

from fashion_sweep.storage.atomic import write_text
from fashion_sweep.training.engines.jax.settings import ENVIRONMENT

SWEEP_EPOCHS = 20
SWEEPS = {"defaults": (), "no callbacks, nothing saved": ("callbacks=none", "save=none")}
"""What the whole command is timed with, besides its grid."""
STEPS_TRIED = "1,8,32"
"""steps_per_execution of ``fit``, which Keras unrolls on JAX: 32 steps take a minute to compile on a slow machine."""


class Log:
    """What was measured, as lines and rows."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self._arguments, self._end = arguments, time.monotonic() + 60 * float(arguments.minutes)
        self.sections: list[str] = []
        self.rows: list[dict[str, Any]] = []

    @property
    def left(self) -> float:
        """Seconds that are left."""
        return self._end - time.monotonic()

    def add(self, title: str, text: str, rows: Sequence[dict[str, Any]] = ()) -> None:
        """Add a section, print it, and write all files."""
        self.sections.append(f"## {title}\n\n{text}")
        self.rows += [{"section": title, **row} for row in rows]
        print(f"\n{self.sections[-1]}", flush=True)
        if self._arguments.output is not None:
            write_text(self._arguments.output, self.page())
        if self._arguments.csv is not None:
            write_text(self._arguments.csv, _csv(self.rows))

    def page(self) -> str:
        """All sections as markdown."""
        command = shlex.join(["python", "scripts/benchmark_gpu.py", *sys.argv[1:]])
        return "\n\n".join(["# Packs on a GPU", f"Printed by `{command}`.", *self.sections]) + "\n"


def main() -> None:
    """Measure and print."""
    arguments = _arguments()
    log, settings = Log(arguments), Settings(arguments.epochs, arguments.limit)
    log.add("Machine", table(["what", ""], [list(pair) for pair in machine.described().items()]))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for section in arguments.only:
            {"equality": _equality, "packs": _packs, "fit": _fit, "sweep": _sweeps}[section](
                log, arguments, settings, folder
            )


def _equality(log: Log, _arguments: argparse.Namespace, _settings: Settings, _folder: Path) -> None:
    """Whether the numbers of this device are those of plain Keras at all."""
    command = [sys.executable, str(Path(__file__).with_name("check_engine.py")), "--engine", "jax"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=max(1, log.left), check=False)
    except subprocess.TimeoutExpired:
        log.add("Equal to plain Keras?", "Not measured: no time was left.")
        return
    lines = [f"    {line}" for line in (done.stdout + done.stderr).splitlines() if "Warning" not in line]
    log.add("Equal to plain Keras?", "\n".join([f"Exit code {done.returncode}.", "", *lines[-12:]]))


def _packs(log: Log, arguments: argparse.Namespace, settings: Settings, folder: Path) -> None:
    speed = gpu.bandwidth()
    bound = gpu.bound_seconds(speed, settings)
    log.add(
        "Memory's bound",
        f"A copy on the device moves {speed / 1e9:.0f} GB/s, read and written. Training of one epoch of the README's "
        f"network with Adam, batches of 32, moves its weights, gradients and moments {gpu.FLOATS_MOVED} times a step: "
        f"{bound * 1e3:.2f} ms a run-epoch.",
        [{"bytes_per_second": speed, "bound_seconds": bound}],
    )
    alone: dict[str, float] = {}
    for part in gpu.parts(arguments.sizes):
        if part.what in arguments.leave_out:
            continue
        if log.left < 30:  # noqa: PLR2004 - seconds in which no part can be measured
            log.add(part.what, "Not measured: no time was left.")
            continue
        rows = gpu.measured(part, settings.epochs, settings.limit, folder, log.left)
        network = "cnn" if part.what == "cnn" else "mlp"
        alone.setdefault(network, next((row["run_epoch_seconds"] for row in rows if row["runs"] == 1), float("nan")))
        is_bounded = network == "mlp"
        log.add(part.what, _pack_table(rows, alone[network], bound if is_bounded else None), rows)
        if not rows:
            _show(folder / f"{part.what}.log")


def _pack_table(rows: Sequence[dict[str, Any]], alone: float, bound: float | None) -> str:
    heads = ["R", "ms a run-epoch", "1 alone / it", "share of the bound", "s, first epoch", "MiB, peak", "val_accuracy"]
    lines = []
    for row in rows:
        if "failed" in row:
            lines.append([str(row["runs"]), row["failed"], "", "", "", "", ""])
            continue
        seconds = row["run_epoch_seconds"]
        lines.append(
            [
                str(row["runs"]),
                number(1e3 * seconds),
                f"{number(alone / seconds)}x",
                "-" if bound is None else f"{100 * bound / seconds:.0f}%",
                number(row["compile_seconds"]),
                "-" if row["mib"] is None else f"{row['mib']:.0f}",
                f"{row['val_accuracy']:.4f}",
            ]
        )
    built = (
        f"\n\nBuilding a model: {1e3 * rows[0]['build_seconds']:.0f} ms." if rows and "failed" not in rows[0] else ""
    )
    return table(heads, lines) + built


def _fit(log: Log, arguments: argparse.Namespace, settings: Settings, folder: Path) -> None:
    """Keras' own fit, with as many steps at once as is best."""
    words = ["--epochs", "1", "--probe", "--jit-tried", "yes", "--steps-tried", arguments.steps_tried]
    command = program("best_fit", *words, *settings.arguments[2:])
    try:
        [done] = run_together([command], folder, dict(ENVIRONMENT))
    except CommandError as error:
        log.add("Keras' fit", f"Failed: {error}")
        return
    found = done.result
    rows = [[str(each["steps_per_execution"]), number(1e3 * each["s"])] for each in found["tried"]]
    text = table(["steps_per_execution", "ms an epoch"], rows) + f"\n\nval_accuracy {found['val_accuracy']:.4f}"
    log.add("Keras' fit", text, [{"runs": 1, "run_epoch_seconds": found["s"], "val_accuracy": found["val_accuracy"]}])


def _sweeps(log: Log, arguments: argparse.Namespace, settings: Settings, folder: Path) -> None:
    for name, options in SWEEPS.items():
        title = f"The whole command: {name}"
        if log.left < 60:  # noqa: PLR2004 - seconds in which no sweep can be measured
            log.add(title, "Not measured: no time was left.")
            continue
        place = folder / name.partition(",")[0]
        place.mkdir()
        try:
            found, words = gpu_sweep.measured(
                arguments.runs, arguments.sweep_epochs, settings.limit, [*options, *arguments.option], place
            )
        except CommandError as error:
            log.add(title, f"Failed: {error}")
            continue
        lines = [
            [key.replace("_", " "), value if isinstance(value, list) else number(value)] for key, value in found.items()
        ]
        shown_lines = [[str(cell) for cell in line] for line in lines]
        log.add(title, f"    {shown(words, place)}\n\n" + table(["what", ""], shown_lines), [found])


def _show(path: Path) -> None:
    """The end of what a failed process said."""
    print("\n".join(path.read_text().splitlines()[-15:]) if path.is_file() else "", flush=True)


def _csv(rows: Sequence[dict[str, Any]]) -> str:
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _arguments() -> argparse.Namespace:
    sections = ("equality", "packs", "fit", "sweep")
    parser = argparse.ArgumentParser(description="Time packs on a GPU against runs alone, Keras' fit, and processes.")
    parser.add_argument("--only", type=lambda text: text.split(","), default=sections, metavar=",".join(sections))
    parser.add_argument("--leave-out", type=lambda text: text.split(","), default=[], help="packs not to time")
    parser.add_argument("--sizes", type=_numbers, default=gpu.SIZES, help="runs of packs (default 1,8,32,...,1024)")
    parser.add_argument("--epochs", type=int, default=3, help="of packs, after the first (default 3)")
    parser.add_argument("--limit", type=int, help="use only the first LIMIT images (default: all)")
    parser.add_argument("--runs", type=int, default=1000, help="of the whole command (default 1000)")
    parser.add_argument("--sweep-epochs", type=int, default=SWEEP_EPOCHS, help="of each of these (default 20)")
    parser.add_argument("--steps-tried", default=STEPS_TRIED, help=f"by fit (default {STEPS_TRIED})")
    parser.add_argument("--option", action="append", default=[], help="further override of the whole command")
    parser.add_argument("--minutes", type=float, default=8, help="no further part is begun after these (default 8)")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the tables there as well, as markdown")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write all numbers there")
    return parser.parse_args()


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(each) for each in text.split(","))


if __name__ == "__main__":
    main()
