"""Train every experiment of the lecture notes with several seeds and compare their numbers with ours.

``python scripts/reproduce_notes.py --help`` says more.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path

from notes.rows import EXPERIMENTS, RESTORED, Experiment

from fashion_sweep.errors import UserError
from fashion_sweep.storage.atomic import write_text
from fashion_sweep.training.native_output import native_output_to

DESCRIPTION = """\
Train every experiment of the lecture notes with several seeds, as sweeps, and write a table of the notes' numbers
beside ours and a page of figures. Completed runs are not trained again, so the command can be interrupted at any
time and continued by running it again."""

EPILOG = f"""\
examples:
  reproduce_notes.py                                          all of them, with 5 seeds each
  reproduce_notes.py --seeds 2 --only notes_dropout           one of them, quickly
  reproduce_notes.py --output outputs/try epochs=1 data=synthetic    with other settings: into another folder

experiments: {", ".join(experiment.name for experiment in EXPERIMENTS)}

exit codes: 0 every run completed; 1 some did not, see the table; 2 nothing was trained; 130 interrupted"""


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line; raises SystemExit if it fails."""
    arguments = _parser().parse_args(argv)
    words = sys.argv[1:] if argv is None else argv
    try:
        missing = _reproduce(arguments, words)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(error.exit_code) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    if missing:
        raise SystemExit(1)


def _parser() -> argparse.ArgumentParser:
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=DESCRIPTION, epilog=EPILOG, formatter_class=layout)
    parser.add_argument("--seeds", type=_count, default=5, metavar="N", help="replicates of each training (default 5)")
    parser.add_argument("--only", type=_names, metavar="NAME,...", help="only these experiments")
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("outputs/notes"),
        metavar="DIR",
        help="folder for sweeps and figures (default %(default)s)",
    )
    parser.add_argument(
        "--table", type=Path, default=Path("NOTES_TABLE.md"), metavar="FILE", help="the table (default %(default)s)"
    )
    parser.add_argument(
        "overrides", nargs="*", type=_override, metavar="KEY=VALUE", help="override the config of every experiment"
    )
    return parser


def _count(text: str) -> int:
    if int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is too small, expected at least 1")
    return int(text)


def _names(text: str) -> list[str]:
    given, known = text.split(","), [experiment.name for experiment in EXPERIMENTS]
    wrong = [name for name in given if name not in known]
    if wrong:
        raise argparse.ArgumentTypeError(f"{', '.join(wrong)}: expected some of {', '.join(known)}")
    return given


def _override(text: str) -> str:
    if "=" not in text:
        raise argparse.ArgumentTypeError(f"{text!r} is not KEY=VALUE")
    return text


def _reproduce(arguments: argparse.Namespace, own_words: Sequence[str]) -> list[str]:
    """Train, compare and write. Returns a line for each run that did not complete."""
    started = time.monotonic()
    chosen = [each for each in EXPERIMENTS if arguments.only is None or each.name in arguments.only]
    commands = {each: _words(each, arguments) for each in chosen}
    from notes import sweeps

    for number, (experiment, words) in enumerate(commands.items(), 1):
        print(f"{number} of {len(chosen)}: {experiment.name}", flush=True)
        sweeps.train(words)
    return _write(arguments, commands, own_words, started)


def _words(experiment: Experiment, arguments: argparse.Namespace) -> list[str]:
    from notes import sweeps

    return sweeps.arguments(experiment, arguments.seeds, arguments.output / experiment.name, arguments.overrides)


def _write(
    arguments: argparse.Namespace, commands: dict[Experiment, list[str]], own_words: Sequence[str], started: float
) -> list[str]:
    from notes import page, sweeps, table
    from notes.outcome import Outcome

    found = {
        each.name: sweeps.read(each, arguments.seeds, arguments.output / each.name, words)
        for each, words in commands.items()
    }
    with native_output_to(None):  # TensorFlow's
        restorations = [sweeps.restored(found[each.experiment], each) for each in RESTORED if each.experiment in found]
    outcome = Outcome(
        sweeps.shown(["scripts/reproduce_notes.py", *own_words]),
        f"{datetime.now(timezone.utc):%Y-%m-%d}",
        arguments.seeds,
        arguments.overrides,
        found,
        restorations,
        time.monotonic() - started,
    )
    arguments.table.parent.mkdir(parents=True, exist_ok=True)
    write_text(arguments.table, table.markdown(outcome))
    print(f"{outcome.verdict}\nTable: {arguments.table}  Figures: {page.write(outcome, arguments.output)}")
    return outcome.missing


if __name__ == "__main__":
    main()
