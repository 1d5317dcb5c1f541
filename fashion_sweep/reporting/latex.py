"""A sweep for a paper in LaTeX: a table of its settings (package booktabs), and a paragraph on methods."""

from __future__ import annotations

import pandas as pd

from fashion_sweep.analysis import replicates
from fashion_sweep.analysis.escaping import escape_latex
from fashion_sweep.analysis.load import Collected
from fashion_sweep.analysis.measure import Measure
from fashion_sweep.reporting import methods, table
from fashion_sweep.reporting.verdict import p_text


def texts(runs: pd.DataFrame, collected: Collected) -> dict[str, str]:
    """File -> its text. runs: of ``summary.summarize``; the table has every setting with a result, best first."""
    settings = replicates.every_setting(runs, collected.swept, collected.measure)
    paragraph = "\n".join(escape_latex(text) for text in methods.sentences(runs, settings, collected))
    ranked = settings[settings[f"{collected.measure.column}_mean"].notna()].reset_index(drop=True)
    return {"settings.tex": _table(ranked, runs, collected), "methods.tex": f"{paragraph}\n"}


def _table(settings: pd.DataFrame, runs: pd.DataFrame, collected: Collected) -> str:
    if settings.empty:
        return "% No run has completed with a result.\n"
    measure, has_seeds = collected.measure, bool(settings["seeds"].gt(1).any())
    cells = table.for_people(settings, runs, collected.swept, measure)
    left_out = [name for name in cells if str(name).endswith(table.INTERVAL)]  # a page of paper is narrow
    if settings["seeds"].nunique() == 1:
        left_out.append("seeds")
    cells = cells.drop(columns=[*left_out, "against_the_best"], errors="ignore")
    if settings["p_value"].notna().any():
        cells = cells.assign(p=settings["p_value"].map(lambda value: "" if pd.isna(value) else p_text(value)))
    escaped = pd.DataFrame({_heading(str(name), measure): cells[name].map(escape_latex) for name in cells})
    caption = escape_latex(_caption(settings, measure, has_p="p" in cells) if has_seeds else _of_runs(measure))
    text: str = escaped.to_latex(index=False, escape=False, caption=caption, label="tab:settings", position="t")
    return text.replace("\n", "\n\\centering\\small\n", 1)


def _caption(settings: pd.DataFrame, measure: Measure, *, has_p: bool) -> str:
    count = settings["seeds"]
    seeds = f"{count.iloc[0]} seeds" if count.nunique() == 1 else "the seeds"
    tests = " p: of a t-test against the first setting, corrected by Holm's method for all pairs." if has_p else ""
    return (
        f"Validation loss and accuracy, mean ± standard deviation over {seeds} of completed runs, each{measure.where}."
        f"{tests}"
    )


def _of_runs(measure: Measure) -> str:
    return f"Validation loss and accuracy of one run each{measure.where}."


def _heading(name: str, measure: Measure) -> str:
    """Of a column."""
    names = dict(zip(measure.columns, ("loss", "accuracy"), strict=True))
    return escape_latex(names.get(name, name.replace("_", " ")))
