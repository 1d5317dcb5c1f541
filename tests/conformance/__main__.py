"""The command of the suite.

``python -m conformance --write FILE`` tries everything with both engines, each in a process of its own, and writes the
table. ``--engine ENGINE --output FILE`` tries it with one, and writes what was seen as JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fashion_sweep.training.engines import JAX, NAMES, engine_named

QUICK_TO_COMPILE = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
"""XLA's options: each program runs for a moment only."""


def main() -> int:
    """Exit code 1 where something is wrong, or Keras has grown what the suite does not know."""
    parser = argparse.ArgumentParser(prog="python -m conformance")
    parser.add_argument("--write", type=Path, help="a Markdown file for the table")
    parser.add_argument("--engine", choices=NAMES, help="try everything with this one alone")
    parser.add_argument("--output", type=Path, help="a JSON file for what was seen with it")
    parser.add_argument("--modules", nargs="+", help="of Keras, such as layers; all of them otherwise")
    parser.add_argument("--match", default="", help="try only names with this text, such as layers.Conv")
    parser.add_argument("--every", type=int, default=1, help="try only every n-th case")
    arguments = parser.parse_args()
    return _with_one(arguments) if arguments.engine else _with_all(arguments.write)


def _with_all(page: Path) -> int:
    from conformance import exports, table

    with tempfile.TemporaryDirectory() as folder:
        outputs = {engine: Path(folder) / f"{engine}.json" for engine in NAMES}
        command = [sys.executable, "-m", "conformance"]
        codes = [subprocess.run([*command, "--engine", engine, "--output", output], check=False).returncode
                 for engine, output in outputs.items()]  # fmt: skip
        results = [json.loads(output.read_text("utf-8")) for output in outputs.values() if output.exists()]
    aliases = {entry.key: entry.aliases for module in exports.MODULES for entry in exports.entries(module)}
    page.write_text("\n".join(table.lines(results, exports.left_out(), aliases)) + "\n", "utf-8")
    return int(any(codes))


def _with_one(arguments: argparse.Namespace) -> int:
    os.environ |= {"XLA_FLAGS": QUICK_TO_COMPILE, **engine_named(arguments.engine).environment}  # before Keras starts
    warnings.simplefilter("ignore")
    from conformance import cases, exports

    modules = arguments.modules or exports.MODULES
    plan = cases.plan(_expectation(arguments.engine), modules, arguments.match)
    found = list(_tried(arguments.engine, plan.cases[:: arguments.every]))
    result = {"engine": arguments.engine, "outcomes": found, "refused": plan.refused, "unknown": plan.unknown}
    if arguments.output:
        arguments.output.write_text(json.dumps(result, indent=1) + "\n", "utf-8")
    wrong = [f"{one['label']}: {one['why']}" for one in found if one["how"] == "WRONG"]
    print("\n".join([*plan.unknown, *wrong]), file=sys.stderr)
    return int(bool(wrong or plan.unknown))


def _expectation(engine: str) -> Any:
    """How an engine would train a model: so that what is trained alike shares a model."""
    if engine == JAX:
        return lambda *_: "packed"
    from fashion_sweep.training.engines.tensorflow import stackable

    def expected(model: Any, optimizer: Any) -> str:
        try:
            model.compile(optimizer, "sparse_categorical_crossentropy")
            return "alone" if stackable.unsupported_reason(model) else "packed"
        except Exception:  # what that means for a run is seen when it is tried
            return "packed"

    return expected


def _tried(engine: str, chosen: list[Any]) -> Iterator[dict[str, Any]]:
    from conformance import trial

    with trial.lab(engine) as here:
        for case in chosen:
            started = time.monotonic()
            try:
                found = trial.outcomes(here, case)
            except Exception:
                traceback.print_exc()
                found = [trial.Outcome(label, trial.WRONG, "the suite failed") for label in case.labels]
            seconds = (time.monotonic() - started) / len(case.labels)
            for one in found:
                print(f"{one.how:8} {one.difference:.0e} {seconds:5.1f} s {one.label} {one.why}", flush=True)
                yield {**asdict(one), "is_half": case.is_half, "seconds": round(seconds, 2)}


if __name__ == "__main__":
    sys.exit(main())
