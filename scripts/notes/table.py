"""NOTES_TABLE.md: the notes' numbers and ours, side by side."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from notes import outcome
from notes.outcome import DIFFERENCES, FORMULA, Outcome

Rows = list[list[str]]


def numbers(found: Outcome) -> tuple[list[str], Rows]:
    """Heads and rows of the main table."""
    heads = [
        "experiment",
        "what",
        "epochs",
        "measure",
        "notes",
        "ours, mean ± sd",
        "n",
        "95% interval",
        "the notes' number",
    ]
    rows = [
        [
            each.row.experiment.removeprefix("notes_"),
            each.row.what,
            outcome.epochs(each),
            outcome.measure(each),
            outcome.reported(each),
            outcome.ours(each),
            str(len(each.ours)),
            outcome.interval(each),
            outcome.place(each),
        ]
        for each in found.comparisons
    ]
    return heads, rows


def curves(found: Outcome) -> tuple[list[str], Rows]:
    """Heads and rows of the curves' summaries."""
    heads = ["what", "the notes say", "epoch of lowest val_loss", "lowest val_loss", "rise to the last epoch"]
    rows = [
        [
            each.curve.what,
            each.curve.says,
            outcome.spread(each.best_epoch, 1),
            outcome.spread(each.best, 4),
            outcome.spread(each.rise, 4),
            outcome.spread(each.last_loss, 4),
        ]
        for each in found.trends
    ]
    return [*heads, "last loss"], rows


def stopping(found: Outcome) -> tuple[list[str], Rows]:
    """Heads and rows of the distributions of epochs under early stopping."""
    epochs = sorted({epoch for counted in found.stopping.values() for epoch in counted})
    rows = [[name, *(str(counted.get(epoch, "")) for epoch in epochs)] for name, counted in found.stopping.items()]
    return ["number of runs by epoch", *map(str, epochs)], rows


def restoring(found: Outcome) -> tuple[list[str], Rows]:
    """Heads and rows of the restored models' results."""
    heads = ["experiment", "restored from", "val_accuracy, mean ± sd", "equal to what was recorded"]
    rows = [
        [
            each.what.experiment.removeprefix("notes_"),
            each.what.file,
            outcome.spread(each.accuracies, 4),
            f"{each.same} of {len(each.accuracies)} runs, {each.what.epoch} epoch",
        ]
        for each in found.restorations
    ]
    return heads, rows


def markdown(found: Outcome) -> str:
    """The whole page."""
    numbers_are = (
        f"loss and accuracy are of the training images in the last epoch, as Keras prints them, val_ of the "
        f"validation images. The interval is {FORMULA}: where one more run of ours falls 95 times in 100 (Hahn and "
        "Meeker, Statistical Intervals, 1991, chapter 4). The replicates of SGDClassifier differ in random_state, "
        "42 among them; its numbers are means over the folds that were held out."
    )
    parts = [
        "# The notes' numbers and ours",
        found.opening,
        f"**{found.verdict}**",
        _table(*numbers(found)),
        numbers_are,
        *_section("Numbers outside", _list(found.outside), DIFFERENCES if found.outside else ""),
        *_section("Curves", _table(*curves(found)), found.ordering),
        *_section("Early stopping", _table(*stopping(found))),
        *_section("Saving and restoring", _table(*restoring(found))),
        *_section("Runs that did not complete", _list(found.missing)),
        "## Commands",
        "\n".join(f"    {sweep.command}" for sweep in found.sweeps.values()),
        "## Made with",
        _list(f"{heading}: {'; '.join(values)}" for heading, values in found.provenance.items()),
    ]
    return "\n\n".join(parts) + "\n"


def _section(heading: str, *parts: str) -> list[str]:
    """A section, or nothing if its first part is empty."""
    return [f"## {heading}", *(part for part in parts if part)] if parts[0] else []


def _table(heads: Sequence[str], rows: Rows) -> str:
    """A markdown table; empty if there are no rows."""
    lines = [heads, ["---"] * len(heads), *rows] if rows else []
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _list(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)
