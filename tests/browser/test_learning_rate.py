"""What a person does on the Learning-rate page, in Chromium."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import settled, state_is, still, unfolded
from tests.browser.stability import assert_nothing_moved, watch

Visit = Callable[..., Page]
SMALL = "N=8&D_in=30&H=10&D_out=2&steps=60&rates=12&seeds=2"
POINTS = (
    "document.querySelector('.st-key-scan_chart .js-plotly-plot')"
    "?.data?.reduce((count, trace) => count + trace.customdata.length, 0)"
)


def scanned(page: Page, trainings: int) -> None:
    """Wait until all trainings of a scan are on the chart and the advice is there."""
    page.wait_for_function(f"{POINTS} === {trainings}")
    page.wait_for_selector(".st-key-take_recommended a:not([disabled])")
    page.wait_for_function("document.querySelector('.st-key-stop_scan button').disabled")
    settled(page)


def unfold(page: Page, section: str) -> None:
    """Open a section of the page."""
    unfolded(page, f".st-key-{section}")


def test_a_scan_a_click_and_on_to_the_train_page(visit: Visit) -> None:
    page = visit(f"/learning_rate?{SMALL}&backend=torch")
    page.click(".st-key-scan button")
    scanned(page, 24)
    unfold(page, "why")
    before = page.inner_text(".st-key-take_focus a")
    page.click(".st-key-why summary")
    page.wait_for_selector(".st-key-why details:not([open])")
    settled(page)
    still(page, ".st-key-scan_chart")
    point = page.locator(".st-key-scan_chart .scatterlayer .trace .point").first
    point.scroll_into_view_if_needed()
    point.click(force=True)
    page.wait_for_selector("[class*=st-key-why_] details[open]")
    page.wait_for_function(
        "before => { const text = document.querySelector('.st-key-take_focus a')?.innerText;"
        "return text && !text.includes(before); }",
        arg=before.split()[-1],
    )
    for chart in ("focus_loss_chart", "curvature_chart"):
        page.wait_for_function(
            f"document.querySelector('.st-key-{chart} .js-plotly-plot')?.calcdata?.[0]?.length > 5"
        )
    settled(page)
    rate = page.inner_text(".st-key-take_recommended a").split()[-1]
    page.click(".st-key-take_recommended a")
    page.wait_for_selector(".st-key-train button")
    settled(page)
    assert "backend=torch" in page.url
    assert "N=8" in page.url
    assert "rates" not in page.url
    assert float(page.input_value(".st-key-learning_rate input")) == float(rate)
    page.click(".st-key-train button")
    state_is(page, "finished")


RANGES = (
    "['xaxis', 'yaxis'].map(axis => "
    "document.querySelector('.st-key-scan_chart .js-plotly-plot').layout[axis].range.join())"
)


@pytest.mark.parametrize(("width", "height", "locale"), [(1280, 720, "ko-KR"), (390, 844, "en-US")])
def test_the_result_is_in_view_and_nothing_moves_from_the_click_to_the_end(
    visit: Visit, locale: str, width: int, height: int
) -> None:
    page = visit("/learning_rate?steps=200&rates=40", width=width, locale=locale)
    page.set_viewport_size({"width": width, "height": height})
    watch(page, "scan_chart")
    page.evaluate("window.bar = document.querySelector('[data-testid=stProgress]')")
    begins = "document.querySelector('.st-key-advice p').getBoundingClientRect().y"
    places = {page.evaluate(begins)}
    assert page.locator(".js-plotly-plot").count() == 1
    page.click(".st-key-scan button")
    page.wait_for_function(f"![0, 180].includes({POINTS})")
    first = page.evaluate(RANGES)
    places.add(page.evaluate(begins))
    scanned(page, 120)
    places.add(page.evaluate(begins))
    assert page.evaluate(RANGES) == first
    assert page.evaluate("window.bar.isConnected")  # a bar that is replaced is gone for a moment
    assert_nothing_moved(page)
    assert width > height or len(places) == 1, "the advice begins where it did, however long it is"
    chart = page.locator(".st-key-scan_chart").bounding_box()
    advice = page.locator(".st-key-advice").bounding_box()
    assert chart is not None
    assert advice is not None
    assert chart["y"] + (chart["height"] if width > height else 0) <= height
    assert advice["y"] + advice["height"] <= height


def test_the_address_starts_a_scan_and_brings_its_settings_back(visit: Visit) -> None:
    page = visit(f"/learning_rate?{SMALL}&rate_from=1e-5&rate_to=1e-3&run=1")
    scanned(page, 24)
    page.click(".st-key-sweep_settings button")
    expect(page.locator(".st-key-rates input")).to_have_value("12")
    expect(page.locator(".st-key-rate_from input")).to_have_value("1e-5")
    # calcdata follows the data a moment later
    page.wait_for_function(
        "(() => { const x = document.querySelector('.st-key-scan_chart .js-plotly-plot').calcdata.flat()"
        ".map(point => point.x).filter(x => x > 0), near = (a, b) => Math.abs(a / b - 1) < 1e-6;"
        "return near(Math.min(...x), 1e-5) && near(Math.max(...x), 1e-3); })()"
    )


def test_the_settings_of_a_page_are_there_when_one_comes_back_by_the_links(visit: Visit) -> None:
    page = visit("/learning_rate?rates=50&grid_x=D_in&N=16")
    for name, there in (
        ("Race", ".st-key-race"),
        ("Train", ".st-key-train"),
        ("Learning rate", ".st-key-scan"),
    ):
        page.click(f".st-key-links >> text={name}")
        page.wait_for_selector(f"{there} button")
        settled(page)
        assert "N=16" in page.url
    assert "rates=50" in page.url
    assert "grid_x=D_in" in page.url
    page.click(".st-key-sweep_settings button")
    expect(page.locator(".st-key-rates input")).to_have_value("50")


HEIGHTS = """() => {
    window.heights = new Set();
    const look = () => {
        const parts = ["story", "caption"].map(part => document.querySelector(`.st-key-focus_${part}`));
        if (parts.every(part => part)) heights.add(parts.map(part => Math.round(part.offsetHeight)).join());
        requestAnimationFrame(look);
    };
    look();
}"""


@pytest.mark.parametrize(("width", "locale"), [(1280, "en-US"), (390, "ko-KR")])
def test_what_is_below_the_curvature_stays_in_its_place_when_it_arrives(
    visit: Visit, locale: str, width: int
) -> None:
    page = visit("/learning_rate", width=width, locale=locale)
    page.evaluate(HEIGHTS)
    unfold(page, "why")
    expect(page.locator(".st-key-focus_story")).to_contain_text("Σy²")
    expect(page.locator(".st-key-focus_caption")).to_contain_text("Lanczos")
    settled(page)
    assert page.evaluate("heights.size") == 1, page.evaluate("[...heights]")


def test_a_phone_shows_a_scan_and_a_grid_without_scrolling_sideways(visit: Visit) -> None:
    page = visit(f"/learning_rate?{SMALL}&run=1", width=390, scheme="dark", locale="ko-KR")
    scanned(page, 24)
    unfold(page, "why")
    page.wait_for_selector(".st-key-curvature_chart .js-plotly-plot")
    unfold(page, "sizes")
    page.click(".st-key-start_grid button")
    page.wait_for_selector(".st-key-grid_chart .js-plotly-plot")
    page.wait_for_function("document.querySelector('.st-key-stop_grid button').disabled")
    settled(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    for key in ("scan_chart", "focus_loss_chart", "curvature_chart", "grid_chart", "scan", "grid"):
        box = page.locator(f".st-key-{key}").first.bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 390


def test_a_grid_as_a_file(visit: Visit) -> None:
    page = visit("/learning_rate?grid=N=4,5;H=3,4;seed=0,1&D_in=6&steps=20")
    unfold(page, "sizes")
    page.click(".st-key-start_grid button")
    page.wait_for_selector(".st-key-grid_csv button:not([disabled])")
    page.wait_for_function("document.querySelector('.st-key-stop_grid button').disabled")
    settled(page)
    with page.expect_download() as download:
        page.click(".st-key-grid_csv button")
    lines = download.value.path().read_text().splitlines()
    assert len(lines) == 1 + 8
    assert "final_loss" in lines[0]
