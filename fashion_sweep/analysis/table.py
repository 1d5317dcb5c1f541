"""The table of a sweep, for programs (CSV), for people (Markdown) and for the terminal."""

from __future__ import annotations

import math
import re
from collections.abc import Hashable, Mapping, Sequence

import pandas as pd
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from fashion_sweep.analysis import aggregate, replicates
from fashion_sweep.analysis.collect import MEASURES, Collected
from fashion_sweep.analysis.settings import FACTORS, NONE, label

BEST_SHOWN = 30
"""Rows of the terminal's table."""

SHOWN = 200
"""Rows of the tables of summary.md and the page; summary.csv and replicates.csv have all."""

NUMBERS = frozenset({*MEASURES, "parameters", "epochs_run", "seconds"})
"""Columns that hold numbers in every table."""

INTERVAL = "95%_interval"
_INTERVALS = tuple(f"{name}_{INTERVAL}" for name in replicates.AVERAGED)

FORMULAS = tuple(
    "=+-@\N{FULLWIDTH EQUALS SIGN}\N{FULLWIDTH PLUS SIGN}\N{FULLWIDTH HYPHEN-MINUS}\N{FULLWIDTH COMMERCIAL AT}"
)
"""What a formula begins with; spreadsheets in some languages take the wide forms too."""

LEAST_NEEDED = ("run", "parameters", "last_accuracy", "last_loss", "seconds", "last_val_accuracy", "last_val_loss")
"""Columns that a narrow terminal goes without, in the order in which it does."""


def columns(swept: Sequence[str]) -> list[str]:
    """The columns of summary.csv."""
    return ["run", "status", *FACTORS, *swept, "parameters", "epochs_run", *MEASURES, "seconds"]


def csv_text(table: pd.DataFrame) -> str:
    """CSV with every digit; empty where there is no finite number. No text in it becomes a spreadsheet's formula."""
    cells = {guarded(name): [_exact(value) for value in table[name]] for name in table}
    text: str = pd.DataFrame(cells, dtype=object).to_csv(index=False, lineterminator="\n")
    return text


def guarded(value: object) -> object:
    """Text that a spreadsheet would take for a formula, led by an apostrophe; anything else as it is."""
    is_formula = isinstance(value, str) and (value.lstrip().startswith(FORMULAS) or value.startswith(("\t", "\r")))
    return f"'{value}" if is_formula else value


def cell(name: str, value: object) -> str:
    """One cell for people: metrics with 4 decimals, seconds with 1, nothing where there is nothing."""
    text = label(value)
    if text == NONE:
        return ""
    if name in MEASURES and name != "best_epoch":
        return f"{float(str(value)):.4f}"
    return f"{float(str(value)):.1f}" if name == "seconds" else text


def telling(table: pd.DataFrame, swept: Sequence[str]) -> list[str]:
    """The columns without those factors that are the same in all runs."""
    constant = aggregate.constant_factors(table) if len(table) > 1 else {}
    return [name for name in columns(swept) if name not in constant]


def telling_name_last(table: pd.DataFrame, swept: Sequence[str]) -> list[str]:
    """The same, with the runs' names, which are long, behind what is read first."""
    return [*(name for name in telling(table, swept) if name != "run"), "run"]


def sentence(table: pd.DataFrame) -> str:
    """``6 runs: 5 completed, 1 failed.``"""
    counts = ", ".join(f"{count} {status}" for status, count in aggregate.status_counts(table).items())
    return f"{len(table)} run{'' if len(table) == 1 else 's'}{': ' * bool(counts)}{counts}."


def constants_sentence(table: pd.DataFrame) -> str:
    """``The same in all runs: model mlp, seed 0.``; empty where no factor is."""
    constant = aggregate.constant_factors(table) if len(table) > 1 else {}
    parts = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in constant.items() if value != NONE)
    return f"The same in all runs: {parts}." if parts else ""


def best_sentence(table: pd.DataFrame, swept: Sequence[str]) -> str:
    """``Best: adam, dropout 0.3, with validation loss ...``; empty where no run has a rank.

    Where settings have several seeds it is the one with the best mean, and not the luckiest run.
    """
    if not (settings := replicates.replicates(table, swept)).empty:
        return _best_setting(for_people(settings, table, swept).to_dict("records")[0], int(settings["seeds"].iloc[0]))
    if (best := aggregate.best_run(table)) is None:
        return ""
    row = table[table["run"] == best].to_dict("records")[0]
    loss, accuracy = cell("best_val_loss", row["best_val_loss"]), cell("best_val_accuracy", row["best_val_accuracy"])
    what = aggregate.run_labels(table, swept)[best]
    epoch = cell("best_epoch", row["best_epoch"])
    when = f" in epoch {epoch}" if epoch else ""
    return f"Best: {what}, with validation loss {loss} and accuracy {accuracy or 'unknown'}{when}."


