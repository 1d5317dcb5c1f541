"""The record of looks at the test images, and what reports and results say of it."""

from __future__ import annotations

import dataclasses
import io
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from analysis_folders import curve, run_folder, write_run
from hypothesis import given
from hypothesis import strategies as st
from look_records import ADAM, content, look, measured, one_run
from result_sweeps import CLEAR, by_seed, loaded
from rich.console import Console

from fashion_sweep import UserError, load_sweep
from fashion_sweep.errors import UnreadableError
from fashion_sweep.reporting import looks as said
from fashion_sweep.reporting.report import print_table, write_report
from fashion_sweep.storage import looks
from fashion_sweep.storage.looks import Estimate, Figures, Look
from fashion_sweep.storage.sweep_dir import SweepDir


def sweep(folder: Path, *recorded: Look) -> SweepDir:
    loaded(folder, CLEAR)
    for each in recorded:
        looks.add(SweepDir(folder), each)
    return SweepDir(folder)


def text(*recorded: Look) -> str:
    """What is said of the last look at the selected setting."""
    found = said.latest(recorded)
    assert found is not None
    return " ".join(said.of_look(found, recorded, "adam"))


def test_what_is_added_is_read_again(tmp_path: Path) -> None:
    place = SweepDir(tmp_path)
    assert looks.read(place) == []
    first, second = look(), one_run()
    assert looks.add(place, first) == [first]
    assert looks.add(place, second) == looks.read(place) == [first, second]


def test_a_number_that_is_none_stays_so(tmp_path: Path) -> None:
    added = look(runs=[measured(ADAM[0], test_loss=float("nan"))])
    looks.add(SweepDir(tmp_path), added)
    [found] = looks.read(SweepDir(tmp_path))
    assert {found, added} == {found}
    assert found != one_run()
    assert math.isnan(found.runs[0].test_loss)
    assert "NaN" not in content(tmp_path).decode()


def test_looks_of_a_later_version_are_kept_as_they_are(tmp_path: Path) -> None:
    looks.add(SweepDir(tmp_path), look())
    raw = json.loads(content(tmp_path))
    raw["looks"][0]["new"] = {"key": 1}
    (tmp_path / "test.json").write_text(json.dumps(raw))
    looks.add(SweepDir(tmp_path), one_run())
    assert json.loads(content(tmp_path))["looks"][0] == raw["looks"][0]


def _changed(**changes: Any) -> str:
    return json.dumps({"looks": [dataclasses.asdict(look()) | changes]})


