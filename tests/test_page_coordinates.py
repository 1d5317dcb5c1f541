"""Parallel coordinates and what colours mean, in headless Chromium."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from analysis_folders import curve, grid, run_folder, write_run, write_sweep
from axe_playwright_python.sync_playwright import Axe
from browsing import Opened, visit
from playwright.sync_api import Browser

from fashion_sweep.reporting.report import write_report
from fashion_sweep.storage.record import Objective, Status

pytestmark = pytest.mark.slow
POINTS = grid(optimizer=["sgd", "adam", "rmsprop"], model__dropout=[0, 0.3], seed=[0, 1, 2])
RATES = [0.0001, 0.001, 0.01, 0.1]
COLOURS = [f"--c{place}" for place in range(8)] + [f"--s{place}" for place in range(7)] + ["--soft"]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six settings with three seeds each."""
    return write_report([write_sweep(tmp_path_factory.mktemp("page") / "sweep", POINTS).path]).page


@pytest.fixture
def opened(browser: Browser, written: Path) -> Iterator[Opened]:
    yield from visit(browser, written)


def lines(opened: Opened, look: str = ".line") -> int:
    """How many lines of a look are drawn; one path holds all of them."""
    paths = opened.page.locator(f"#coordinates .scroll path{look}").all()
    return sum(str(path.get_attribute("d")).count("M") for path in paths)


def crossed(opened: Opened, look: str, axis: int) -> list[float]:
    """Where the lines of a look cross an axis, in pixels from the top, distinct."""
    paths = opened.page.locator(f"#coordinates .scroll path{look}").all()
    every = [each for path in paths for each in str(path.get_attribute("d")).split("M")[1:]]
    return sorted({float(each.split("L")[axis].split(",")[1]) for each in every})


def ticks(opened: Opened, axis: int) -> dict[str, float]:
    """The texts of an axis, and the pixels that they are at."""
    group = opened.page.locator("#coordinates .scroll > svg > g").nth(2 + axis)
    return {
        str(text.text_content()): float(str(text.get_attribute("y"))) - 4
        for text in group.locator("text:not(.name)").all()
    }


def meanings(opened: Opened, section: str) -> dict[str, str]:
    """Class of the swatch -> its text."""
    entries = opened.page.locator(f"{section} .tones li").all()
    looks = [str(entry.locator("path").get_attribute("class")).split()[1] for entry in entries]
    return dict(zip(looks, (entry.inner_text() for entry in entries), strict=True))


def test_a_line_for_each_setting_crosses_each_parameter_and_the_measure(opened: Opened) -> None:
    names = opened.page.locator("#coordinates .name").all_text_contents()
    assert names == ["optimizer", "dropout", "best val loss"]
    assert lines(opened) == 6
    assert list(ticks(opened, 0)) == ["sgd", "adam", "rmsprop"]
    assert crossed(opened, ".line", 0) == sorted(ticks(opened, 0).values())
    assert crossed(opened, ".line", 1) == sorted(ticks(opened, 1).values())
    label = opened.page.locator("svg.coordinates").get_attribute("aria-label")
    assert label == "Lines of 6 settings across optimizer, dropout, best val loss"


def test_a_chosen_value_keeps_lines_and_rows(opened: Opened) -> None:
    page = opened.page
    page.get_by_label("Keep optimizer").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    assert page.get_by_label("Keep optimizer").input_value() == "adam"
    assert opened.column("optimizer") == ["adam", "adam"]
    assert page.get_by_role("status").inner_text() == "2 of 6 settings match."
    assert (lines(opened), lines(opened, ".away")) == (6, 4)
    assert crossed(opened, ":not(.away)", 0) == [ticks(opened, 0)["adam"]]
    page.get_by_label("Keep dropout").select_option("0.3")
    assert opened.column("dropout") == ["0.3"]
    assert page.locator("#coordinates > p").inner_text() == "1 of 6 settings kept: optimizer adam; dropout 0.3."
    assert "1 of them kept by optimizer, dropout" in str(page.locator("svg.coordinates").get_attribute("aria-label"))
    page.get_by_label("group runs by setting").uncheck()
    assert sorted(opened.column("seed")) == ["0", "1", "2"]
    page.get_by_role("button", name="All settings").click()
    assert page.locator("tr.run").count() == 18
    assert page.get_by_label("Keep optimizer").input_value() == "all"
    assert lines(opened, ".away") == 0


def test_the_best_results_can_be_kept(opened: Opened) -> None:
    every = opened.column("best val loss")
    opened.page.get_by_label("Keep best val loss").select_option("best half")
    assert opened.column("best val loss") == every[:3]


