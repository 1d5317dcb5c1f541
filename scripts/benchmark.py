"""Time the README's sweep against other ways to train it: ``python scripts/benchmark.py --help`` says more.

Repeats are interleaved, so that a machine that gets slower affects every line. A line whose command fails is shown
as failed, with the last lines that it printed, and the others go on.
"""

from __future__ import annotations

import argparse
import shlex
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from benchmarks import contestants, engines, floor, machine, overhead
from benchmarks.grid import FIDELITY, Settings
from benchmarks.processes import CommandError
from benchmarks.results import Results, Sample, number
from benchmarks.tables import Benchmark, csv_text, markdown

from fashion_sweep.errors import UserError
from fashion_sweep.storage.atomic import write_text

SECTIONS = (*contestants.WHAT, "floor", "overhead", "engines")
REHEARSAL = Settings(1, 500)
FAILURES = (CommandError, UserError, ValueError)
"""What a measurement raises if its command failed or did not leave trained runs."""
HELP = """A: the notes' code; B and C: basic and joblib launcher with fit; D: the best fit; E: ours from the command
line; F: ours in steady state (comes with E); floor: of the machine; overhead: of a job, by launcher; engines: what
each costs a run; default: all"""


Measured = tuple[contestants.Found, str]
"""Line -> quantities; the command."""


@dataclass(frozen=True)
class Task:
    """One thing to measure once in every repeat."""

    line: str
    repeats: int
    measure: Callable[[], Measured]
    rehearse: Callable[[], object]  # the same, tiny
    skip_reason: str = ""  # why it cannot be measured here; empty if it can


@dataclass
class Log:
    """The measurements so far."""

    samples: list[Sample] = field(default_factory=list)
    commands: dict[str, str] = field(default_factory=dict)
    failed: bool = False

    def add(self, task: Task, repeat: int) -> None:
        """Measure a task and print the result."""
        if task.skip_reason:
            self.samples.append(Sample(task.line, repeat, missing=task.skip_reason))
            _print_line(f"repeat {repeat}  {task.line}: skipped: {task.skip_reason}")
            return
        try:
            found, command = task.measure()
        except FAILURES as error:
            self.failed = True
            self.samples.append(Sample(task.line, repeat, missing=f"repeat {repeat} failed"))
            _print_line(f"repeat {repeat}  {task.line}: failed: {error}")
            return
        if command:
            self.commands[task.line] = command
        for line, values in found.items():
            self.samples.append(Sample(line, repeat, values))
            _print_line(f"repeat {repeat}  {line}: {_brief(values)}")


def main() -> None:
    """Measure and print; exit code 1 if a command failed."""
    arguments = _arguments()
    settings = Settings(arguments.epochs, arguments.limit)
    described = machine.described()
    tasks = list(_tasks(arguments, settings))
    _rehearse(tasks)
    log, command = Log(), shlex.join(["python", "scripts/benchmark.py", *sys.argv[1:]])

    def current() -> Benchmark:
        probe = contestants.probes.get(settings.limit, {})
        return Benchmark(command, settings, described, Results(log.samples), log.commands, probe)

    for repeat in range(1, arguments.repeats + 1):
        for task in tasks:
            if repeat <= task.repeats:
                log.add(task, repeat)
        _write(current(), arguments)  # an interrupted benchmark keeps its complete repeats
    page, rows = markdown(current()), csv_text(current())
    print(f"\n{page}" if arguments.csv is not None else f"\n{page}\n{rows}", flush=True)
    sys.exit(log.failed)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Time the README's sweep against other ways to train it.")
    parser.add_argument("--epochs", type=_count, default=20, help="of every run (default 20)")
    parser.add_argument("--repeats", type=_count, default=3, help="of every measurement (default 3)")
    parser.add_argument("--baseline-repeats", type=_count, help="of A, which takes minutes (default: --repeats)")
    parser.add_argument("--only", type=_sections, default=SECTIONS, metavar="A,B,...", help=HELP)
    parser.add_argument("--limit", type=_images, help="use only the first LIMIT images, at least 100 (default: all)")
    parser.add_argument("--jobs", type=_jobs, default=200, help="jobs of the overhead, at least 2 (default 200)")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the tables there as well, as markdown")
    parser.add_argument("--csv", type=Path, metavar="FILE", help="write all numbers there (default: print them)")
    return parser.parse_args()


