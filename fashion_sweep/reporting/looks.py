"""What is said about looks at the test images: their figures, what they mean, and how often it happened."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import pandas as pd

from fashion_sweep.analysis import selection
from fashion_sweep.analysis.load import Collected
from fashion_sweep.analysis.measure import Measure
from fashion_sweep.reporting.labels import run_labels, setting_names
from fashion_sweep.reporting.section import ROWS, Section, decimals, listed
from fashion_sweep.storage.looks import ONE_RUN, SELECTED, Estimate, Look
from fashion_sweep.storage.plain_text import clean

TITLE = "Test images"


def section(table: pd.DataFrame, collected: Collected) -> Section | None:
    """None where nobody has looked at the test images. table: of ``summary.summarize`` by the same measure."""
    sentences: list[str] = []
    tables: list[pd.DataFrame] = []
    for sweep, looks in collected.looks.items():
        is_one_of_several = "sweep" in table
        rows = table[table["sweep"].eq(sweep)] if is_one_of_several else table
        sentences += [*([f"{sweep}:"] if is_one_of_several else []), *said(looks, rows, collected)]
        tables += [shown_runs(look, labelled(table, collected)) for look in [latest(looks)] if look]
    return Section(TITLE, sentences, tables) if sentences else None


def latest(looks: Sequence[Look]) -> Look | None:
    """The last look at a selected setting; None where single runs alone were measured."""
    return next((look for look in reversed(looks) if look.asked == SELECTED), None)


def said(looks: Sequence[Look], table: pd.DataFrame, collected: Collected) -> list[str]:
    """Sentences about the looks of one sweep, at least one. table: its runs, see ``section``."""
    look = latest(looks)
    if look is None:
        return [f"The selected setting was not measured on the test images. Recorded: {_counted(looks)}."]
    return [*of_look(look, looks, _name_now(look, table, collected)), *_of_now(look, table, collected)]


def of_look(look: Look, looks: Sequence[Look], setting: str) -> Iterator[str]:
    """Sentences about a look at a selected setting. looks: all of its sweep; setting: its name, empty for the only one.

    They say no more than the numbers carry: a difference that another draw of images would explain is no optimism.
    """
    mean = "mean " if len(look.runs) > 1 else ""
    yield (
        f"On {look.images:,} test images, {setting or 'the only setting'} ({_how_selected(look)}) has a {mean}loss of "
        f"{estimate(look.test.loss)} and {'a' if mean else 'an'} {mean}accuracy of {estimate(look.test.accuracy)}."
    )
    yield "These intervals are for the models as they were trained: they do not say how much other seeds would differ."
    yield from _against_validation(look)
    place = list(looks).index(look)
    earlier, later = looks[:place], looks[place + 1 :]
    if earlier:
        yield (
            f"Measured {look.day}, after {_counted(earlier)}: if what was seen there had a part in what was trained or "
            "selected, these figures are flattered, too."
        )
    else:
        yield f"Measured {look.day}, the first look at test images that this sweep has recorded."
    if later:
        yield f"Recorded since then: {_counted(later)}."


def shown_runs(look: Look, names: Mapping[str, str]) -> pd.DataFrame:
    """The first ROWS runs as texts. names: identity -> label."""
    runs = look.runs[:ROWS]
    return pd.DataFrame(
        {
            "run": [names.get(run.identity) or clean(run.run) for run in runs],
            "validation loss": [decimals(run.val_loss) for run in runs],
            "test loss": [decimals(run.test_loss) for run in runs],
            "validation accuracy": [decimals(run.val_accuracy) for run in runs],
            "test accuracy": [decimals(run.test_accuracy) for run in runs],
        }
    )


def labelled(table: pd.DataFrame, collected: Collected) -> dict[str, str]:
    """Identity -> the label of its run."""
    names = run_labels(table, collected.swept)
    return {record.identity: names[name] for name, record in collected.by_run.items()}


def estimate(found: Estimate) -> str:
    """``0.3312 (95% interval over images 0.3214 to 0.3410)``."""
    text = interval(found)
    return f"{found.value:.4f} ({text})" if text else f"{found.value:.4f}"


def interval(found: Estimate) -> str:
    """``95% interval over images 0.3214 to 0.3410``; empty where there is none."""
    return "" if math.isnan(found.low) else f"95% interval over images {found.low:.4f} to {found.high:.4f}"


def _signed(found: Estimate) -> str:
    return f"{found.value:+.4f}" + ("" if math.isnan(found.low) else f" ({found.low:+.4f} to {found.high:+.4f})")


def _how_selected(look: Look) -> str:
    measure, count = Measure(look.metric), len(look.runs)
    among = [f"the {measure.rank} mean {measure.noun} of {look.among} settings"] if look.among > 1 else []
    left_out = [f"left out: {', '.join(f'{n} {clean(why)}' for why, n in look.left_out.items())}"] * bool(look.left_out)
    return "; ".join([*among, f"best models of {count} runs" if count > 1 else "best model of one run", *left_out])


def _against_validation(look: Look) -> Iterator[str]:
    """How the figures differ from those on the validation images, and what may be concluded from that."""
    what = "the setting and its epochs" if look.among > 1 else "the epochs"
    models = "the same models have" if len(look.runs) > 1 else "the same model has"
    loss, accuracy = look.validation.loss.value, look.validation.accuracy.value
    yield (
        f"On the validation images, which chose {what}, {models} a loss of {loss:.4f} and an accuracy of "
        f"{accuracy:.4f}. Test minus validation is {_signed(look.difference.loss)} in loss and "
        f"{_signed(look.difference.accuracy)} in accuracy."
    )
    measure = Measure(look.metric)
    found = look.difference.loss if measure.sign == 1 else look.difference.accuracy
    yield _concluded(found, measure)


def _concluded(found: Estimate, measure: Measure) -> str:
    """What a difference, test minus validation, says about the metric of a measure."""
    noun = measure.noun.removeprefix("validation ")
    worst, best = sorted([measure.sign * found.low, measure.sign * found.high], reverse=True)
    if math.isnan(found.value):
        return f"A {noun} that is no finite number cannot be compared."
    if math.isnan(found.low):
        return "The runs have different validation images, so there is no interval."
    if best > 0:
        return (
            f"The test {noun} is worse by more than another draw of images would explain (95% interval): the "
            "validation images flattered the setting, or the test images are harder."
        )
    if worst < 0:
        return (
            f"The test {noun} is better by more than another draw of images would explain (95% interval): the test "
            "images are easier."
        )
    return (
        f"Another draw of images may explain the difference in {noun} (95% interval over images of both): it shows no "
        "optimism, and does not show that there is none."
    )


def _counted(looks: Sequence[Look]) -> str:
    """``3 looks at them (1 selection and 2 single runs)``."""
    of_kind = {"selection": SELECTED, "single run": ONE_RUN}
    counts = {noun: sum(look.asked == kind for look in looks) for noun, kind in of_kind.items()}
    parts = [f"{count} {noun}{'s' * (count > 1)}" for noun, count in counts.items() if count]
    return f"{len(looks)} look{'s' * (len(looks) > 1)} at them ({listed(parts)})"


def _name_now(look: Look, table: pd.DataFrame, collected: Collected) -> str:
    """The setting's name among those that the sweep has now."""
    identities = {run.identity for run in look.runs}
    known = [name for name, record in collected.by_run.items() if record.identity in identities]
    rows = table[table["run"].isin(known)]
    return clean(look.setting) if rows.empty else setting_names(rows.iloc[:1], table, collected.swept)[0]


def _of_now(look: Look, table: pd.DataFrame, collected: Collected) -> Iterator[str]:
    """Whether another setting, or other runs of it, would be selected by now."""
    measure = Measure(look.metric)
    if measure != collected.measure:
        yield f"It was selected by the {measure.result}; runs are ranked here by the {collected.measure.result}."
        return
    rows = selection.selected(table, collected.swept, measure)
    counting = rows[rows["left_out"].eq("")]
    if {collected.by_run[name].identity for name in counting["run"]} != {run.identity for run in look.runs}:
        name = setting_names(counting.iloc[:1], table, collected.swept)[0] if len(counting) else "no setting"
        yield (
            f"The sweep has changed since: {name or 'the only setting'} with {len(counting)} "
            f"run{'s' * (len(counting) != 1)} would be selected now, and these figures are of what was selected then."
        )