DAMAGED = {
    "cut": '{"looks": [',
    "another value": "[]",
    "no looks": '{"look": []}',
    "no look": '{"looks": [1]}',
    "a key is missing": '{"looks": [{"when": "2026-01-02"}]}',
    "a time": _changed(when="yesterday"),
    "a question": _changed(asked="everything"),
    "a metric": _changed(metric="loss"),
    "a number": _changed(images="many"),
    "no runs": _changed(runs=[]),
    "no list of runs": _changed(runs={}),
    "a run": _changed(runs=[{"run": "a"}]),
    "figures": _changed(test=3),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_record_is_neither_read_nor_overwritten(tmp_path: Path, name: str) -> None:
    place = SweepDir(tmp_path)
    place.test.write_text(DAMAGED[name])
    uses: list[Callable[[], object]] = [lambda: looks.read(place), lambda: looks.add(place, look())]
    for use in uses:
        with pytest.raises(
            UnreadableError, match=r"test\.json: cannot be read as looks at the test images \("
        ) as raised:
            use()
        assert str(raised.value).count("\n") == 1
    assert place.test.read_text() == DAMAGED[name]


@given(st.binary(max_size=200) | st.text(max_size=50).map(str.encode))
def test_any_content_is_looks_or_an_error(tmp_path_factory: Any, junk: bytes) -> None:
    place = SweepDir(tmp_path_factory.mktemp("junk"))
    place.test.write_bytes(junk)
    with pytest.raises(UnreadableError):
        looks.read(place)


@pytest.mark.parametrize("spoil", [Path.mkdir, lambda path: path.symlink_to(path.name)])
def test_a_record_that_nobody_can_open_is_not_taken_for_none(tmp_path: Path, spoil: Callable[[Path], None]) -> None:
    spoil(tmp_path / "test.json")
    with pytest.raises(UnreadableError, match=r"test\.json: cannot be read"):
        looks.add(SweepDir(tmp_path), look())


def test_the_same_models_on_the_same_images_are_the_same_look() -> None:
    assert look().key == look(when="2027-01-01T00:00:00+00:00").key
    others = [
        one_run(),
        look(fingerprint="e" * 64),
        look(runs=look().runs[:2]),
        look(runs=[measured(point, sha256="1" * 64) for point in ADAM]),
    ]
    assert len({look().key, *(each.key for each in others)}) == 5


def test_figures_are_said_beside_those_of_the_validation_images() -> None:
    found = text(look(left_out={"failed": 2}))
    assert (
        "On 1,000 test images, adam (the lowest mean validation loss of 3 settings; best models of 3 runs; left out: "
        "2 failed) has a mean loss of 2.5000 (95% interval over images 2.2500 to 2.7500) and a mean accuracy of 0.5000 "
        "(95% interval over images 0.4600 to 0.5400)."
    ) in found
    assert (
        "the same models have a loss of 2.2500 and an accuracy of 0.7500. Test minus validation is +0.2500 (" in found
    )
    assert "(+0.1250 to +0.3750) in loss and -0.2500 (-0.3000 to -0.2000) in accuracy." in found
    assert "they do not say how much other seeds would differ" in found


def test_a_difference_is_claimed_only_where_its_interval_carries_it() -> None:
    assert "The test loss is worse by more than another draw of images would explain" in text(look(0.125, 0.375))
    assert "The test loss is better by more than another draw of images would explain" in text(look(-0.375, -0.125))
    assert "it shows no optimism, and does not show that there is none" in text(look(-0.125, 0.375))
    without = Figures(Estimate(0.25), Estimate(-0.25))
    assert "Test minus validation is +0.2500 in loss and -0.2500 in accuracy." in text(look(difference=without))
    assert "so there is no interval" in text(look(difference=without))
    assert "A loss that is no finite number cannot be compared." in text(look(difference=Figures()))


def test_of_accuracies_lower_is_worse() -> None:
    assert "The test accuracy is worse by more than" in text(look(-1, 1, metric="val_accuracy"))
    better = Figures(Estimate(0.25, 0.125, 0.375), Estimate(0.25, 0.2, 0.3))
    assert "The test accuracy is better by more than" in text(look(metric="val_accuracy", difference=better))
    assert "the highest mean validation accuracy of 3 settings" in text(look(metric="val_accuracy"))


def test_how_often_the_test_images_were_looked_at() -> None:
    again = look(runs=look().runs[:2])
    assert "Measured 2026-01-02 03:04 UTC, the first look at test images that this sweep has recorded." in text(look())
    assert "if what was seen" not in text(look())
    assert (
        "Measured 2026-01-02 03:04 UTC, after 3 looks at them (1 selection and 2 single runs): if what was seen"
        in text(look(), one_run(), one_run(), again)
    )
    assert text(look(), one_run()).endswith("Recorded since then: 1 look at them (1 single run).")


def test_a_report_shows_what_is_recorded_everywhere(tmp_path: Path) -> None:
    place = sweep(tmp_path / "s", one_run(), look())
    before = content(place.path)
    report = write_report([place.path])
    page, summary = (report.output / "index.html").read_text(), (report.output / "summary.md").read_text()
    terminal = io.StringIO()
    print_table(report, Console(file=terminal, width=200))
    for shown in (page, terminal.getvalue()):
        assert "On 1,000 test images, adam (the lowest mean validation loss of 3 settings" in shown
        assert "after 1 look at them (1 single run)" in shown
    assert "## Test images\n\nOn 1,000 test images, adam" in summary
    assert "| adam, seed 0 | 2.2500 | 2.5000 | 0.7500 | 0.5000 |" in summary
    assert "<h2>Test images</h2>" in page
    assert "The sweep has changed since" not in summary
    assert content(place.path) == before


def test_a_report_of_a_sweep_that_nobody_has_tested_says_nothing(tmp_path: Path) -> None:
    output = write_report([sweep(tmp_path / "s").path]).output
    assert "Test images" not in (output / "summary.md").read_text()
    looks.add(SweepDir(tmp_path / "s"), one_run())
    write_report([tmp_path / "s"])
    told = "The selected setting was not measured on the test images. Recorded: 1 look at them (1 single run)."
    assert told in (output / "summary.md").read_text()


def test_a_report_says_that_another_setting_would_be_selected_by_now(tmp_path: Path) -> None:
    place = sweep(tmp_path / "s", look())
    point = {"optimizer": "sgd", "seed": 0}
    for seed in range(3):
        row = curve(epochs=1)[0] | {"val_loss": 0.1}
        write_run(run_folder(place, point | {"seed": seed}).path, point | {"seed": seed}, [row])
    found = load_sweep(place.path).test().verdict
    assert "The sweep has changed since: sgd with 3 runs would be selected now, and these figures are" in found
    by_accuracy = load_sweep(place.path, measure="val_accuracy").test().verdict
    assert (
        "It was selected by the lowest validation loss; runs are ranked here by the highest validation acc"
        in by_accuracy
    )


def test_another_replicate_changes_the_selection_too(tmp_path: Path) -> None:
    place = sweep(tmp_path / "s", look(runs=look().runs[:2]))
    assert (
        "The sweep has changed since: adam with 3 runs would be selected now" in load_sweep(place.path).test().verdict
    )


def test_a_report_over_two_sweeps_names_each(tmp_path: Path) -> None:
    sweep(tmp_path / "one", look())
    loaded(tmp_path / "two", {"adam": by_seed(0.5, 0.6)})
    looks.add(SweepDir(tmp_path / "two"), one_run())
    output = write_report([tmp_path / "one", tmp_path / "two"], tmp_path / "both").output
    summary = (output / "summary.md").read_text()
    assert "one: On 1,000 test images, adam" in summary
    assert "two: The selected setting was not measured on the test images." in summary
    assert "The sweep has changed since" not in summary


def test_a_damaged_record_is_a_warning_of_the_report(tmp_path: Path) -> None:
    place = sweep(tmp_path / "s")
    place.test.write_text("{")
    report = write_report([place.path])
    [warning] = report.warnings
    assert warning.startswith(f"{place.test}: cannot be read as looks at the test images (")
    assert warning.endswith("); left out")
    with pytest.raises(UnreadableError, match="it is not overwritten"):
        load_sweep(place.path).test()


def test_hostile_names_are_only_text(tmp_path: Path) -> None:
    hostile = "<script>alert(1)</script>\x1b[31m|*_[x](y)"
    other = measured(ADAM[0], run=hostile, identity="9" * 64, file=hostile)
    place = sweep(tmp_path / "s", look(setting=hostile, runs=[other], left_out={hostile: 1}))
    report = write_report([place.path])
    terminal = io.StringIO()
    print_table(report, Console(file=terminal, width=200))
    assert "<script>alert" not in (report.output / "index.html").read_text()
    assert r"\<script\>alert" in (report.output / "summary.md").read_text()
    for shown in (terminal.getvalue(), (report.output / "summary.md").read_text()):
        assert "\x1b" not in shown


def test_results_have_the_figures(tmp_path: Path) -> None:
    found = load_sweep(sweep(tmp_path / "s", one_run(), look()).path).test()
    assert (found.setting, found.images, found.when.isoformat()) == ("adam", 1000, "2026-01-02T03:04:05+00:00")
    assert found.test.loss == Estimate(2.5, 2.25, 2.75)
    assert found.difference.accuracy.value == -0.25
    assert list(found.runs["seed"]) == [0, 1, 2]
    assert list(found.runs["val_loss"]) == [2.25] * 3
    assert list(found.looks["asked"]) == ["run", "selected"]
    assert repr(found) == found.verdict


def test_results_without_figures_say_how_to_get_them(tmp_path: Path) -> None:
    place = sweep(tmp_path / "a sweep", one_run())
    with pytest.raises(UserError, match=r"fashion-sweep-evaluate '.*/a sweep' --selected --test$"):
        load_sweep(place.path).test()
    with pytest.raises(UserError, match="is about one sweep, and these are results of 2 folders"):
        load_sweep(place.path, sweep(tmp_path / "t").path).test()
