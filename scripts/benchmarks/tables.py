"""The tables of a benchmark, as markdown and as CSV: pure functions of what was measured."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from benchmarks import engines, floor, gpu, overhead, timeline
from benchmarks.contestants import WHAT
from benchmarks.grid import FIDELITY, OPTIMIZERS, PARAMETERS, RUNS, Settings, quantity
from benchmarks.results import Results, number, targets

SHOWN_ACCURACY = quantity("adam", 0.3)


@dataclass(frozen=True)
class Benchmark:
    """A benchmark that has ended."""

    command: str
    settings: Settings
    machine: Mapping[str, str]
    results: Results
    commands: Mapping[str, str]  # line -> its command
    best_fit: Mapping[str, Any] = field(default_factory=dict)  # what best_fit.py --probe printed

    @property
    def on_gpu(self) -> bool:
        return self.machine.get("GPU", gpu.NONE) != gpu.NONE


def markdown(benchmark: Benchmark) -> str:
    """The whole page as markdown."""
    results = benchmark.results
    parts = [
        "# Benchmarks",
        _opening(benchmark),
        _sweeps(results),
        _targets(benchmark),
        _timeline(results),
        _floor(benchmark),
        _overhead(results),
        _engines(results),
        _probe(benchmark.best_fit),
        "## Commands\n\nFOLDER is a new folder each time.\n\n" + _code(benchmark.commands),
        "## Machine\n\n" + table(["what", ""], list(benchmark.machine.items())),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def csv_text(benchmark: Benchmark) -> str:
    """Every number that was measured, a row each, after what it was measured on."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["line", "repeat", "quantity", "value"])
    settings = {"command": benchmark.command, "epochs": benchmark.settings.epochs, "limit": benchmark.settings.limit}
    writer.writerows(("about", "", key, value) for key, value in {**benchmark.machine, **settings}.items())
    writer.writerows(("command", "", line, command) for line, command in benchmark.commands.items())
    for sample in benchmark.results.samples:
        missing = {"missing": sample.missing} if sample.missing else {}
        for key, value in {**sample.values, **missing}.items():
            writer.writerow([sample.line, sample.repeat, key, value])
    return text.getvalue()


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A markdown table."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)


def _opening(benchmark: Benchmark) -> str:
    settings = benchmark.settings
    runs = ", ".join(f"{optimizer} {dropout:g}" for optimizer, dropout in RUNS)
    sizes = f"{settings.train_images:,} training and {settings.validation_images:,} validation images"
    return (
        f"Printed by `{benchmark.command}` on {benchmark.machine.get('date', 'an unknown date')}.\n\n"
        f"Every line trains the same {len(RUNS)} runs (optimizer and dropout rate: {runs}), epochs: {settings.epochs}. "
        f"Fashion-MNIST, {sizes}, a network 784-100-10 of {PARAMETERS:,} weights, batches of 32. "
        "Repeats are interleaved (A B C ..., A B C ...); numbers are medians, with the range of the repeats in "
        "brackets. Each command was run once before, on 500 images, so that its files were in memory."
    )


def _sweeps(results: Results) -> str:
    heads = ["", "what", "wall s", "A / it", "cores busy", "MiB", "s a run-epoch", "A / it"]
    heads += ["val_accuracy, mean of 6", "Adam, dropout 0.3"]
    rows = [_sweep_row(results, line) for line in WHAT if _was_asked(results, line)]
    if not rows:
        return ""
    notes = (
        "A / it: how many times faster than A. Wall: from the start of the command to its end, imports, compilation, "
        "saved models and reports included. Cores busy: CPU time / wall. MiB: resident memory of its largest process. "
        "Run-epoch: one epoch of one run, validation included, in seconds of the whole machine: the mean over all "
        "epochs but the first of each run, divided by the number of runs in training at once "
        f"({_at_once(results)}); for A the whole of `fit`, first epochs included. val_accuracy: after the last epoch."
    )
    return f"## The README's sweep\n\n{table(heads, rows)}\n\n{notes}"


def _was_asked(results: Results, line: str) -> bool:
    return any(sample.line == line for sample in results.samples)


def _sweep_row(results: Results, line: str) -> list[str]:
    missing = results.missing(line)
    wall, cpu = results.median(line, "wall_seconds"), results.median(line, "cpu_seconds")
    return [
        line,
        WHAT[line] + (f" ({missing})" if missing else ""),
        results.spread(line, "wall_seconds"),
        _times(results.times_faster(line, "A", "wall_seconds")),
        number(cpu / wall) if cpu is not None and wall else "-",
        _plain(results.median(line, "peak_mb")),
        results.spread(line, "run_epoch_seconds"),
        _times(results.times_faster(line, "A", "run_epoch_seconds")),
        _accuracy(results.mean_of_medians(line, FIDELITY)),
        _accuracy(results.median(line, SHOWN_ACCURACY)),
    ]


def _at_once(results: Results) -> str:
    found = {line: results.median(line, "at_once") for line in ("B", "C", "F")}
    return ", ".join(f"{line}: {value:g}" for line, value in found.items() if value is not None) or "1"


