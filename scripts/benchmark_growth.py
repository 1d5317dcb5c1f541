"""How time, memory and files grow with the number of runs: ``python scripts/benchmark_growth.py --help`` says more."""

from __future__ import annotations

import argparse
import csv
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import machine
from benchmarks.processes import CommandError, Finished, run, shown
from benchmarks.tables import table

SIZES = (1, 10, 100, 1000)
SEEDS = 5
TRAINED = "a sweep"
DESCRIPTION = """\
Plan, train and report sweeps of a tiny network, of more and more runs, and print what each takes as Markdown.

plan: the command with plan=true, which composes and checks every grid point. sweep: the whole command, with its report.
report: scripts/report.py on the finished sweep. Each is a process of its own, imports included."""


@dataclass(frozen=True)
class Growth:
    """What a sweep of so many runs takes."""

    runs: int
    plan: Finished
    sweep: Finished
    report: Finished
    page_mb: float
    files: int
    mb: float

    @property
    def cells(self) -> dict[str, str]:
        """Column -> its text."""
        steps = {"plan": self.plan, TRAINED: self.sweep, "report": self.report}
        seconds = {f"{name}, s": f"{step.seconds:.1f}" for name, step in steps.items()}
        memory = {f"{name}, MiB": f"{step.peak_mb:.0f}" for name, step in steps.items()}
        return {
            "runs": f"{self.runs:,}",
            **seconds,
            f"{TRAINED}, ms a run": f"{1000 * self.sweep.seconds / self.runs:.0f}",
            **memory,
            "page, MB": f"{self.page_mb:.2f}",
            "files a run": f"{self.files / self.runs:.1f}",
            "kB a run": f"{1000 * self.mb / self.runs:.1f}",
        }


def command(runs: int, epochs: int, folder: Path, options: Sequence[str]) -> list[str]:
    """A sweep of so many runs into the folder: learning rates, each with SEEDS seeds where there are enough runs."""
    seeds = min(SEEDS, runs)
    rates = ",".join(f"{0.001 * (1 + place / 100):.5f}" for place in range(runs // seeds))
    tiny = ["model=softmax", "data=synthetic", "data.samples=200", "data.image_size=8", f"epochs={epochs}"]
    grid = [f"optimizer.learning_rate={rates}", f"seed=range({seeds})"]
    return [sys.executable, "-m", "fashion_sweep", "-m", *grid, *tiny, f"hydra.sweep.dir={folder}", *options]


def measured(runs: int, epochs: int, folder: Path, options: Sequence[str]) -> Growth:
    """Raises CommandError."""
    sweep = folder / "sweep"
    words = command(runs, epochs, sweep, options)
    plan = run([*words, "plan=true"], folder)
    trained = run(words, folder)
    report = run([sys.executable, str(Path(__file__).with_name("report.py")), str(sweep)], folder)
    page = (sweep / "report" / "index.html").stat().st_size
    sizes = [path.stat().st_size for path in sweep.rglob("*") if path.is_file()]
    return Growth(runs, plan, trained, report, page / 1e6, len(sizes), sum(sizes) / 1e6)


def main() -> None:
    """Print the tables; with --csv write every number, too."""
    arguments = _parser().parse_args()
    found = []
    for runs in arguments.sizes:
        with tempfile.TemporaryDirectory() as folder:
            try:
                found.append(measured(runs, arguments.epochs, Path(folder), arguments.option))
            except CommandError as error:
                raise SystemExit(f"{runs} runs: {error}") from None
        print(f"{runs} runs: {found[-1].sweep.seconds:.0f} s", file=sys.stderr)
    columns = list(found[0].cells)
    shape = shown(command(SEEDS, arguments.epochs, Path("FOLDER"), arguments.option))
    print(f"# Growth\n\n`{shape}`, with more learning rates.\n")
    print(table(columns, [list(each.cells.values()) for each in found]))
    print("\n" + table(["what", ""], list(machine.described().items())))
    if arguments.csv:
        with arguments.csv.open("w", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows(_rows(found))


def _rows(found: Sequence[Growth]) -> Iterator[Sequence[object]]:
    yield ["runs", "step", "quantity", "value"]
    for each in found:
        for name, step in (("plan", each.plan), ("sweep", each.sweep), ("report", each.report)):
            yield from ([each.runs, name, quantity, value] for quantity, value in step.costs.items())
        yield from ([each.runs, "files", name, getattr(each, name)] for name in ("page_mb", "files", "mb"))


def _parser() -> argparse.ArgumentParser:
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=DESCRIPTION, formatter_class=layout)
    parser.add_argument(
        "--sizes", type=sizes, default=SIZES, metavar="N,N,...", help=f"numbers of runs (default {SIZES})"
    )
    parser.add_argument("--epochs", type=int, default=20, help="of each run (default 20)")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write every number there")
    parser.add_argument("option", nargs="*", help="further overrides, such as hydra.launcher.pack_size=64")
    return parser


def sizes(text: str) -> list[int]:
    """Numbers of runs, each for settings with as many seeds. Raises ArgumentTypeError."""
    try:
        found = [int(each) for each in text.split(",")]
    except ValueError:
        found = [0]
    if min(found) < 1 or any(size > SEEDS and size % SEEDS for size in found):
        raise argparse.ArgumentTypeError(f"{text!r}: expected numbers of runs, above {SEEDS} multiples of {SEEDS}")
    return found


if __name__ == "__main__":
    main()
