"""What a person does on the Race page, in Chromium."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import settled, unfolded
from tests.browser.stability import assert_nothing_moved, watch
from tests.race.races import GRAM, TUTORIAL, race_of
from twolayer.race.file import to_json
from twolayer.training.kernels import KERNELS
from twolayer.training.methods import METHODS

Visit = Callable[..., Page]

SMALL = "N=7&D_in=30&H=5&D_out=3&learning_rate=1e-4&steps=60&rounds=8"
CONTENDERS = sum(pair[1] in METHODS for pair in KERNELS) + 1
"""Each method of each backend, and autograd."""
TWO = "contenders=numpy.tutorial,numpy.gram"


def over(page: Page) -> None:
    """Wait until the race has ended and all of it is drawn."""
    page.wait_for_selector(
        "[data-testid=stProgress]:has-text('finished'), [data-testid=stProgress]:has-text('완료')"
    )
    page.wait_for_function("document.querySelector('.st-key-stop_race button').disabled")
    settled(page)


def unfold(page: Page, section: str) -> None:
    """Open a section and wait until its content is drawn."""
    unfolded(page, f".st-key-race_{section}")


def points(page: Page, chart: str) -> int:
    """How many traces a chart shows, once it is drawn."""
    plot = f".st-key-{chart} .js-plotly-plot"
    page.wait_for_function(f"document.querySelector('{plot}')?.calcdata?.length > 0")
    return int(page.evaluate(f"document.querySelector('{plot}').calcdata.length"))


def bars(page: Page) -> list[str]:
    """What the bars of the chart say, from the top."""
    plot = ".st-key-step_times_chart .js-plotly-plot"
    page.wait_for_function(f"document.querySelector('{plot}')?.calcdata?.length > 0")
    return list(page.evaluate(f"document.querySelector('{plot}').data[0].text"))


def test_a_race_shows_its_steps_its_verdict_and_its_charts(visit: Visit) -> None:
    page = visit(f"/race?{SMALL}")
    expect(page.locator(".st-key-race_verdict")).to_contain_text("is it faster in NumPy or in PyTorch")
    expect(page.get_by_text("Example, not measured here")).to_be_visible()
    assert "20.6 µs · 16.8×" in bars(page)
    page.click(".st-key-race button")
    over(page)
    verdict = page.inner_text(".st-key-race_verdict").splitlines()
    assert verdict[0].startswith("The same program: ")
    assert "NumPy" in verdict[0]
    assert "PyTorch" in verdict[0]
    assert verdict[1].startswith("A smarter method: ")
    assert verdict[2].split(":")[0] in ("How sure", "Not reliable now")
    assert page.query_selector(".stAlert") is None
    said = [float(bar.split(" ")[0].replace(",", "")) for bar in bars(page)]
    assert said == sorted(said)
    assert len(said) == CONTENDERS
    for section in ("phases", "agreement", "figures"):
        unfold(page, section)
    assert points(page, "phases_chart") == 6
    assert points(page, "roofline_chart") == CONTENDERS + 1
    expect(page.locator(".st-key-agreement_table")).to_be_visible()
    with page.expect_download() as download:
        page.click(".st-key-export_json button")
    assert "numpy gram" in Path(download.value.path()).read_text()


def test_results_come_while_it_runs_and_stop_keeps_them(visit: Visit) -> None:
    page = visit(f"/race?{SMALL.replace('rounds=8', 'rounds=100')}&run=1")
    page.wait_for_selector("[data-testid=stProgress]:has-text('of 100')")
    expect(page.get_by_text("Median time per step")).to_be_visible()
    assert len(bars(page)) == CONTENDERS
    page.click(".st-key-stop_race button")
    page.wait_for_selector("[data-testid=stProgress]:has-text('stopped')")
    unfold(page, "phases")
    page.wait_for_selector(".st-key-phases_chart .js-plotly-plot")
    assert len(bars(page)) == CONTENDERS


@pytest.mark.parametrize(("width", "height", "locale"), [(1280, 720, "en-US"), (390, 844, "ko-KR")])
def test_the_result_is_in_view_and_nothing_moves_from_the_click_to_the_end(
    visit: Visit, locale: str, width: int, height: int
) -> None:
    page = visit(f"/race?{SMALL}", width=width, locale=locale)
    page.set_viewport_size({"width": width, "height": height})
    watch(page, "step_times_chart")
    page.click(".st-key-race button")
    page.wait_for_selector("[data-testid=stProgress]:has-text('8')")
    over(page)
    assert_nothing_moved(page)
    chart, verdict = (
        page.locator(f".st-key-{key}").bounding_box() for key in ("step_times_chart", "race_verdict")
    )
    assert chart is not None
    assert verdict is not None
    if width > height:
        assert chart["y"] + chart["height"] <= height
    assert verdict["y"] + verdict["height"] <= height


def test_a_sweep_is_a_curve_for_each_contender_and_words_on_who_overtakes(visit: Visit) -> None:
    page = visit(f"/race?{SMALL}&{TWO}&sweep=H&sweep_from=4&sweep_to=64&sweep_points=2&run=1")
    over(page)
    assert points(page, "sweep_chart") == 2
    expect(page.locator(".st-key-race_verdict")).to_contain_text("H = ")


def test_nothing_folded_is_drawn_a_wrong_file_gets_a_message_and_the_page_stays(
    visit: Visit, tmp_path: Path
) -> None:
    page = visit(f"/race?{SMALL}&{TWO}&run=1")
    over(page)
    assert page.locator(".js-plotly-plot").count() == 1, "nothing that is folded is drawn"
    assert page.locator("[data-testid=stDataFrame]").count() == 0
    unfold(page, "files")
    verdict = page.inner_text(".st-key-race_verdict")
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
    assert page.inner_text(".st-key-race_verdict") == verdict


def test_a_phone_shows_everything_without_scrolling_sideways(visit: Visit) -> None:
    page = visit(f"/race?{SMALL}&{TWO}&run=1&sweep=H&sweep_from=4&sweep_to=9&sweep_points=2", width=390)
    over(page)
    for section in ("phases", "agreement", "figures", "files"):
        unfold(page, section)
    page.wait_for_selector(".st-key-phases_chart .js-plotly-plot")
    page.wait_for_selector(".st-key-roofline_chart .js-plotly-plot")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    for key in ("sweep_chart", "step_times_chart", "roofline_chart", "phases_chart", "race"):
        box = page.locator(f".st-key-{key}").bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 390