def for_people(settings: pd.DataFrame, table: pd.DataFrame, swept: Sequence[str]) -> pd.DataFrame:
    """The rows of ``replicates`` as texts, their columns named for people: what differs, seeds, mean ± sd, interval."""
    constant = aggregate.constant_factors(table)
    told = [name for name in replicates.factors(swept) if name not in constant]
    counts = ["seeds", *(["left_out"] if settings["left_out"].any() else [])]
    texts = {name: settings[name].map(label) for name in (*told, *counts)}
    for name in replicates.AVERAGED:
        mean, sd, low, high = (settings[f"{name}_{what}"].map(_decimals).astype(str) for what in replicates.STATISTICS)
        texts[name] = mean + sd.map(lambda text: text and f" ± {text}")
        texts[f"{name}_{INTERVAL}"] = low.where(low == "", low + " to " + high)
    return pd.DataFrame(texts)


def settings_caption(settings: pd.DataFrame) -> str:
    """What the table of settings holds."""
    left_out = " Left out are runs that failed, diverged or have not ended." if settings["left_out"].any() else ""
    cut = f" The best {SHOWN} of {len(settings)} settings: replicates.csv has all." if len(settings) > SHOWN else ""
    return (
        "Mean ± standard deviation over the seeds, each at its best epoch, and the 95% interval of the mean "
        f"(Student's t).{left_out}{cut}"
    )


def best_marked(table: pd.DataFrame, swept: Sequence[str]) -> str | None:
    """The run that tables mark as the best; None where settings have several seeds, as its seed may be the luck."""
    return aggregate.best_run(table) if replicates.replicates(table, swept).empty else None


def presented(table: pd.DataFrame) -> pd.DataFrame:
    """The rows for people, best first: their status says where a run's history is not whole."""
    status = table["status"].where(~table["is_partial"], table["status"] + ", history partial")
    return aggregate.ranked(table).assign(status=aggregate.ranked(table.assign(told=status))["told"])


def _best_setting(row: Mapping[Hashable, str], seeds: int) -> str:
    others = {*replicates.COUNTS, *MEASURES, *_INTERVALS}
    what = aggregate.describe(row, [str(name) for name in row if name not in others])
    loss, accuracy = row["best_val_loss"], row["best_val_accuracy"] or "unknown"
    if seeds == 1:
        return f"Best: {what}, with validation loss {loss} and accuracy {accuracy} of one seed."
    return (
        f"Best: {what or 'the one setting'}, with mean validation loss {loss} "
        f"(95% interval {row[f'best_val_loss_{INTERVAL}']}) and accuracy {accuracy} over {seeds} seeds."
    )


def _decimals(value: float) -> str:
    return f"{value:.4f}" if math.isfinite(value) else ""


def markdown(table: pd.DataFrame, collected: Collected, warnings: Sequence[str], written: str) -> str:
    """The table best first, under what was run, what came of it and when it was written; then what went wrong."""
    troubled = [
        f"- {_literal(row['run'])}: {row['status']}. {_literal(row['reason'] or 'No reason was recorded.')}"
        for row in aggregate.in_trouble(table).to_dict("records")
    ]
    facts = [best_sentence(table, collected.swept), constants_sentence(table)]
    parts = [
        "# Sweep report",
        *(f"    {command}" for command in collected.commands),
        f"{sentence(table)} Written {written}.",
        *(_literal(fact) for fact in facts if fact),
        *_markdown_settings(table, collected.swept),
        "\n".join(
            _markdown_rows(table, telling_name_last(table, collected.swept), best_marked(table, collected.swept))
        ),
        *([f"The best {SHOWN} of {len(table)} runs: summary.csv has all."] if len(table) > SHOWN else []),
        *(["## Runs that did not complete", "\n".join(troubled)] if troubled else []),
        *(["## Warnings", "\n".join(f"- {_literal(text)}" for text in warnings)] if warnings else []),
    ]
    return "\n\n".join(parts) + "\n"


