"""How long a person waits for each page in Chromium, from the click to what was wanted.

    python -m tests.tools.benchmarks.in_browser [--rounds 3]

The first visits to a server that has just started come first, since its workers still load their libraries
then; later ones follow in rounds, each in a new browser context, so that nothing is cached. Browser, server
and workers share the machine, as on a laptop.

Exit status 1 if a median is over its bound.
"""

import argparse
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median

from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser.conftest import ARGUMENTS, ROOT, serving, settled, state_is
from tests.tools.benchmarks.visitors import words
from twolayer.backprop.levels import SOLUTIONS
from twolayer.training.program import GRADIENTS

BOUNDS: dict[str, float | None] = {
    "Train: from the click to the end": 3.0,
    "Gradients: from the address to the verdict": 2.0,
    "Gradients: from another page to the verdict": 2.0,
    "One step: from the address to the line": 2.0,
    "One step: from the address to the heatmap": None,
    "One step: from another page to the line": 2.0,
    "One step: from another page to the heatmap": None,
    "Learning rate: from the click to the first points": 1.0,
    "Learning rate: from the click to the last point": 4.0,
    "Race: from the address to the verdict": 20.0,
    "Write it: from Enter to the verdict of the line": 0.3,
}
"""Seconds. Formula, program, figures and graphs are there before the heatmap, which waits for Plotly: the
browser takes a second to read and run that, wherever it comes from."""
SCANNED = (
    "document.querySelector('.st-key-scan_chart .js-plotly-plot')"
    "?.data?.reduce((count, trace) => count + trace.customdata.length, 0)"
)
VERDICT = ".st-key-verdict [data-testid=stAlert]"
LINE = ".st-key-line .katex"
HEATMAP = ".st-key-window .heatmap-label"
TRAININGS = 300

Timed = Callable[[str, float], None]


def since(began: float) -> float:
    return time.perf_counter() - began


def train(page: Page, address: str, timed: Timed) -> None:
    page.goto(address)
    settled(page)
    began = time.perf_counter()
    page.click(".st-key-train button")
    state_is(page, "finished")
    timed("Train: from the click to the end", since(began))


def gradients(page: Page, address: str, timed: Timed) -> None:
    began = time.perf_counter()
    page.goto(f"{address}/gradients")
    page.wait_for_selector(VERDICT)
    timed("Gradients: from the address to the verdict", since(began))


def one_step(page: Page, address: str, timed: Timed) -> None:
    began = time.perf_counter()
    page.goto(f"{address}/one_step")
    page.wait_for_selector(LINE)
    timed("One step: from the address to the line", since(began))
    page.wait_for_selector(HEATMAP, state="attached")
    timed("One step: from the address to the heatmap", since(began))


def change_pages(page: Page, address: str, timed: Timed) -> None:
    page.goto(address)
    settled(page)
    for name, things in (
        ("Gradients", {"verdict": VERDICT}),
        ("One step", {"line": LINE, "heatmap": HEATMAP}),
    ):
        began = time.perf_counter()
        page.click(f".st-key-links >> text={name}")
        for thing, selector in things.items():
            page.wait_for_selector(selector, state="attached")
            timed(f"{name}: from another page to the {thing}", since(began))


def learning_rate(page: Page, address: str, timed: Timed) -> None:
    page.goto(f"{address}/learning_rate")
    settled(page)
    page.wait_for_selector(".st-key-scan_chart .js-plotly-plot")
    began = time.perf_counter()
    page.click(".st-key-scan button")
    page.wait_for_function(f"{SCANNED} > 0")
    timed("Learning rate: from the click to the first points", since(began))
    page.wait_for_function(f"{SCANNED} === {TRAININGS}")
    timed("Learning rate: from the click to the last point", since(began))
    page.wait_for_function("document.querySelector('.st-key-stop_scan button').disabled")


def race(page: Page, address: str, timed: Timed) -> None:
    began = time.perf_counter()
    page.goto(f"{address}/race?run=1")
    page.wait_for_selector("[data-testid=stProgress]:has-text('finished')", timeout=120_000)
    timed("Race: from the address to the verdict", since(began))


def write_it(page: Page, address: str, timed: Timed) -> None:
    page.goto(f"{address}/write_it")
    settled(page)
    for name in GRADIENTS:
        page.fill(f"input[aria-label='{name} =']", SOLUTIONS["numpy"][name])
        began = time.perf_counter()
        page.keyboard.press("Enter")
        page.wait_for_selector(f".st-key-verdict_{name} :text('Right, ')")
        timed("Write it: from Enter to the verdict of the line", since(began))
        settled(page)


VISITS = (gradients, one_step, train, change_pages, learning_rate, race, write_it)


@contextmanager
def visitor(browser: Browser) -> Iterator[Page]:
    """A page of somebody who was never here."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, locale="en-US")
    yield context.new_page()
    context.close()


def measured(rounds: int) -> tuple[dict[str, float], dict[str, list[float]]]:
    """Seconds of the first visit to each page, and of later ones."""
    first: dict[str, float] = {}
    later: dict[str, list[float]] = {name: [] for name in BOUNDS}
    with serving(ROOT) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=ARGUMENTS)
        for visit in VISITS:
            with visitor(browser) as page:
                visit(page, address, first.__setitem__)
        for _ in range(rounds):
            for visit in VISITS:
                with visitor(browser) as page:
                    visit(page, address, lambda name, seconds: later[name].append(seconds))
        browser.close()
    return first, later


def main() -> int:
    """Measure, print, and say by the exit status whether the medians keep to their bounds."""
    parser = argparse.ArgumentParser(prog="python -m tests.tools.benchmarks.in_browser", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--rounds", type=int, default=3, choices=range(1, 51), metavar="1..50")
    rounds = parser.parse_args().rounds
    print(f"cores: {os.cpu_count()}, load: {os.getloadavg()[0]:.1f}")
    first, later = measured(rounds)
    print(f"{'seconds':<52}{'first':>7}{'median':>8}{'worst':>7}{'bound':>7}")
    for name, bound in BOUNDS.items():
        times = later[name]
        print(f"{name:<52}{first[name]:>7.2f}{median(times):>8.2f}{max(times):>7.2f}{words(bound or ''):>7}")
    return 0 if all(bound is None or median(later[name]) <= bound for name, bound in BOUNDS.items()) else 1


if __name__ == "__main__":
    sys.exit(main())
