"""The page of a report in headless Chromium, driven by Playwright."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
NO_BROWSER = "no Chromium here: install Debian's package chromium, or run `playwright install chromium`"


@dataclass
class Opened:
    page: Page
    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def column(self, label: str) -> list[str]:
        heads = self.page.locator(".leaderboard thead th").all_inner_texts()
        place = heads.index(label)
        rows = self.page.locator(".leaderboard > tbody > tr:not(.detail-row)")
        return [row.locator("> *").nth(place).inner_text() for row in rows.all()]


@contextmanager
def chromium() -> Iterator[Browser]:
    """The browser. Skips the test where there is none."""
    with sync_playwright() as playwright:
        program = CHROMIUM or playwright.chromium.executable_path
        if not Path(program).exists():
            pytest.skip(NO_BROWSER)
        started = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield started
        started.close()


def spoken(name: str) -> str:
    return name.replace("_", " ")


def visit(browser: Browser, path: Path, width: int = 1200, scheme: str = "light") -> Iterator[Opened]:
    """Open a page; afterwards, nothing may have been logged, and nothing but the page requested."""
    dark = scheme == "dark"
    context = browser.new_context(
        viewport={"width": width, "height": 800}, color_scheme="dark" if dark else "light", bypass_csp=False
    )
    opened = Opened(context.new_page())
    opened.page.on("console", lambda message: opened.errors.append(message.text))
    opened.page.on("pageerror", lambda error: opened.errors.append(str(error)))
    opened.page.on("dialog", lambda dialog: opened.errors.append(dialog.message))
    opened.page.on("request", lambda request: opened.requests.append(request.url))
    opened.page.goto(path.as_uri())
    yield opened
    assert opened.errors == []
    assert [url for url in opened.requests if not url.startswith("data:image/png")] == [path.as_uri()]
    context.close()
