"""The report as one self-contained HTML page: it loads nothing, and all text is escaped."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Sequence
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from fashion_sweep.analysis import summary
from fashion_sweep.analysis.load import Collected
from fashion_sweep.analysis.settings import label
from fashion_sweep.reporting import table, verdict
from fashion_sweep.reporting.gallery import Picture
from fashion_sweep.reporting.page_data import as_inline_json, page_data
from fashion_sweep.reporting.section import Section
from fashion_sweep.storage.plain_text import clean
from fashion_sweep.storage.record import RunRecord

if TYPE_CHECKING:
    import pandas as pd


SCRIPTS = (
    *("text.js", "data.js", "chart.js", "axes.js", "colours.js", "curves.js", "detail.js", "leaderboard.js"),
    *("parallel.js", "main.js"),
)
"""The parts of the page's script, in the order in which they need each other."""
PAGE = resources.files("fashion_sweep.reporting") / "page"


def render(
    runs: pd.DataFrame,
    settings: pd.DataFrame,
    collected: Collected,
    pictures: Sequence[Picture],
    warnings: Sequence[str],
    *,
    written: str,
    output: Path,
    sections: Sequence[Section] = (),
) -> str:
    """The page.

    runs: the summary in plan order; settings: its ``replicates``; written: the time, for people; output: the folder
    that the page is for, where its links start.
    """
    environment = Environment(
        loader=PackageLoader("fashion_sweep.reporting", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["data_uri"] = data_uri
    script = _script()
    data = page_data(runs, settings, collected, output)
    names, shown = table.informative_name_last(runs, collected.swept), settings.head(table.SHOWN)
    return environment.get_template("report.html.j2").render(
        commands=collected.commands,
        counts=summary.status_counts(runs),
        total=len(runs),
        best=verdict.verdict(runs, settings, collected.swept, collected.measure),
        constants=table.constants_sentence(runs),
        columns=[{"name": name, "is_number": name in table.NUMBERS} for name in names],
        rows=_rows(runs, names, table.best_marked(runs, settings)),
        settings=table.for_people(shown, runs, collected.swept, collected.measure).to_dict("split"),
        marked=table.among_the_best(shown, collected.measure),
        settings_caption=table.settings_caption(settings, collected.measure),
        board_caption=table.settings_caption(shown, collected.measure),
        has_curves=not collected.histories.empty,
        has_factors=bool(data["factors"]),
        result=collected.measure.result,
        is_lower_better=collected.measure.sign == 1,
        incomplete=summary.incomplete(runs).to_dict("records"),
        sections=sections,
        pictures=pictures,
        warnings=warnings,
        provenance=provenance(collected.records),
        written=written,
        style=Markup((PAGE / "page.css").read_text("utf-8")),
        script=Markup(script),
        script_hash=_hash(script),
        data=Markup(as_inline_json(data)),
        thinned=_thinned(data["histories"]["step"]),
    )


def _script() -> str:
    """The page's script, in a scope of its own."""
    parts = "\n".join((PAGE / name).read_text("utf-8") for name in SCRIPTS)
    return f'"use strict";\n{{\n{parts}}}\n'


def _hash(script: str) -> str:
    """As a content security policy names a script that may run."""
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")


def _thinned(step: int) -> str:
    return f" Of every {step} epochs one is drawn: history.csv of a run has all." if step > 1 else ""


def data_uri(path: Path) -> str:
    """A PNG as a data URI, for an ``img`` element."""
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode("ascii")


def provenance(records: Sequence[RunRecord]) -> dict[str, list[str]]:
    """Where the runs come from: heading -> its distinct values; headings without any are left out."""
    found = {
        "Dataset fingerprint (SHA-256)": (record.data.get("fingerprint") for record in records),
        "Images": (_images(record) for record in records),
        "Git commit": (_commit(record) for record in records),
        "Device": (_joined(record.device) for record in records),
        "Versions": (_joined(record.versions) for record in records),
        "First run started": sorted(record.started for record in records if record.started)[:1],
        "Last run ended": sorted(record.ended for record in records if record.ended)[-1:],
    }
    return {heading: values for heading, every in found.items() if (values := _distinct(every))}


def _rows(runs: pd.DataFrame, names: Sequence[str], best: str | None) -> list[dict[str, Any]]:
    return [
        {
            "status": row["status"].partition(",")[0],
            "is_marked": row["run"] == best,
            "cells": [{"text": table.cell(name, row[name]), "is_number": name in table.NUMBERS} for name in names],
        }
        for row in table.presented(runs).head(table.SHOWN).to_dict("records")
    ]


def _images(record: RunRecord) -> str | None:
    train, validation = record.data.get("train_samples"), record.data.get("validation_samples")
    return f"{train} for training, {validation} for validation" if train else None


def _commit(record: RunRecord) -> str | None:
    if not record.git:
        return None
    return f"{record.git.get('commit')}{' with uncommitted changes' if record.git.get('dirty') else ''}"


def _joined(values: dict[str, Any]) -> str:
    return ", ".join(f"{key} {label(value)}" for key, value in values.items() if value is not None)


def _distinct(values: Iterable[object]) -> list[str]:
    return list(dict.fromkeys(clean(str(value)) for value in values if value))
