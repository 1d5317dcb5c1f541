"""The page in a browser: headless Chromium, driven by Playwright."""

import math
from collections.abc import Iterator
from pathlib import Path

import pytest
from analysis_folders import config, curve, grid, run_folder, write_run, write_samples, write_sweep
from axe_playwright_python.sync_playwright import Axe
from browsing import Opened, spoken, visit
from playwright.sync_api import Browser

from fashion_sweep.analysis.load import collect
from fashion_sweep.analysis.replicates import over_seeds
from fashion_sweep.analysis.summary import summarize
from fashion_sweep.reporting.report import write_report
from fashion_sweep.storage.record import METRICS, Status

pytestmark = pytest.mark.slow
HOSTILE = "</script><img src=x onerror=alert(1)>\u2028<!--"
POINTS = grid(optimizer=["sgd", "adam", "rmsprop"], model__dropout=[0, 0.3], seed=[0, 1, 2])


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep of six settings with three seeds each, one of whose runs failed."""
    sweep = write_sweep(tmp_path_factory.mktemp("page") / "sweep", POINTS, epochs=8)
    write_samples(sweep)
    failed = run_folder(sweep, POINTS[0])
    write_run(failed.path, POINTS[0], curve(epochs=2), status=Status.FAILED, reason="ValueError: no")
    failed.log.write_text("first line\nValueError: no\n")
    return write_report([sweep.path]).page


@pytest.fixture
def opened(browser: Browser, written: Path) -> Iterator[Opened]:
    yield from visit(browser, written)


def test_rows_sort_by_number_and_by_text(opened: Opened) -> None:
    opened.page.get_by_role("button", name="best val loss", exact=True).click()
    means = [float(text.split()[0]) for text in opened.column("best val loss")]
    assert len(means) == 6
    assert means == sorted(means)
    opened.page.get_by_role("button", name="best val loss", exact=True).click()
    assert [float(text.split()[0]) for text in opened.column("best val loss")] == means[::-1]
    opened.page.get_by_role("button", name="best val accuracy", exact=True).click()
    accuracies = [float(text.split()[0]) for text in opened.column("best val accuracy")]
    assert accuracies == sorted(accuracies, reverse=True)
    opened.page.get_by_role("button", name="optimizer", exact=True).click()
    assert opened.column("optimizer") == ["adam", "adam", "rmsprop", "rmsprop", "sgd", "sgd"]
    assert opened.page.locator("th[aria-sort=ascending]").all_inner_texts() == ["optimizer"]


def test_all_settings_that_cannot_be_told_from_the_best_are_marked(opened: Opened) -> None:
    relations = opened.column("against the best")
    expected = [not text.startswith("worse") for text in relations]
    assert 1 < sum(expected) < 6
    marks = [row.locator(".mark").count() == 1 for row in opened.page.locator("tr.setting").all()]
    assert marks == expected
    texts = opened.page.locator(".mark").all_inner_texts()
    assert texts == ["lowest mean"] + ["not told apart from the best"] * (sum(expected) - 1)


def test_means_leave_out_runs_that_do_not_count(opened: Opened) -> None:
    assert sorted(opened.column("status")) == ["2 completed, 1 failed"] + ["3 completed"] * 5
    assert opened.column("epochs run") == ["8"] * 6  # the failed run has 2


def test_the_filter_finds_runs_inside_settings(opened: Opened) -> None:
    opened.page.get_by_label("Filter").fill("failed valueerror")
    assert opened.page.locator("tr.setting").count() == 1
    assert opened.page.get_by_role("status").inner_text() == "1 of 6 settings match."
    opened.page.locator("tr.setting .open").click()
    assert opened.page.locator("tr.run").count() == 1
    opened.page.get_by_label("Filter").fill("no such words")
    assert opened.page.locator("tr.setting").count() == 0


def test_columns_hide_and_runs_ungroup(opened: Opened) -> None:
    opened.page.get_by_text("Columns", exact=True).click()
    opened.page.get_by_label("best epoch").uncheck()
    assert "best epoch" not in opened.page.locator(".leaderboard thead th").all_inner_texts()
    opened.page.get_by_label("group runs by setting").uncheck()
    assert opened.page.locator("tr.run").count() == 18
    assert "best epoch" not in opened.page.locator(".leaderboard thead th").all_inner_texts()


def test_a_click_on_a_run_shows_everything_about_it(opened: Opened, written: Path) -> None:
    page = opened.page
    page.get_by_label("Filter").fill("failed valueerror")
    page.locator("tr.setting .open").click()
    page.locator("tr.run td").nth(1).click()
    detail = page.locator(".detail")
    name = detail.locator("h3").inner_text()
    folder = written.parent.parent / name
    keys, values = (detail.locator(".pairs").first.locator(tag).all_inner_texts() for tag in ("dt", "dd"))
    assert dict(zip(keys, values, strict=True)) == {
        "model.dropout": "0",
        "optimizer._target_": "keras.optimizers.sgd",
        "optimizer.learning_rate": "0.01",
        "seed": "0",
    }
    assert f"fashion-sweep-reproduce {folder}" in detail.locator("pre").first.inner_text()
    assert detail.locator(".files a").all_inner_texts() == ["history.csv", "run.json", "train.log"]
    href = str(detail.locator(".files a").first.get_attribute("href"))
    assert (written.parent / href).samefile(folder / "history.csv")
    assert "first line\nValueError: no" in detail.inner_text()
    detail.get_by_text("All 2 epochs").click()
    assert detail.locator("thead th").all_inner_texts()[1:] == [*map(spoken, METRICS), "seconds"]
    cells = detail.locator("tbody td").all_inner_texts()
    rows = curve(epochs=2)
    assert cells == [text for row in rows for text in (*(f"{row[name]:.4f}" for name in METRICS), "1.25")]


def test_what_is_open_in_a_run_stays_open_when_the_table_changes(opened: Opened) -> None:
    opened.page.get_by_label("group runs by setting").uncheck()
    opened.page.locator("tr.run .open").first.click()
    opened.page.locator(".detail").get_by_text("All 8 epochs").click()
    opened.page.get_by_role("button", name="best val loss", exact=True).click()
    assert opened.page.locator(".detail tbody tr").count() == 8
    assert opened.page.locator(".detail tbody").is_visible()


def test_means_and_bands_are_those_of_the_figures(opened: Opened, written: Path) -> None:
    collected = collect([written.parent.parent])
    runs = summarize(collected.runs, collected.histories, collected.measure)
    _, means = over_seeds(runs, collected.histories, "val_loss", collected.measure)
    last = means[means["epoch"] == 8].sort_values("val_loss")
    texts = opened.page.locator(".legend .value").all_inner_texts()
    shown = sorted([float(part.strip("(),")) for part in text.split() if part[0] in "(0"] for text in texts)
    expected = [
        [row["val_loss"], *([] if math.isnan(row["low"]) else [row["low"], row["high"]])]
        for row in last.to_dict("records")
    ]
    assert len(shown) == len(expected) == 6
    for one, other in zip(shown, expected, strict=True):
        assert one == pytest.approx(other, rel=1e-3)


def test_hovering_and_the_slider_move_the_epoch(opened: Opened) -> None:
    page = opened.page
    page.locator("#curves .chart").scroll_into_view_if_needed()
    box = page.locator("#curves .chart").bounding_box()
    assert box
    page.mouse.move(box["x"] + 60, box["y"] + 100)
    assert page.locator("#curves .epoch .value").inner_text() == "1"
    assert page.locator("#curves .cursor circle").count() == 6
    page.locator("#curves input[type=range]").focus()
    page.keyboard.press("ArrowRight")
    assert page.locator("#curves .epoch .value").inner_text() == "2"
    assert "epoch 2, adam, dropout" in str(page.locator("#curves input[type=range]").get_attribute("aria-valuetext"))


def test_series_toggle_and_axes_change(opened: Opened) -> None:
    page = opened.page
    lines, ticks = page.locator("#curves .chart path.line"), page.locator("#curves .chart text")
    assert (lines.count(), page.locator("#curves .band").count()) == (6, 6)
    page.locator("#curves .legend button").first.click()
    assert lines.count() == 5
    before = ticks.all_text_contents(), lines.first.get_attribute("d")
    page.get_by_label("log axis").check()
    assert lines.first.get_attribute("d") != before[1]
    page.locator("#curves").get_by_role("button", name="Zoom in").click()
    zoomed = ticks.all_text_contents()
    assert zoomed != before[0]
    page.locator("#curves").get_by_role("button", name="Whole curve").click()
    page.get_by_label("Metric").select_option("val_accuracy")
    assert "val accuracy" in ticks.all_text_contents()
    page.get_by_label("Curve of", exact=False).first.uncheck()
    assert page.locator("#curves .legend li").count() == 5


def test_dragging_zooms_and_a_double_click_undoes_it(opened: Opened) -> None:
    page = opened.page
    chart = page.locator("#curves .chart")
    chart.scroll_into_view_if_needed()
    before = chart.text_content()
    box = chart.bounding_box()
    assert box
    page.mouse.move(box["x"] + 200, box["y"] + 100)
    page.mouse.down()
    page.mouse.move(box["x"] + 500, box["y"] + 103, steps=3)
    page.mouse.up()
    assert chart.text_content() != before
    chart.dblclick()
    assert chart.text_content() == before


def test_outliers_are_cut_off_which_is_said_and_a_log_axis_has_them(browser: Browser, tmp_path: Path) -> None:
    sweep = write_sweep(tmp_path, grid(optimizer=["sgd", "adam"]))
    point = {"optimizer": "sgd", "optimizer.learning_rate": 10}
    write_run(run_folder(sweep, point).path, point, [row | {"val_loss": 1e27} for row in curve()])
    for opened in visit(browser, write_report([sweep.path]).page):
        note = opened.page.locator("#curves > p")
        assert note.inner_text() == "Values above 0.85 are cut off: a log axis shows all."  # SGD's 0.834 and 4% more
        ticks = opened.page.locator("#curves .chart text[text-anchor=end]")
        assert ticks.all_text_contents() == ["0.4", "0.5", "0.6", "0.7", "0.8"]
        opened.page.get_by_label("log axis").check()
        assert note.is_hidden()
        assert ticks.last.text_content() == "1e26"  # one of four powers


def test_bands_get_no_more_space_than_lines_which_is_said(browser: Browser, tmp_path: Path) -> None:
    for seed in (0, 1):
        rows = [row | {"val_loss": 1.0 + seed - row["epoch"] / 10} for row in curve(epochs=3)]
        write_run(tmp_path / str(seed), {"seed": seed}, rows)
    for opened in visit(browser, write_report([tmp_path]).page):
        ticks = opened.page.locator("#curves .chart text[text-anchor=end]").all_text_contents()
        assert ticks == ["1.0", "1.2", "1.4", "1.6"]  # means of 1.2 to 1.4
        assert opened.page.locator("#curves > p").inner_text() == "Some bands reach beyond this axis."


def test_long_names_fit_on_a_phone(browser: Browser, tmp_path: Path) -> None:
    points = grid(
        model__kernel=[f"a_name_without_any_blank_that_is_longer_than_a_phone_{k}" for k in range(3)], seed=[0, 1]
    )
    for opened in visit(browser, write_report([write_sweep(tmp_path, points).path]).page, width=320):
        opened.page.locator("tr.setting .open").first.click()
        opened.page.locator("tr.run .open").first.click()
        assert opened.page.evaluate("document.documentElement.scrollWidth") == 320


@pytest.mark.parametrize(("width", "scheme"), [(1200, "light"), (1200, "dark"), (360, "light"), (360, "dark")])
def test_the_page_is_accessible_and_fits(browser: Browser, written: Path, width: int, scheme: str) -> None:
    for opened in visit(browser, written, width, scheme):
        opened.page.locator("tr.setting .open").first.click()
        opened.page.locator("tr.run .open").first.click()
        opened.page.locator(".menu summary").click()
        found = Axe().run(opened.page)
        assert found.violations_count == 0, found.generate_report()
        assert opened.page.evaluate("document.documentElement.scrollWidth") == width
        paper = opened.page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (paper == "rgb(255, 255, 255)") == (scheme == "light")


def test_on_paper_all_runs_are_there_and_the_page_is_white(browser: Browser, written: Path) -> None:
    for opened in visit(browser, written, scheme="dark"):
        page = opened.page
        assert page.pdf(prefer_css_page_size=True).startswith(b"%PDF")
        assert page.locator("tr.run").count() == 0  # closed again
        page.emulate_media(media="print", color_scheme="dark")
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        assert page.locator("tr.run").count() == 18
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"


def test_hostile_names_and_values_are_inert(browser: Browser, tmp_path: Path) -> None:
    sweep = write_sweep(tmp_path / "sweep", POINTS[:1], epochs=2)
    other = tmp_path / "sweep" / "<img src=x onerror=alert(1)>"
    values = config({}) | {"note": HOSTILE, HOSTILE: 1, "__proto__": "x"}
    run = write_run(other, {}, curve(epochs=2), config=values)
    run.log.write_text(HOSTILE)
    (other / "a&b<i>.txt").touch()
    page = write_report([sweep.path]).page
    for opened in visit(browser, page):
        for button in opened.page.locator("tr.run .open").all():
            button.click()
        assert opened.page.locator(".leaderboard img").count() == 0
        text = opened.page.locator(".leaderboard").inner_text()
        assert text.count("</script><img src=x onerror=alert(1)> <!--") >= 3
        hrefs = [link.get_attribute("href") for link in opened.page.locator(".files a").all()]
        assert "../%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E/a%26b%3Ci%3E.txt" in hrefs


def test_many_runs_come_in_pages(browser: Browser, tmp_path: Path) -> None:
    sweep = write_sweep(tmp_path, grid(optimizer__learning_rate=[0.001 * k for k in range(1, 71)]), epochs=1)
    for opened in visit(browser, write_report([sweep.path]).page):
        assert opened.page.locator("tr.run").count() == 50
        assert opened.page.locator(".mark").all_inner_texts() == ["lowest validation loss"]
        opened.page.get_by_role("button", name="Next page").click()
        assert opened.page.locator("tr.run").count() == 20
        assert opened.page.get_by_role("status").inner_text() == "70 runs. Rows 51 to 70."


@pytest.mark.parametrize("count", [0, 1])
def test_a_page_of_one_run_and_of_none_opens(browser: Browser, tmp_path: Path, count: int) -> None:
    sweep = write_sweep(tmp_path, POINTS[:count])
    for opened in visit(browser, write_report([sweep.path]).page):
        assert opened.page.locator("tr.run").count() == count


def test_without_scripts_there_are_plain_tables(browser: Browser, written: Path) -> None:
    page = browser.new_context(java_script_enabled=False).new_page()
    page.goto(written.as_uri())
    assert page.locator(".plain table").count() == 2
    assert page.locator(".live").first.is_hidden()
