"""What a person does on the Race page, in Chromium."""

from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.browser.conftest import settled
from tests.race.races import GRAM, TUTORIAL, race_of
from twolayer.race.file import to_json

Visit = Callable[..., Page]

SMALL = "N=7&D_in=30&H=5&D_out=3&learning_rate=1e-4&steps=60&rounds=8"
TWO = "contenders=numpy.tutorial,numpy.gram"


def over(page: Page) -> None:
    """Wait until the race has ended and all of it is drawn."""
    page.wait_for_selector(".st-key-agreement_table")
    settled(page)


def points(page: Page, chart: str) -> int:
    """How many traces a chart shows, once it is drawn."""
    plot = f".st-key-{chart} .js-plotly-plot"
    page.wait_for_function(f"document.querySelector('{plot}')?.calcdata?.length > 0")
    return int(page.evaluate(f"document.querySelector('{plot}').calcdata.length"))


def test_a_race_shows_its_steps_its_verdict_and_its_charts(visit: Visit) -> None:
    page = visit(f"/race?{SMALL}")
    expect(page.locator(".stAlert").first).to_contain_text("Press Race")
    page.click(".st-key-race button")
    over(page)
    expect(page.locator(".stAlert").first).to_contain_text("On this machine, at 7 × 30 → 5 → 3")
    assert points(page, "step_times_chart") == points(page, "speed_up_chart") == 7
    assert points(page, "phases_chart") == 6
    assert points(page, "roofline_chart") == 8
    with page.expect_download() as download:
        page.click(".st-key-export_json button")
    assert "numpy gram" in Path(download.value.path()).read_text()


def test_results_come_while_it_runs_and_stop_keeps_them(visit: Visit) -> None:
    page = visit(f"/race?{SMALL.replace('rounds=8', 'rounds=100')}&run=1")
    page.wait_for_selector("[data-testid=stProgress]:has-text('of 100')")
    assert points(page, "step_times_chart") == 7
    page.click(".st-key-stop_race button")
    page.wait_for_selector("[data-testid=stProgress]:has-text('stopped')")
    page.wait_for_selector(".st-key-speed_up_chart .js-plotly-plot")
    assert points(page, "step_times_chart") == 7


def test_a_sweep_is_a_curve_for_each_contender_and_words_on_who_overtakes(visit: Visit) -> None:
    page = visit(f"/race?{SMALL}&{TWO}&sweep=H&sweep_from=4&sweep_to=64&sweep_points=2&run=1")
    over(page)
    assert points(page, "sweep_chart") == 2
    expect(page.locator(".stAlert").first).to_contain_text("H = ")


def test_a_wrong_file_gets_a_message_and_the_page_stays(visit: Visit, tmp_path: Path) -> None:
    page = visit(f"/race?{SMALL}&{TWO}&run=1")
    over(page)
    verdict = page.locator(".stAlert").first.inner_text()
    upload = page.locator(".st-key-race_file input[type=file]")

    large = tmp_path / "large.json"
    large.write_bytes(b"[" + b" " * 50_000_000 + b"]")
    upload.set_input_files(large)
    expect(page.locator(".st-key-race_file")).to_contain_text("2.0MB or smaller")

    good = to_json([race_of({GRAM: [1e-6] * 9, TUTORIAL: [1e-5] * 9}, N=7, D_in=30, H=5, D_out=3)])
    broken = tmp_path / "broken.json"
    broken.write_text(good[:-20])
    upload.set_input_files(broken)
    page.wait_for_selector(".stAlert:has-text('is truncated')")

    right = tmp_path / "right.json"
    right.write_text(good)
    upload.set_input_files(right)
    page.wait_for_selector(".st-key-compared_table")
    assert points(page, "compared_chart") == 2
    assert page.locator(".stAlert").first.inner_text() == verdict


def test_a_phone_shows_everything_without_scrolling_sideways(visit: Visit) -> None:
    page = visit(f"/race?{SMALL}&run=1&sweep=H&sweep_from=4&sweep_to=9&sweep_points=2", width=390)
    over(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    for key in ("sweep_chart", "step_times_chart", "roofline_chart", "phases_chart", "race"):
        box = page.locator(f".st-key-{key}").bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 390
