"""``fashion-sweep-evaluate SWEEP --selected``: the best setting of a sweep, measured again or on the test images."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from fashion_sweep.config.redaction import Redaction, redacted_errors
from fashion_sweep.evaluation.importing import first_import
from fashion_sweep.storage.plain_text import clean

if TYPE_CHECKING:
    from fashion_sweep.evaluation.looking import Looked, Validated
    from fashion_sweep.evaluation.selected import Selected


def run(folder: Path, *, on_test_images: bool) -> None:
    """Measure the setting that the sweep's verdict puts first, and print the figures and what they say.

    Raises UserError where there is none, where its best models were not saved, or where the sweep is in use.
    """
    from fashion_sweep.evaluation import looking
    from fashion_sweep.evaluation.selected import select

    selected = select(folder)
    hidden = Redaction.all(model.run.hidden for model in selected.models)
    with redacted_errors(hidden), first_import(selected.models[0].run):
        found = looking.look_at_selected(selected) if on_test_images else looking.validate(selected)
    _warn(selected.warnings)
    if count := selected.unfinished:
        which = "run has not completed; with it" if count == 1 else "runs have not completed; with them"
        _warn([f"{count} {which}, another setting may be best"])
    print(f"setting   {clean(selected.setting) or 'the only one'}")
    if isinstance(found, looking.Looked):
        _print_look(selected, found)
    else:
        _print_validated(selected, found)


def _print_look(selected: Selected, found: Looked) -> None:
    from fashion_sweep.reporting import looks

    if found.validated:
        _warn_of(found.validated)
    else:
        print(f"recorded  {found.look.day}: the same models were measured then, and are not measured again")
    print(looks.shown_runs(found.look, {}).to_string(index=False))
    print(*looks.of_look(found.look, found.looks, clean(selected.setting)), sep="\n")
    print(f"recorded  {clean(str(selected.sweep.test))}")


def _print_validated(selected: Selected, found: Validated) -> None:
    from fashion_sweep.reporting.looks import estimate
    from fashion_sweep.reporting.verdict import OPTIMISTIC

    _warn_of(found)
    for model, each in zip(selected.models, found.found, strict=True):
        print(f"run       {clean(model.run.folder.path.name)}: loss {each.loss:.4f}, accuracy {each.accuracy:.4f}")
    print(f"images    {len(found.found[0].truth):,} validation images")
    print(f"loss      {estimate(found.figures.loss)}")
    print(f"accuracy  {estimate(found.figures.accuracy)}")
    what = "epoch and setting" if selected.among > 1 else "the epochs"
    print(f"{OPTIMISTIC.format(what=what)}: --test measures them.")


def _warn_of(validated: Validated) -> None:
    _warn([f"{run}: no epoch of its history has this loss and accuracy" for run in validated.unrecorded])


def _warn(texts: Sequence[str]) -> None:
    for text in texts:
        print(f"warning: {clean(text)}", file=sys.stderr)
