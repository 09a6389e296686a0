"""A real server and a real browser."""

import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Literal

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from twolayer.dashboard.common.pages import PAGES

ROOT = Path(__file__).parents[2]
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--process-per-site",  # the app's scripts are compiled once, not for each tab
    # A page lives for seconds: what is compiled well, or in other threads, costs more than it saves.
    "--js-flags=--no-opt --no-maglev --no-flush-bytecode",
    "--disable-features=ScriptStreaming,PaintHolding",
]


STYLED = "[...sheet.cssRules].some(rule => rule.selectorText === '.twolayer-menu')"
PATIENCE_MS = 180_000
"""A condition is waited for this long before a test fails: the machine may be busy with something else."""
expect.set_options(timeout=PATIENCE_MS)


@contextmanager
def serving(app: Path) -> Iterator[str]:
    """The address of a server of the app in this folder; it ends with the context."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.headless=true"]
    command += ["--server.address=127.0.0.1", f"--server.port={port}"]
    process = subprocess.Popen(command, cwd=app, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + PATIENCE_MS / 1000
        while not answers(f"{address}/_stcore/health"):
            assert process.poll() is None, "the server ended"
            assert time.monotonic() < end, "the server does not answer"
        yield address
    finally:
        process.terminate()
        process.wait(timeout=30)


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1) as response:
            return bool(response.status == 200)
    except OSError:
        time.sleep(0.05)
        return False


@pytest.fixture(scope="package")
def server() -> Iterator[str]:
    """The address of the app."""
    with serving(ROOT) as address:
        yield address


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Chromium. On a machine of one's own its tests are skipped where it is missing; in CI they fail.

    Playwright's event loop runs as long: before other tests need one of their own it has to end.
    """
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        if os.environ.get("CI"):
            pytest.fail("no Chromium: the browser tests cannot run")
        pytest.skip("no Chromium here; install it to run the browser tests")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def profile(browser: Browser, server: str) -> Callable[[str], BrowserContext]:
    """A function that returns the browser's profile for a language. Each has a tab that stays open, or the
    process that has the app's scripts would end with the last visit."""

    @cache
    def in_language(locale: str) -> BrowserContext:
        profile = browser.new_context(locale=locale)
        profile.new_page().goto(f"{server}/_stcore/health")
        return profile

    return in_language


@pytest.fixture
def visit(profile: Callable[[str], BrowserContext], server: str) -> Iterator[Callable[..., Page]]:
    """A function that opens an address in a new tab, as a new visitor, and waits until the page is drawn.

    It calls `before` with the tab before anything is loaded.
    """
    opened: set[BrowserContext] = set()

    def open_page(
        path: str = "/",
        *,
        width: int = 1280,
        locale: str = "en-US",
        scheme: Literal["dark", "light"] = "light",
        before: Callable[[Page], object] = lambda _page: None,
    ) -> Page:
        opened.add(profile(locale))
        page = profile(locale).new_page()
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme=scheme)
        page.set_default_timeout(PATIENCE_MS)
        before(page)
        page.goto(path if path.startswith("http") else server + path)
        settled(page)
        # What comes with code of its own: the styles of the page, which move it, and the bar's last button
        page.wait_for_function(f"[...document.styleSheets].some(sheet => {STYLED})", polling=100)
        page.wait_for_selector(".twolayer-copy", state="attached")
        return page

    yield open_page
    for page in [page for context in opened for page in context.pages[1:]]:  # the first stays
        page.close()


def settled(page: Page) -> None:
    """Wait until the page's script has run to its end (before it begins, it is not running either)."""
    page.wait_for_selector(".st-key-frame", timeout=PATIENCE_MS)
    page.wait_for_selector("[data-testid=stApp][data-test-script-state=notRunning]", timeout=PATIENCE_MS)


def go_to(page: Page, name: str) -> None:
    """Go to a page by the links in the bar, unless it is there."""
    address = re.compile(f"/{name}(\\?|$)" if name != "train" else r":\d+/(\?|$)")
    if not address.search(page.url):
        page.click(f".st-key-links a >> nth={[*PAGES].index(name)}")
        page.wait_for_url(address)
        settled(page)


def unfolded(page: Page, section: str) -> None:
    """Unfold a section, and wait until it is drawn and has ceased to grow."""
    page.click(f"{section} summary")
    page.wait_for_selector(f"{section} details[open] [data-testid=stExpanderDetails] > *")
    settled(page)
    still(page, f"{section} details")


def still(page: Page, selector: str) -> None:
    """Wait until something has ceased to grow and to move: a click would meet something else."""
    page.evaluate(
        """selector => new Promise(resolve => {
            let place, frames = 0;
            const look = () => {
                const now = JSON.stringify(document.querySelector(selector).getBoundingClientRect());
                frames = now === place ? frames + 1 : 0;
                place = now;
                return frames < 20 ? requestAnimationFrame(look) : resolve();
            };
            look();
        })""",
        selector,
    )


def state_is(page: Page, word: str) -> None:
    """Wait until the run is in a state."""
    page.wait_for_selector(f".st-key-metric_state :text-is('{word}')", timeout=PATIENCE_MS)


def figure(page: Page, key: str) -> str:
    """The value of a figure of the run."""
    return page.inner_text(f".st-key-{key} [data-testid=stMetricValue]").strip()


def drawn(page: Page, chart: str) -> list[float]:
    """The y values that a chart shows."""
    values = page.evaluate(
        """key => {
            const plot = document.querySelector(`.st-key-${key} .js-plotly-plot`);
            return plot && plot.calcdata ? plot.calcdata[0].map(point => point.y) : [];
        }""",
        chart,
    )
    return [float(value) for value in values if value is not None]
