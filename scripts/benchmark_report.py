"""How a report's time and memory grow with the number of runs: ``python scripts/benchmark_report.py --help``."""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from benchmark_growth import SEEDS, command, sizes
from benchmarks import machine
from benchmarks.processes import CommandError, Finished, run
from benchmarks.tables import table

SIZES = (100, 1000, 10_000)
METRICS = ("loss", "accuracy", "val_loss", "val_accuracy")
NOISE = 0.05
DESCRIPTION = """\
Report sweeps of more and more runs, and print what each report takes as Markdown.

A tiny sweep is trained once. The runs of larger ones are copies of its runs under other learning rates, with a little
noise on their results: to a report they are as good as trained."""
IMPORTS = "import fashion_sweep.reporting.gallery, fashion_sweep.reporting.report, seaborn"


class Reported(NamedTuple):
    """What the report of so many runs takes, and the imports of that."""

    runs: int
    report: Finished
    imports: Finished
    page_mb: float

    @property
    def cells(self) -> dict[str, str]:
        """Column -> its text."""
        own = self.report.seconds - self.imports.seconds
        return {
            "runs": f"{self.runs:,}",
            "report, s": f"{self.report.seconds:.1f}",
            "of it imports, s": f"{self.imports.seconds:.1f}",
            "the rest, ms a run": f"{1000 * own / self.runs:.1f}",
            "MiB": f"{self.report.peak_mb:.0f}",
            "page, MB": f"{self.page_mb:.2f}",
        }


def enlarge(trained: Path, sweep: Path, runs: int) -> None:
    """Write a sweep of so many runs, copied from those of a trained one with SEEDS seeds of one setting."""
    plan = json.loads((trained / "sweep.json").read_text())
    shutil.copytree(trained / "code", sweep / "code")
    names = [entry["run"] for entry in plan["runs"]]
    rates = [f"{0.001 * (1 + place / 100):.5f}" for place in range(runs // SEEDS)]
    plan["runs"] = [_copied(trained / name, sweep, rate) for rate in rates for name in names]
    (sweep / "sweep.json").write_text(json.dumps(plan))


def _copied(run: Path, sweep: Path, rate: str) -> dict[str, Any]:
    """Copy a run under another learning rate. Returns its entry in the sweep's plan."""
    record = json.loads((run / "run.json").read_text())
    identity = hashlib.sha256(f"{rate} {record['seed']}".encode()).hexdigest()
    name, factor = f"learning_rate-{rate}_seed-{record['seed']}_{identity[:8]}", 1 + NOISE * Random(identity).random()
    lines = [f"optimizer.learning_rate={rate}" if "learning_rate" in line else line for line in record["overrides"]]
    record |= {"run": name, "identity": identity, "overrides": lines}
    record["config"]["optimizer"]["learning_rate"] = float(rate)
    for row in (record["best"], record["last"]):
        row |= {metric: row[metric] * factor for metric in METRICS}
    shutil.copytree(run, sweep / name)
    (sweep / name / "run.json").write_text(json.dumps(record))
    _write_history(run / "history.csv", sweep / name / "history.csv", factor)
    return {"run": name, "overrides": lines, "identity": identity}


def _write_history(source: Path, target: Path, factor: float) -> None:
    with source.open() as file, target.open("w", newline="") as copy:
        reader = csv.DictReader(file)
        writer = csv.DictWriter(copy, reader.fieldnames or (), lineterminator="\n")
        writer.writeheader()
        writer.writerows(row | {metric: float(row[metric]) * factor for metric in METRICS} for row in reader)


def measured(trained: Path, runs: int) -> Reported:
    """Raises CommandError."""
    report = [sys.executable, str(Path(__file__).with_name("report.py"))]
    with tempfile.TemporaryDirectory() as folder:
        sweep = Path(folder, "sweep")
        enlarge(trained, sweep, runs)
        imports = run([sys.executable, "-c", IMPORTS], sweep)
        found = run([*report, str(sweep)], sweep)
        return Reported(runs, found, imports, (sweep / "report" / "index.html").stat().st_size / 1e6)


def main() -> None:
    """Print the table; with --csv write every number, too."""
    arguments = _parser().parse_args()
    found = []
    with tempfile.TemporaryDirectory() as folder:
        trained = Path(folder, "trained")
        try:
            run(command(SEEDS, arguments.epochs, trained, []), Path(folder))  # its report fills caches, as of fonts
            for runs in arguments.sizes:
                found.append(measured(trained, runs))
                print(f"{runs} runs: {found[-1].report.seconds:.1f} s", file=sys.stderr)
        except CommandError as error:
            raise SystemExit(str(error)) from None
    print(f"# Reports\n\nRuns of {arguments.epochs} epochs, {SEEDS} seeds of each setting.\n")
    print(table(list(found[0].cells), [list(each.cells.values()) for each in found]))
    print("\n" + table(["what", ""], list(machine.described().items())))
    if arguments.csv:
        with arguments.csv.open("w", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows(_rows(found))


def _rows(found: Sequence[Reported]) -> list[Sequence[object]]:
    rows: list[Sequence[object]] = [["runs", "step", "quantity", "value"]]
    for each in found:
        for name, step in (("report", each.report), ("imports", each.imports)):
            rows += [[each.runs, name, quantity, value] for quantity, value in step.costs.items()]
        rows.append([each.runs, "report", "page_mb", each.page_mb])
    return rows


def _sizes(text: str) -> list[int]:
    found = sizes(text)
    if min(found) < SEEDS:
        raise argparse.ArgumentTypeError(f"{text!r}: expected multiples of {SEEDS}")
    return found


def _parser() -> argparse.ArgumentParser:
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=DESCRIPTION, formatter_class=layout)
    parser.add_argument(
        "--sizes", type=_sizes, default=SIZES, metavar="N,N,...", help=f"numbers of runs (default {SIZES})"
    )
    parser.add_argument("--epochs", type=int, default=20, help="of each run (default 20)")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write every number there")
    return parser


if __name__ == "__main__":
    main()
