"""What the page says of sweeps with other objectives, of classifiers without epochs, and of several sweeps."""

from pathlib import Path

import pytest
from analysis_folders import config, curve, grid, run_folder, write_run, write_sweep
from browsing import spoken, visit
from playwright.sync_api import Browser

from fashion_sweep.analysis.measure import Measure, Place
from fashion_sweep.reporting.report import write_report
from fashion_sweep.storage.record import Objective

pytestmark = pytest.mark.slow
RECORDED = Path(__file__).parent / "recorded"
ACCURACIES = {"sgd": (0.6, 0.8, 0.7), "adam": (0.5, 0.5, 0.6)}


def write_settings(folder: Path, optimizers: list[str], objective: Objective = "val_accuracy") -> Path:
    """Two seeds of each; the second has accuracies that are higher by 0.02. A higher accuracy has a higher loss."""
    points = grid(optimizer=optimizers, seed=[0, 1])
    sweep = write_sweep(folder, points)
    for point in points:
        accuracies = [each + 0.02 * point["seed"] for each in ACCURACIES[point["optimizer"]]]
        rows = [
            row | {"val_accuracy": each, "val_loss": each + 1}
            for row, each in zip(curve(epochs=3), accuracies, strict=True)
        ]
        write_run(run_folder(sweep, point).path, point, rows, config=config(point) | {"objective": objective})
    return sweep.path


@pytest.mark.parametrize(
    ("metric", "at", "means"),
    [
        (None, "best", ["0.8100", "0.6100"]),
        ("val_accuracy", "last", ["0.7100", "0.6100"]),
        ("val_accuracy", 2, ["0.7600", "0.5600"]),
        ("val_loss", "best", ["1.5100", "1.6100"]),
        ("val_loss", "last", ["1.6100", "1.7100"]),
    ],
)
def test_settings_are_shown_by_what_they_are_ranked_by(
    browser: Browser, tmp_path: Path, metric: Objective | None, at: Place | int, means: list[str]
) -> None:
    sweep = write_settings(tmp_path, ["sgd", "adam"])
    measure = Measure(metric or "val_accuracy", at)
    name, other = spoken(measure.column), spoken(measure.other)
    for opened in visit(browser, write_report([sweep], metric=metric, at=at).page):
        page = opened.page
        heads = page.locator(".leaderboard thead th").all_inner_texts()
        interval = "95% interval of "
        assert heads[1:6] == [name, interval + name, "against the best", other, interval + other]
        assert ("best epoch" in heads) == (at == "best")
        assert opened.column(name) == [f"{mean} ± 0.0141" for mean in means]  # sqrt(2) * 0.01
        best = float(means[0])  # plus and minus 12.706 standard errors of 0.01
        assert opened.column(interval + name)[0] == f"{best - 0.12706:.4f} to {best + 0.12706:.4f}"
        assert page.locator(".mark").all_inner_texts() == ["best"]  # each seed differs by the same
        assert page.get_by_label("Metric").input_value() == measure.metric
        assert measure.where in page.locator("#board-section").inner_text()


def test_a_run_is_marked_where_its_measure_is_best(browser: Browser, tmp_path: Path) -> None:
    sweep = write_settings(tmp_path, ["sgd"])
    for opened in visit(browser, write_report([sweep]).page):
        opened.page.get_by_label("group runs by setting").uncheck()
        opened.page.locator("tr.run .open").first.click()
        detail = opened.page.locator(".detail")
        assert detail.locator(".legend button").all_inner_texts() == ["accuracy", "val accuracy"]
        detail.get_by_text("All 3 epochs").click()
        marked = detail.locator("tr.is-marked th").all_inner_texts()
        assert marked == ["2 (highest validation accuracy)"]


def test_the_best_of_several_runs_is_marked_by_its_measure(browser: Browser, tmp_path: Path) -> None:
    sweep = write_sweep(tmp_path / "sweep", grid(optimizer=["sgd", "adam"]))
    report = write_report([sweep.path], metric="val_accuracy", at="last")
    for opened in visit(browser, report.page):
        assert opened.page.locator(".mark").all_inner_texts() == ["highest validation accuracy in the last epoch"]
        assert opened.column("last val accuracy") == [
            f"{curve(each)[-1]['val_accuracy']:.4f}" for each in ("adam", "sgd")
        ]


def test_classifiers_without_epochs_have_no_curves(browser: Browser, tmp_path: Path) -> None:
    page = write_report([RECORDED / "logistic"], tmp_path / "report").page
    for opened in visit(browser, page):
        heads = opened.page.locator(".leaderboard thead th").all_inner_texts()
        assert heads == ["run", "best val loss", "best val accuracy", "status", "model.max iter", "seconds"]
        assert opened.column("model.max iter") == ["9", "5"]
        assert opened.page.locator("#curves-section").count() == 0
        opened.page.locator("tr.run .open").first.click()
        assert "Train it again" in opened.page.locator(".detail").inner_text()
        assert opened.page.locator("#board svg, tbody input").count() == 0


def test_classifiers_beside_networks_are_said_to_be_measured_otherwise(browser: Browser, tmp_path: Path) -> None:
    page = write_report([RECORDED / "logistic", RECORDED / "sweep"], tmp_path / "report").page
    for opened in visit(browser, page):
        assert "Classifiers are measured on all images" in opened.page.locator(".best").inner_text()
        boxes = opened.page.locator("tbody input")
        assert sorted(box.is_enabled() for box in boxes.all())[:2] == [False, False]
        assert boxes.last.is_visible()


def test_a_seed_of_two_sweeps_counts_once(browser: Browser, tmp_path: Path) -> None:
    first = write_settings(tmp_path / "first", ["sgd", "adam"])
    second = write_settings(tmp_path / "second", ["sgd"])
    for opened in visit(browser, write_report([first, second], tmp_path / "report").page):
        assert opened.column("sweep") == ["first, second", "first"]
        assert opened.column("status") == ["2 completed, 2 repeated", "2 completed"]
        assert opened.column("best val accuracy")[0] == "0.8100 ± 0.0141"
        texts = opened.page.locator(".legend .value").all_inner_texts()
        assert texts[0] == "0.7100 (0.5829 to 0.8371), 2 seeds"
        opened.page.get_by_label("group runs by setting").uncheck()
        assert sorted(opened.column("sweep")) == ["first"] * 4 + ["second"] * 2


def test_runs_that_differ_in_the_sweep_alone_are_told_apart(browser: Browser, tmp_path: Path) -> None:
    for name in ("first", "second"):
        write_sweep(tmp_path / name, grid(optimizer=["sgd", "adam"]))
    for opened in visit(browser, write_report([tmp_path / "first", tmp_path / "second"], tmp_path / "report").page):
        opened.page.get_by_label("Filter").fill("sgd second")
        assert opened.column("sweep") == ["second"]
        opened.page.get_by_label("Filter").fill("")
        assert opened.page.locator("tr.run .open").all_inner_texts() == [
            *("adam, sweep first", "adam, sweep second", "sgd, sweep first", "sgd, sweep second"),
        ]


def test_a_lone_run_is_not_marked(browser: Browser, tmp_path: Path) -> None:
    write_run(tmp_path / "run", {}, curve())
    for opened in visit(browser, write_report([tmp_path / "run"]).page):
        assert opened.page.locator(".mark").count() == 0
        opened.page.locator("tr.run .open").click()
        assert opened.page.locator(".detail summary").all_inner_texts() == ["Config: 11 keys", "All 5 epochs"]
