"""``python -m conformance --engine ENGINE --output FILE``: try everything with one engine, and write what was seen."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
import traceback
import warnings
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any


def main() -> int:
    """Exit code 1 where something is wrong, or Keras has grown what the suite does not know."""
    arguments = _arguments()
    os.environ["KERAS_BACKEND"] = arguments.engine
    warnings.simplefilter("ignore")
    from conformance import cases

    plan = cases.plan(_expectation(arguments.engine), arguments.modules)
    chosen = [case for case in plan.cases if any(arguments.match in label for label in case.labels)][:: arguments.every]
    found = list(_tried(arguments.engine, chosen))
    result = {"engine": arguments.engine, "outcomes": found, "refused": plan.refused, "unknown": plan.unknown}
    arguments.output.write_text(json.dumps(result, indent=1) + "\n", "utf-8")
    wrong = [f"{one['label']}: {one['why']}" for one in found if one["how"] == "WRONG"]
    print("\n".join([*plan.unknown, *wrong]), file=sys.stderr)
    return int(bool(wrong or plan.unknown))


def _arguments() -> argparse.Namespace:
    from conformance.exports import MODULES

    parser = argparse.ArgumentParser(prog="python -m conformance")
    parser.add_argument("--engine", choices=("tensorflow", "jax"), default="tensorflow")
    parser.add_argument("--output", type=Path, required=True, help="a file for what was seen, JSON")
    parser.add_argument("--modules", nargs="+", choices=MODULES, default=MODULES, help="of Keras")
    parser.add_argument("--match", default="", help="try only cases with this text in a label")
    parser.add_argument("--every", type=int, default=1, help="try only every n-th case")
    return parser.parse_args()


def _expectation(engine: str) -> Any:
    """How an engine would train a model: so that what is trained alike shares a model."""
    if engine == "jax":
        return lambda model: "packed"
    from fashion_sweep.training.engines.tensorflow import stackable

    def expected(model: Any) -> str:
        model.compile("sgd", "sparse_categorical_crossentropy")
        return "alone" if stackable.unsupported_reason(model) else "packed"

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
                yield {**asdict(one), "seconds": round(seconds, 2)}


if __name__ == "__main__":
    sys.exit(main())