def _targets(benchmark: Benchmark) -> str:
    rows = [
        (
            target.text,
            f"{'below' if target.at_most else 'at least'} {target.bound:g}{target.unit}",
            "-" if target.measured is None else f"{number(target.measured)}{target.unit}",
            target.verdict,
        )
        for target in targets(benchmark.results, on_gpu=benchmark.on_gpu)
    ]
    is_full = benchmark.settings == Settings(20)
    asked = "" if is_full else "\n\nThe targets are for 20 epochs of all images, which this is not."
    asked += (
        " With one epoch there is no steady state, so the first epoch counts." if benchmark.settings.epochs == 1 else ""
    )
    return f"## Targets\n\n{table(['target', 'asked for', 'measured', ''], rows)}{asked}"


def _timeline(results: Results) -> str:
    if not results.values("E", next(iter(timeline.STEPS))):
        return ""
    rows = [[text, results.spread("E", step)] for step, text in timeline.STEPS.items()]
    notes = "Of E, wall seconds, one after the other. Epochs of runs that are in training at once count once."
    return f"## Where the seconds go\n\n{notes}\n\n{table(['step', 's'], rows)}"


def _floor(benchmark: Benchmark) -> str:
    results = benchmark.results
    missing = results.missing("floor")
    if not results.values("floor", "run_epoch_seconds"):
        return f"## The machine's floor\n\nNot measured: {missing}." if missing else ""
    products = [
        [
            each.name,
            f"{each.rows}x{each.inner}x{each.columns}",
            *(_micro(results, f"{lib} {each.name}") for lib in floor.LIBRARIES),
        ]
        for each in floor.PRODUCTS
    ]
    quantities = {name: f"run_epoch_seconds_{name}" for name in OPTIMIZERS} | {"all six runs": "run_epoch_seconds"}
    shares = [
        [name, results.spread("floor", each), results.spread("F", each), _share(results, each)]
        for name, each in quantities.items()
    ]
    copied = number((results.median("floor", "bytes_per_second") or 0) / 1e9)
    flops = number(results.median("floor", "gflops_per_core") or 0)
    traffic = ", ".join(f"{count} ({name})" for name, count in floor.TRAFFIC.items())
    return "\n\n".join(
        [
            "## The machine's floor",
            "Every core has a process with one thread, all at work at once, operands in the cache; microseconds."
            + (" It is the processor's floor, and F ran on a GPU." if benchmark.on_gpu else ""),
            table(["product", "size", *floor.LIBRARIES], products),
            f"The fastest of each come to {flops} GFLOP/s a core in a training step; the optimizer reads and writes "
            f"{traffic} times {PARAMETERS:,} floats a step at {copied} GB/s, the speed of a copy. Seconds of the "
            "machine a run-epoch, validation included:",
            table(["runs", "floor", "F", "floor / F"], shares),
        ]
    )


def _overhead(results: Results) -> str:
    rows = [
        [
            launcher,
            *(
                results.spread(f"overhead {launcher}", each)
                for each in ("seconds_of_1", "seconds_of_all", "ms_per_job")
            ),
            results.missing(f"overhead {launcher}"),
        ]
        for launcher in overhead.LAUNCHERS
        if _was_asked(results, f"overhead {launcher}")
    ]
    if not rows:
        return ""
    heads = ["launcher", "s, one job", "s, all jobs", "ms a job", ""]
    notes = "Jobs that do nothing, of a small app: wall seconds of all minus those of one, divided by the rest."
    return f"## Overhead a job\n\n{table(heads, rows)}\n\n{notes}"


def _engines(results: Results) -> str:
    rows = [
        [engine, *(results.spread(line, each) for each in engines.QUANTITIES), results.missing(line)]
        for line, engine in engines.LINES.items()
        if _was_asked(results, line)
    ]
    if not rows:
        return ""
    notes = (
        f"Adam with dropout 0.3, in one lane; cold: of the whole command, {engines.EPOCHS} epochs. The first epoch "
        "includes tracing and compilation. Memory: the peak of the process that trains; further runs: from a pack of "
        f"{engines.TOGETHER}, together."
    )
    return f"## Engines\n\n{table(['engine', *engines.QUANTITIES.values(), ''], rows)}\n\n{notes}"


def _probe(found: Mapping[str, Any]) -> str:
    if not found:
        return ""
    rows = [[str(each["steps_per_execution"]), str(each["jit"]).lower(), number(each["s"])] for each in found["tried"]]
    heads = ["steps_per_execution", "jit_compile", "s an epoch"]
    notes = "Adam with dropout 0.3, two epochs after the first; the best one is D."
    return f"## Options tried for D\n\n{notes}\n\n{table(heads, rows)}"


def _code(commands: Mapping[str, str]) -> str:
    return "\n".join(f"    {line:<16} {command}" for line, command in commands.items())


def _micro(results: Results, quantity_: str) -> str:
    seconds = results.median("floor", quantity_)
    return "-" if seconds is None else number(seconds * 1e6)


def _share(results: Results, quantity_: str) -> str:
    bound, ours = results.median("floor", quantity_), results.median("F", quantity_)
    return "-" if bound is None or not ours else f"{100 * bound / ours:.0f}%"


def _times(value: float | None) -> str:
    return "-" if value is None else f"{number(value)}x"


def _accuracy(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def _plain(value: float | None) -> str:
    return "-" if value is None else f"{value:.0f}"