def _markdown_settings(table: pd.DataFrame, swept: Sequence[str]) -> list[str]:
    """The table of settings under its heading, and the heading of the runs; nothing where there are no replicates."""
    settings = replicates.replicates(table, swept)
    if settings.empty:
        return []
    texts = for_people(settings.head(SHOWN), table, swept)
    heading, rules = [_literal(str(name).replace("_", " ")) for name in texts], ["---"] * texts.shape[1]
    rows = [[_literal(text) for text in row] for row in texts.itertuples(index=False)]
    lines = [_row(cells) for cells in (heading, rules, *rows)]
    return ["## Settings, best first", settings_caption(settings), "\n".join(lines), "## Runs, best first"]


def _markdown_rows(table: pd.DataFrame, names: Sequence[str], best: str | None) -> list[str]:
    rules = ["---:" if name in NUMBERS else "---" for name in names]
    rows = [
        _cells(row, names, "**" if row["run"] == best else "")
        for row in presented(table).head(SHOWN).to_dict("records")
    ]
    return [_row(cells) for cells in ([_literal(name.replace("_", " ")) for name in names], rules, *rows)]


def print_to(console: Console, table: pd.DataFrame, swept: Sequence[str]) -> None:
    """The best BEST_SHOWN settings and runs, then every run in trouble with its reason."""
    if not (settings := replicates.replicates(table, swept)).empty:
        console.print(_rich_settings(for_people(settings.head(BEST_SHOWN), table, swept)))
        console.print(settings_caption(settings.head(SHOWN)), style="dim", highlight=False)
        if len(settings) > BEST_SHOWN:
            console.print(f"{len(settings) - BEST_SHOWN} more in replicates.csv")
        console.print()
    shown = presented(table).head(BEST_SHOWN)
    names = _fitting(shown, telling(table, swept), console.width)
    console.print(_rich_table(shown, names, best_marked(table, swept)))
    if (more := len(table) - len(shown)) > 0:
        console.print(f"{more} more in summary.csv")
    troubled = aggregate.in_trouble(table)
    for row in troubled.to_dict("records"):
        reason = escape(str(row["reason"] or "no reason was recorded"))
        console.print(
            f"[red]{row['status']}[/red] {escape(str(row['run']))}: {reason}", highlight=False, soft_wrap=True
        )


def _rich_settings(texts: pd.DataFrame) -> Table:
    drawn = Table(box=None, header_style="bold", pad_edge=False, show_edge=False)
    for name in map(str, texts):
        drawn.add_column(escape(_heading(name)), vertical="bottom")
    for place, row in enumerate(texts.itertuples(index=False)):
        drawn.add_row(*map(escape, row), style="bold green" if place == 0 else None)
    return drawn


def _exact(value: object) -> object:
    return None if isinstance(value, float) and not math.isfinite(value) else guarded(value)


def _rich_table(rows: pd.DataFrame, names: Sequence[str], best: str | None) -> Table:
    drawn = Table(box=None, header_style="bold", pad_edge=False, show_edge=False)
    for name in names:
        drawn.add_column(escape(_heading(name)), justify="right" if name in NUMBERS else "left", vertical="bottom")
    for row in rows.to_dict("records"):
        texts = (escape(cell(name, row[name])) for name in names)
        drawn.add_row(*texts, style="bold green" if row["run"] == best else None)
    return drawn


def _heading(name: str) -> str:
    """A column's name at the terminal, where the table must be narrow."""
    return name.replace("_", "\n") if name in (*MEASURES, *_INTERVALS, "epochs_run") else name.rpartition(".")[2]


def _fitting(rows: pd.DataFrame, names: Sequence[str], width: int) -> list[str]:
    """As many columns as fit into ``width`` characters; the run's name stays where settings do not tell runs apart."""
    kept = list(names)
    settings = [name for name in names if name not in ("run", "status", *NUMBERS)]
    is_told_apart = bool(settings) and not rows[settings].astype(str).duplicated().any()
    for name in LEAST_NEEDED:
        if _width(rows, kept) > width and name in kept and (name != "run" or is_told_apart):
            kept.remove(name)
    return kept


def _width(rows: pd.DataFrame, names: Sequence[str]) -> int:
    texts = [[*_heading(name).split("\n"), *(cell(name, value) for value in rows[name])] for name in names]
    return sum(max(map(len, column)) + 2 for column in texts)


def _cells(row: Mapping[object, object], names: Sequence[str], mark: str) -> list[str]:
    texts = (_literal(cell(name, row[name])) for name in names)
    return [f"{mark}{text}{mark}" if text else "" for text in texts]


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _literal(text: object) -> str:
    """Text that Markdown shows as it is."""
    return re.sub(r"([\\`*_{}\[\]<>#|~$&])", r"\\\1", str(text))