def _at_least(text: str, least: int) -> int:
    if int(text) < least:
        raise argparse.ArgumentTypeError(f"{text} is too small, expected at least {least}")
    return int(text)


def _count(text: str) -> int:
    return _at_least(text, 1)


def _jobs(text: str) -> int:
    return _at_least(text, 2)


def _images(text: str) -> int:
    return _at_least(text, 100)


def _sections(text: str) -> tuple[str, ...]:
    given = text.split(",")
    wrong = [name for name in given if name not in SECTIONS]
    if wrong:
        raise argparse.ArgumentTypeError(f"{', '.join(wrong)}: expected some of {','.join(SECTIONS)}")
    return tuple(name for name in SECTIONS if name in given)


def _tasks(arguments: argparse.Namespace, settings: Settings) -> Iterator[Task]:
    """The tasks in the order of a repeat."""
    only, repeats = arguments.only, arguments.repeats
    for line in dict.fromkeys("E" if line == "F" else line for line in only if line in contestants.WHAT):
        own = (arguments.baseline_repeats or repeats) if line == "A" else repeats
        yield Task(line, own, _of_line(line, settings), _of_line(line, REHEARSAL), contestants.skip_reason(line))
    if "floor" in only:
        yield Task("floor", repeats, lambda: ({"floor": floor.measure(settings)}, ""), lambda: None)
    for launcher in overhead.LAUNCHERS if "overhead" in only else ():
        line = f"overhead {launcher}"
        of_jobs = (partial(overhead.measure, launcher, jobs) for jobs in (arguments.jobs, 2))
        measure, rehearse = (_in_folder(line, each) for each in of_jobs)
        yield Task(line, repeats, measure, rehearse, overhead.why_not(launcher))
    for line, engine in engines.LINES.items() if "engines" in only else ():
        of_images = (partial(engines.measure, engine, limit) for limit in (arguments.limit, REHEARSAL.limit))
        measure, rehearse = (_in_folder(line, each) for each in of_images)
        yield Task(line, repeats, measure, rehearse, engines.why_not(engine))


def _of_line(line: str, settings: Settings) -> Callable[[], Measured]:
    return lambda: contestants.measure(line, settings)


def _in_folder(line: str, measure: Callable[[Path], tuple[dict[str, float], str]]) -> Callable[[], Measured]:
    """What measures a line in an empty folder."""

    def measured() -> Measured:
        with tempfile.TemporaryDirectory() as folder:
            found, command = measure(Path(folder))
        return {line: found}, command

    return measured


def _rehearse(tasks: Sequence[Task]) -> None:
    """Run every command once, tiny and unmeasured, to write byte code, cache files and fail early."""
    for task in tasks:
        if task.skip_reason:
            continue
        _print_line(f"rehearsal  {task.line}")
        try:
            task.rehearse()
        except FAILURES as error:
            _print_line(f"rehearsal of {task.line} failed: {error}")
            sys.exit(1)


def _brief(values: dict[str, float]) -> str:
    """The main numbers of a sample on one line."""
    names = {"wall_seconds": "s wall", "run_epoch_seconds": "s a run-epoch", "ms_per_job": "ms a job"}
    parts = [f"{number(values[key])} {name}" for key, name in names.items() if key in values]
    accuracies = [values[key] for key in FIDELITY if key in values]
    return ", ".join(parts + ([f"val_accuracy {sum(accuracies) / len(accuracies):.4f}"] if accuracies else []))


def _write(benchmark: Benchmark, arguments: argparse.Namespace) -> None:
    for path, text in ((arguments.output, markdown(benchmark)), (arguments.csv, csv_text(benchmark))):
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_text(path, text)


def _print_line(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    main()
