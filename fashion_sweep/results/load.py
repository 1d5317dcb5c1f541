"""The results of sweeps and runs, for notebooks and scripts."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import pandas as pd

from fashion_sweep.analysis import comparison, dynamics, replicates, summary
from fashion_sweep.analysis.comparison import Comparison
from fashion_sweep.analysis.load import Collected, collect
from fashion_sweep.analysis.measure import Place
from fashion_sweep.analysis.names import unique
from fashion_sweep.analysis.parameters import swept_parameters
from fashion_sweep.analysis.settings import label
from fashion_sweep.analysis.verdict import pairs, tied
from fashion_sweep.errors import FolderError, UserError
from fashion_sweep.reporting import labels, methods, table, verdict
from fashion_sweep.results import answers, arrays, page, tested
from fashion_sweep.results.plots import Plots
from fashion_sweep.results.run import Run
from fashion_sweep.results.tested import Tested
from fashion_sweep.storage.atomic import write_text
from fashion_sweep.storage.record import OBJECTIVES, Objective

if TYPE_CHECKING:
    import xarray

Setting = str | Mapping[str, object]
"""The name of a setting, or values of columns that only it has, such as {"optimizer": "adam", "dropout": 0.3}."""


def load_sweep(*folders: str | Path, measure: Objective | None = None, at: Place | int = "best") -> Results:
    """What the folders of sweeps or of single runs hold, finished or not.

    Whatever can be read is there, and the rest is told by ``Results.warnings``. Results do not change any more: load
    again to see what a running sweep has done since.
    measure: val_loss or val_accuracy, which runs and settings are ranked by; by default the objective that they were
        trained for, which is val_loss where it was not set.
    at: its best epoch; the last; or how many of the last epochs are averaged.
    Raises FolderError for a folder that is neither a sweep's nor a run's, UserError for another measure or place.
    """
    if not folders:
        raise UserError("load_sweep() needs at least one folder of a sweep or run, such as outputs/sweeps/SWEEP")
    if measure not in (None, *OBJECTIVES):
        raise UserError(f"measure is {measure!r:.60}, expected {' or '.join(OBJECTIVES)}")
    if at not in get_args(Place) and not (type(at) is int and at >= 1):
        raise UserError(f"at is {at!r:.60}, expected 'best', 'last' or a number of epochs, at least 1")
    paths = [Path(folder) for folder in folders]
    return Results(paths, collect(paths, measure, "last" if at == 1 else at))


class Results:
    """The results of sweeps and runs; a *setting* is the runs that differ in the seed alone."""

    def __init__(self, folders: Sequence[Path], collected: Collected) -> None:
        self.folders = list(folders)
        self.warnings = list(collected.warnings)
        """What could not be read, and so is left out."""
        self._collected = collected
        self._measure = collected.measure
        self._swept = collected.swept
        self._factors = replicates.factors(collected.swept)
        self._table = summary.summarize(collected.runs, collected.histories, collected.measure)
        self.plot = Plots(self._table, collected)
        """The report's figures: ``plot.curves()``, ``train_vs_val()``, ``effects()``, ``pairs()`` and ``samples()``."""

    @cached_property
    def runs(self) -> pd.DataFrame:
        """A row for each run in the order of the plan.

        Columns: run and setting (names), status, reason, is_partial, what was set (model, optimizer, learning_rate,
        dropout, seed and swept keys), parameters, epochs_run, best_epoch, best_val_loss, best_val_accuracy,
        last_loss, last_accuracy, last_val_loss, last_val_accuracy, seconds, at_chance, folder.
        """
        names = self._table["setting"].map(self._names)
        folders = [str(run.path) for run in self._collected.found.values()]
        whole = self._table.assign(setting=names, folder=folders).infer_objects()
        known = [name for name in table.columns(self._table, self._swept) if name not in ("run", "status")]
        return whole[["run", "setting", "status", "reason", "is_partial", *known, "folder"]]

    @cached_property
    def settings(self) -> pd.DataFrame:
        """A row for each setting, best mean first; settings without results come last.

        Columns: setting (its name), what was set, and those of replicates.csv: seeds and counts of runs that are left
        out; mean, sd, low and high over seeds of the loss and accuracy that count, such as best_val_loss_mean;
        difference, effect, p_value and optimism, see docs/output-files.md.
        """
        frame = self._settings.drop(columns="run")
        frame.insert(0, "setting", [self._names[each] for each in self._ids])
        return frame.infer_objects()

    @cached_property
    def histories(self) -> pd.DataFrame:
        """A row for each epoch of each run: every column of history.csv, and what was set.

        Columns: run, epoch, loss, accuracy, val_loss, val_accuracy, epoch_learning_rate (the column learning_rate of
        history.csv, only with a schedule), seconds; setting, what was set, and folder, as in ``runs``.
        """
        described = ["run", "setting", *self._factors, "seed", "folder"]
        return self._collected.histories.merge(self.runs[described], on="run", how="left", sort=False)

    def best(self) -> answers.Best:
        """The setting of the best mean, over the seeds of completed runs, and those tied with it.

        Raises FolderError where no run has completed with a finite result.
        """
        ranked = int(self._settings[f"{self._measure.column}_mean"].notna().sum())
        if not ranked:
            where = ", ".join(map(str, self.folders))
            raise FolderError(f"{where}: no run has completed with a result; .runs says what became of them")
        name, *_ = names = [self._names[each] for each in self._ids]
        alike = [other for other, is_tied in zip(names, tied(self._settings, self._measure), strict=True) if is_tied]
        runs = self.runs[self.runs["setting"] == name]
        return answers.Best(name, alike, ranked > 1 and not alike, runs, self.verdict())

    def compare(self, a: Setting, b: Setting) -> answers.Difference:
        """The results of setting ``a`` minus those of ``b``, paired by seed.

        Raises UserError where one of them is no setting or has no results.
        """
        places = [self._place_of(setting) for setting in (a, b)]
        names = [self._names[self._ids[place]] for place in places]
        if places[0] == places[1]:
            raise UserError(f"{names[0]!r} twice: compare two different settings")
        values = replicates.by_seed(self._table, self._measure)
        for place, name in zip(places, names, strict=True):
            if self._ids[place] not in values.index:
                raise UserError(f"{name!r} has no completed run with a result, so it cannot be compared")
        reported = None if 0 not in places else float(self._settings["p_value"].iloc[max(places)])
        rows = values.loc[[self._ids[place] for place in places]].set_axis(names)
        return answers.compare(rows, self._measure, reported, pairs(self._settings["seeds"]))

    def compare_with(self, baseline: Results) -> Comparison:
        """These results against those of another sweep: the settings that both have, by seed, and what has changed.

        Raises UserError where the two are ranked by other measures, FolderError where their datasets differ.
        """
        if baseline._measure != self._measure:
            one, other = (f"the {each.result}" for each in (baseline._measure, self._measure))
            raise UserError(f"the sweeps are ranked by {one} and by {other}: load both with the same measure and at")
        return comparison.compare(baseline._collected, self._collected)

    def effects(self) -> answers.Effects:
        """What each swept parameter does to the result, as in the report."""
        return answers.effects(self._table, self._parameters, self._measure)

    def methods(self) -> str:
        """A paragraph for a paper: how the runs were trained, and how settings are compared."""
        return " ".join(methods.sentences(self._table, self._settings, self._collected))

    def verdict(self) -> str:
        """The report's sentences: which setting is best, whether that means anything; empty if no run has completed."""
        return verdict.verdict(self._table, self._replicates, self._swept, self._measure)

    def test(self) -> Tested:
        """What ``evaluate.py SWEEP --selected --test`` has found last, as the sweep's folder has it now.

        Raises UserError where nobody has measured the selected setting on the test images, and for results of several
        folders; UnreadableError where the record of that is damaged.
        """
        if len(self.folders) != 1:
            raise UserError(f"test() is about one sweep, and these are results of {len(self.folders)} folders")
        return tested.tested(self.folders[0], self._table, self._collected)

    def run(self, name: str) -> Run:
        """The run of this name, see the column run of ``runs``. Raises UserError if there is none."""
        found = self._collected.found.get(name)
        if found is None:
            near = difflib.get_close_matches(name, self._collected.found, n=1, cutoff=0.3)
            hint = f"; did you mean {near[0]!r}?" if near else "."
            raise UserError(f"{name!r:.80}: no such run{hint} The column run of .runs has all names.")
        return Run(name, found)

    def to_xarray(self) -> xarray.Dataset:
        """The metrics of histories with a dimension for each swept parameter, the seed and the epoch.

        Raises UserError where xarray is not installed, or several runs have the same place.
        """
        return arrays.to_xarray(self.histories, self._parameters)

    def to_csv(self, folder: str | Path) -> None:
        """Write runs.csv, settings.csv and histories.csv, with every digit, into a folder, which is made.

        Raises FolderError where they cannot be written.
        """
        place = Path(folder)
        try:
            place.mkdir(parents=True, exist_ok=True)
            for name in ("runs", "settings", "histories"):
                write_text(place / f"{name}.csv", table.csv_text(getattr(self, name)))
        except OSError as error:
            raise FolderError(f"{place}: tables cannot be written there ({error.strerror or error})") from error

    def __len__(self) -> int:
        """How many runs there are."""
        return len(self._table)

    def __repr__(self) -> str:
        return page.text(self._page())

    def _repr_html_(self) -> str:
        return page.html(self._page())

    def _page(self) -> page.Page:
        shown = self._settings.head(page.SHOWN)
        texts = table.for_people(shown, self._table, self._swept, self._measure)
        if self._replicates.empty:  # one seed each is compared with nothing
            texts = texts.drop(columns=["against_the_best"], errors="ignore")
        return page.Page(
            head=" ".join([table.sentence(self._table), *map(str, self.folders)]),
            verdict=self.verdict(),
            settings=texts,
            more=len(self._names) - len(shown),
            incomplete=[
                f"{row['status']} {row['run']}: {row['reason'] or 'no reason was recorded'}"
                for row in summary.incomplete(self._table).to_dict("records")
            ],
            warnings=self.warnings,
        )

    @cached_property
    def dynamics(self) -> pd.DataFrame:
        """A row for each run with a whole history: how it learned, as in dynamics.csv.

        Columns: run, gap_at_best and gap_at_last (validation loss minus training loss), overfits_after (the epoch, if
        it overfits), still_improving (at its last epoch), epochs_to_target; see docs/output-files.md.
        """
        return dynamics.dynamics(self._table, self._collected.histories, self._measure)

    @cached_property
    def _parameters(self) -> list[str]:
        return swept_parameters(self._table, self._swept, self._collected.records)

    @cached_property
    def _settings(self) -> pd.DataFrame:
        """A row for each setting, best first, as the report describes them."""
        return replicates.every_setting(self._table, self._swept, self._measure)

    @cached_property
    def _replicates(self) -> pd.DataFrame:
        return replicates.replicates(self._table, self._swept, self._measure)

    @cached_property
    def _names(self) -> dict[str, str]:
        """Value of the table's column setting -> name, those of settings with results as in the report."""
        firsts = summary.ranked(self._table).drop_duplicates("setting")
        names = labels.setting_names(firsts, self._table, self._swept)
        if len(set(names)) < len(names) or "" in names:
            names = [labels.describe(row, self._factors) for row in firsts.to_dict("records")]
        return dict(zip(firsts["setting"], unique(names), strict=True))

    @cached_property
    def _ids(self) -> list[str]:
        """Of each row of ``_settings``, the value of the table's column setting."""
        return list(self._settings["run"].map(self._table.set_index("run")["setting"]))

    def _place_of(self, setting: Setting) -> int:
        """The row of ``_settings`` that is meant. Raises UserError unless it is exactly one."""
        names = [self._names[each] for each in self._ids]
        is_meant = [name == setting for name in names] if isinstance(setting, str) else self._has(setting)
        found = [place for place, is_it in enumerate(is_meant) if is_it]
        if len(found) == 1:
            return found[0]
        listed = [names[place] for place in found] or names
        more = f"; and {len(listed) - page.SHOWN} more" if len(listed) > page.SHOWN else ""
        what = f"{len(found)} settings have that" if found else "no such setting"
        raise UserError(f"{setting!r:.200}: {what}; expected one of: {'; '.join(listed[: page.SHOWN])}{more}")

    def _has(self, values: Mapping[str, object]) -> pd.Series[bool]:
        """Which rows of ``settings`` have these values. Raises UserError for a column that they lack."""
        unknown = [name for name in values if name not in self._factors]
        if unknown:
            raise UserError(f"{unknown[0]!r:.80}: settings have no such column; expected {', '.join(self._factors)}")
        has = pd.Series(data=True, index=self._settings.index)
        for name, value in values.items():
            has &= self._settings[name].map(label) == label(value)
        return has