def test_dragging_along_an_axis_keeps_what_crosses_it_there(opened: Opened) -> None:
    page = opened.page
    svg = page.locator("svg.coordinates")
    svg.scroll_into_view_if_needed()
    box, places = svg.bounding_box(), ticks(opened, 0)
    assert box
    x = box["x"] + float(str(page.locator("#coordinates .handle").first.get_attribute("x"))) + 13
    page.mouse.move(x, box["y"] + places["rmsprop"] - 8)
    page.mouse.down()
    page.mouse.move(x, box["y"] + places["adam"] + 8, steps=3)
    page.mouse.up()
    assert sorted(opened.column("optimizer")) == ["adam", "adam", "rmsprop", "rmsprop"]
    assert page.get_by_label("Keep optimizer").input_value() == "adam, rmsprop"
    assert page.locator("#coordinates > p").inner_text() == "4 of 6 settings kept: optimizer adam, rmsprop."
    box = svg.bounding_box()  # the table above it is shorter
    assert box
    page.mouse.click(x, box["y"] + places["sgd"])
    assert len(opened.column("optimizer")) == 6
    assert page.get_by_label("Keep optimizer").input_value() == "all"


def test_pointing_at_a_line_names_it(opened: Opened) -> None:
    page = opened.page
    svg = page.locator("svg.coordinates")
    svg.scroll_into_view_if_needed()
    box = svg.bounding_box()
    assert box
    page.mouse.move(box["x"] + 60, box["y"] + ticks(opened, 0)["sgd"])
    assert page.locator("#coordinates > p").inner_text().startswith("sgd, dropout 0: best val loss 0.")
    assert page.locator("#coordinates .pointed path").count() == 1


def test_numbers_have_axes_that_suit_them(browser: Browser, tmp_path: Path) -> None:
    points = grid(optimizer__learning_rate=RATES, model__dropout=[0, 0.1, 0.4], optimizer__weight_decay=[0, 1e-4, 0.01])
    for opened in visit(browser, write_report([write_sweep(tmp_path, points, epochs=1).path]).page):
        rates, dropouts, decays = ticks(opened, 0), ticks(opened, 1), ticks(opened, 2)
        bottom, top = rates["0.0001"], rates["0.1"]
        assert rates["0.001"] == pytest.approx(bottom + (top - bottom) / 3)
        assert dropouts["0.1"] == pytest.approx(bottom + (top - bottom) / 4)
        assert (decays["0.0001"], decays["0.01"]) == (bottom, top)
        assert decays["0"] > bottom + 10  # which a logarithmic axis does not have
        opened.page.get_by_label("Keep weight decay").select_option("0")
        assert opened.page.get_by_role("status").inner_text() == "12 of 36 runs match."


def test_runs_without_a_result_and_outliers_are_not_on_the_scale(browser: Browser, tmp_path: Path) -> None:
    sweep = write_sweep(tmp_path, points := grid(optimizer=["adam", "sgd", "rmsprop"], model__dropout=[0, 0.1, 0.2]))
    huge = [row | {"val_loss": 1e27} for row in curve()]
    write_run(run_folder(sweep, points[0]).path, points[0], huge)
    write_run(run_folder(sweep, points[1]).path, points[1], curve(), status=Status.DIVERGED, reason="loss became NaN")
    for opened in visit(browser, write_report([sweep.path]).page):
        places = ticks(opened, 2)
        top, *_, bottom = crossed(opened, ".line", 2)
        assert (lines(opened), bottom) == (9, places["no result"])
        assert top < min(places.values())  # the outlier is there, at the end of the axis
        opened.page.locator("#coordinates").get_by_label("Colour by").select_option("best val loss")
        assert meanings(opened, "#coordinates")["scale-6"].endswith(" and more")
        assert meanings(opened, "#coordinates")["colour-none"] == "no result"
        assert "are drawn at the end of their axis" in opened.page.locator("#coordinates > p").inner_text()
        opened.page.get_by_label("Keep best val loss").select_option("no result")
        assert opened.column("status") == ["diverged"]


@pytest.mark.parametrize(("metric", "best"), [("val_loss", "adam"), ("val_accuracy", "adam")])
def test_the_best_are_those_of_the_measure(browser: Browser, tmp_path: Path, metric: Objective, best: str) -> None:
    sweep = write_sweep(tmp_path, grid(optimizer=["sgd", "adam", "adagrad"]))
    for opened in visit(browser, write_report([sweep.path], metric=metric).page):
        opened.page.get_by_label(f"Keep best {metric.replace('_', ' ')}").select_option("best tenth")
        assert opened.column("optimizer") == [best]


