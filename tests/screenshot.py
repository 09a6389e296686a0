"""Make the README's picture anew: `.venv/bin/python -m tests.screenshot`."""

import shutil
from statistics import median

from playwright.sync_api import sync_playwright

from tests.browser.conftest import ARGUMENTS, ROOT, drawn, serving, state_is

RUNS = 20
DRAWN = "document.querySelector('.st-key-time_chart .js-plotly-plot')?.calcdata?.[0]?.length > 10"
PICTURE = ROOT / "tests" / "screenshot.png"


def main() -> None:
    """Train the tutorial's run in Chromium and keep a picture of the page."""
    with serving(ROOT) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=ARGUMENTS)
        page = browser.new_page(viewport={"width": 1280, "height": 900}, locale="en-US")
        page.goto(f"{address}/?run=1")
        state_is(page, "finished")
        for _ in range(RUNS):
            page.reload()
            state_is(page, "finished")
            page.wait_for_function(DRAWN)
            times = drawn(page, "time_chart")
            if max(times) < 2 * median(times):
                break  # a calm one: the workers have loaded all that they load after their start
        page.locator(".st-key-loss_chart .js-plotly-plot .main-svg").first.wait_for()
        page.screenshot(path=PICTURE, animations="disabled")
        browser.close()


if __name__ == "__main__":
    main()
