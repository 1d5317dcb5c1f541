"""The command line ``fashion-sweep-check-engine``: compares an engine on this machine with plain Keras."""

from __future__ import annotations

import argparse
from contextlib import suppress
from typing import Any

from fashion_sweep.cli.logs import errors_said, say_error
from fashion_sweep.storage import checked_devices, provenance
from fashion_sweep.training import native_output
from fashion_sweep.training.compiled import Compiled
from fashion_sweep.training.engines import AUTO, NAMES, choice

TOLERANCE = 1e-3
"""Largest relative difference of a loss that rounding may cause in two epochs. On CPUs it is about 3e-7."""

DESCRIPTION = f"""\
Train a few small models on this machine's device: together in a pack, alone, and in a plain Keras loop, step by step.
Prints how far the losses of the three differ, as a share of them, and fails where that is more than {TOLERANCE:g}. A
sweep on a GPU says so where this has not been done for the GPU and the installed versions."""

EPILOG = """exit codes: 0 equal; 1 not, or a run failed; 2 the engine cannot be used here; 130 interrupted"""


def main(argv: list[str] | None = None) -> None:
    """Run the command line; raises SystemExit if the exit code is not 0."""
    parser = argparse.ArgumentParser(description=DESCRIPTION, epilog=EPILOG)
    named = "what compiles (default: the one that a sweep takes on this machine)"
    parser.add_argument("--engine", choices=[AUTO, *NAMES], default=AUTO, help=named)
    name = parser.parse_args(argv).engine
    with errors_said():
        code = _check(choice.best_first()[0] if name == AUTO else name)
    if code:
        raise SystemExit(code)


def _check(name: str) -> int:
    """Print the differences. Returns the exit code."""
    trainer = Compiled(engine=name)
    trainer.check_machine()
    trainer.warm_up()
    from fashion_sweep.training import equality

    with native_output.native_output_to(None):
        versions, device = provenance.versions(name), provenance.device()
    print(f"{name} {versions[name]}, keras {versions['keras']}, on {device['name']}")
    print(f"{'model':<15} {'runs in a pack':>14} {'alone':>10} {'in a pack':>10}   largest difference to plain Keras")
    found = []
    for each in equality.check(name):
        print(
            f"{each.model:<15} {each.pack:>14} {each.alone_and_plain:>10.1e} {each.pack_and_plain:>10.1e}", flush=True
        )
        found.append(each)
    return _concluded([each.model for each in found if not each.largest <= TOLERANCE], versions, device)


def _concluded(differing: list[str], versions: dict[str, str], device: dict[str, Any]) -> int:
    if differing:
        names = ", ".join(differing)
        say_error(
            f"{names} differ by more than {TOLERANCE:g}: do not trust numbers of this engine, device and versions; "
            f"try other versions, or trainer.engine={' or '.join(NAMES)}"
        )
        return 1
    print(f"Equal to plain Keras (to {TOLERANCE:g}).")
    stamp = checked_devices.stamp(versions, device)
    if stamp is not None:
        with suppress(OSError):
            checked_devices.add(stamp)
    return 0