def test_colours_mean_levels_in_curves_and_coordinates_alike(opened: Opened) -> None:
    page = opened.page
    page.locator("#curves").get_by_label("Colour by").select_option("optimizer")
    assert page.locator("#coordinates").get_by_label("Colour by").input_value() == "optimizer"
    known = {"colour-0": "sgd", "colour-1": "adam", "colour-2": "rmsprop"}
    assert meanings(opened, "#coordinates") == meanings(opened, "#curves") == known
    for look, level in known.items():
        assert lines(opened, f".{look}") == 2
        assert crossed(opened, f".{look}", 0) == [ticks(opened, 0)[level]]
        texts = page.locator(f"#curves .legend li:has(.{look})").all_inner_texts()
        assert [text.partition(",")[0] for text in texts] == [level, level]
        assert page.locator(f"#curves .chart path.line.{look}").count() == 2
    dashes = page.locator("#curves .chart path.line.colour-1").evaluate_all("all => all.map(each => each.classList[2])")
    assert sorted(dashes) == ["dash-0", "dash-1"]  # two curves of one colour


def test_each_row_has_a_colour_of_its_own_at_first(opened: Opened) -> None:
    drawn = meanings(opened, "#coordinates")
    looks = opened.page.locator("#curves .chart path.line").evaluate_all("all => all.map(each => each.classList[1])")
    assert list(drawn) == looks == [f"colour-{place}" for place in range(6)]
    opened.page.get_by_label("Curve of", exact=False).first.uncheck()
    assert lines(opened, ".colour-none") == 1
    assert meanings(opened, "#coordinates") == {**dict(list(drawn.items())[1:]), "colour-none": "all others"}


def test_numbers_have_a_scale_that_the_legend_spells_out(browser: Browser, tmp_path: Path) -> None:
    rates = [float(f"{1e-4 * 1.2**place:.6g}") for place in range(30)]
    sweep = write_sweep(tmp_path, grid(optimizer__learning_rate=rates, optimizer=["adam"]), epochs=1)
    for opened in visit(browser, write_report([sweep.path]).page):
        opened.page.locator("#coordinates").get_by_label("Colour by").select_option("learning rate")
        known = meanings(opened, "#coordinates")
        assert list(known) == [f"scale-{step}" for step in range(7)]
        counts = {look: lines(opened, f".{look}") for look in known}
        for look, text in known.items():
            low, high = map(float, re.findall(r"[\d.]+", text))
            assert counts[look] == pytest.approx(sum(low <= rate <= high for rate in rates), abs=1)  # rounded ends
        assert sum(counts.values()) == 30


def test_few_numbers_have_a_colour_each(opened: Opened) -> None:
    opened.page.locator("#coordinates").get_by_label("Colour by").select_option("dropout")
    assert meanings(opened, "#coordinates") == {"scale-0": "0", "scale-6": "0.3"}
    assert crossed(opened, ".scale-6", 1) == [ticks(opened, 1)["0.3"]]


@pytest.mark.parametrize(("width", "scheme"), [(1200, "light"), (1200, "dark"), (360, "light"), (360, "dark")])
def test_coordinates_are_accessible_and_fit(browser: Browser, written: Path, width: int, scheme: str) -> None:
    for opened in visit(browser, written, width, scheme):
        opened.page.get_by_label("Keep optimizer").select_option("adam")
        opened.page.locator("#coordinates").get_by_label("Colour by").select_option("dropout")
        found = Axe().run(opened.page)
        assert found.violations_count == 0, found.generate_report()
        assert opened.page.evaluate("document.documentElement.scrollWidth") == width


@pytest.mark.parametrize(("scheme", "media"), [("light", "screen"), ("dark", "screen"), ("dark", "print")])
def test_every_colour_stands_out_from_the_page(browser: Browser, written: Path, scheme: str, media: str) -> None:
    for opened in visit(browser, written, scheme=scheme):
        opened.page.emulate_media(media=media, color_scheme=scheme)  # type: ignore[arg-type]
        style = "name => getComputedStyle(document.documentElement).getPropertyValue(name)"
        paper, *colours = (str(opened.page.evaluate(style, name)) for name in ("--paper", *COLOURS))
        for name, colour in zip(COLOURS, colours, strict=True):
            assert contrast(colour, paper) > 3.9, name


def contrast(one: str, other: str) -> float:
    """The ratio that WCAG 2 defines."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def luminance(colour: str) -> float:
    digits = colour.strip().lstrip("#")
    digits = digits if len(digits) == 6 else "".join(2 * digit for digit in digits)
    parts = [int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4)]
    red, green, blue = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_nothing_is_drawn_where_nothing_was_swept(browser: Browser, tmp_path: Path) -> None:
    write_sweep(tmp_path, grid(seed=[0, 1]))
    for opened in visit(browser, write_report([tmp_path]).page):
        assert opened.page.locator("#coordinates").count() == 0
        options = opened.page.get_by_label("Colour by").locator("option").all_inner_texts()
        assert options == ["each setting", "best val loss"]
