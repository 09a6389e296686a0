"""What a person does on the Gradients and the One step page, in Chromium."""

from collections.abc import Callable

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import settled
from twolayer import Config, fit
from twolayer.training.problem import make_problem
from twolayer.training.program import INPUTS, STEPS
from twolayer.training.reference import backward, forward

Visit = Callable[..., Page]

VERDICT = ".st-key-verdict [data-testid=stAlert]"
MOST_BYTES = 400_000


def window(page: Page) -> dict:
    """The cells that the window shows: its numbers, and the rows and columns that they are in."""
    page.wait_for_selector(".st-key-window .heatmap-label", state="attached")
    return page.evaluate(
        """() => {
            const plot = document.querySelector(".st-key-window .js-plotly-plot");
            const { x, y } = plot._fullData[0];
            return { name: plot._fullData[0].name, z: plot.calcdata[0][0].z.map((row) => [...row]), x, y };
        }"""
    )


def shows(page: Page, name: str) -> None:
    """Wait until the step `name` is on the page."""
    page.wait_for_function(
        "name => document.querySelector('.st-key-window .js-plotly-plot')?._fullData?.[0]?.name === name",
        arg=name,
    )


def test_ten_cells_are_those_of_the_run(visit: Visit) -> None:
    at, n, i, j, o = 3, 11, 500, 42, 9
    page = visit(f"/one_step?at={at}&sample={n}&input={i}&unit={j}&output={o}")
    problem, before = make_problem(Config()), fit(Config(steps=at))
    h, h_relu, y_pred = forward(problem.x, before.w1, before.w2)
    grad_w1, grad_w2 = backward(problem.x, problem.y, before.w2, h, h_relu, y_pred)
    grad_y_pred = 2 * (y_pred - problem.y)
    grad_h_relu = grad_y_pred @ before.w2.T
    after = fit(Config(steps=at + 1))
    expected = {
        "h": h[n, j],
        "h_relu": h_relu[n, j],
        "y_pred": y_pred[n, o],
        "grad_y_pred": grad_y_pred[n, o],
        "grad_w2": grad_w2[j, o],
        "grad_h_relu": grad_h_relu[n, j],
        "grad_h": 0 if h[n, j] < 0 else grad_h_relu[n, j],
        "grad_w1": grad_w1[i, j],
        "w1": after.w1[i, j],
        "w2": after.w2[j, o],
    }
    for name, value in expected.items():
        page.click(f".st-key-diagram [data-step={name}]")
        shows(page, name)
        seen = window(page)
        axes = {"h": (n, j), "y_pred": (n, o), "w1": (i, j), "w2": (j, o)}
        row, column = axes[name.removeprefix("grad_").removesuffix("_relu")]
        cell = seen["z"][seen["y"].index(str(row))][seen["x"].index(str(column))]
        assert cell == pytest.approx(float(value), rel=1e-5, abs=1e-30), name
    assert len(expected) == 10
    # The picture of the whole, of w2 by now, has the means of its blocks
    page.click(".st-key-whole summary")
    page.wait_for_selector(".st-key-picture .main-svg", state="attached")
    plot = "document.querySelector('.st-key-picture .js-plotly-plot')"
    picture = page.evaluate(f"{plot}.calcdata[0][0].z.map((row) => [...row])")
    means = np.asarray(after.w2, float).reshape(50, 2, 10).mean(axis=1)
    assert picture == pytest.approx(means, rel=1e-4, abs=1e-6)


def test_a_cell_tells_the_sum_that_makes_it_and_a_click_chooses_it(visit: Visit) -> None:
    page = visit("/one_step?N=3&D_in=4&H=3&D_out=2&show=grad_w1")
    cells = window(page)
    area = page.locator(".st-key-window .nsewdrag")
    box = area.bounding_box()
    assert box is not None
    place = {"x": box["width"] * 5 / 6, "y": box["height"] * 3 / 8}
    area.hover(position={"x": place["x"] - 3, "y": place["y"]})
    area.hover(position=place)
    hover = page.locator(".st-key-window .hoverlayer")
    expect(hover).to_contain_text("grad_w1[1,2]")
    expect(hover).to_contain_text("Σ_n x[n,1]·grad_h[n,2]")
    expect(hover).to_contain_text(f"{cells['z'][1][2]:.4g}")
    area.click(position=place)
    page.wait_for_url("**unit=2**")
    settled(page)
    assert "input=1" in page.url
    expect(page.locator(".st-key-chain summary")).to_contain_text("w1[1, 2]")


def test_the_arrow_keys_go_through_the_steps_and_leave_the_slider_alone(visit: Visit) -> None:
    page = visit("/one_step?N=3&D_in=4&H=3&D_out=2")
    shows(page, "h")
    for name in STEPS[1:3]:
        page.keyboard.press("ArrowRight")
        shows(page, name)
        page.wait_for_url(f"**show={name}")
    page.keyboard.press("ArrowLeft")
    shows(page, "h_relu")
    page.focus(".st-key-diagram [data-step=grad_h]")
    page.keyboard.press("Enter")
    shows(page, "grad_h")
    page.keyboard.press("ArrowRight")
    shows(page, "grad_w1")
    page.locator(".st-key-at input[type=range]").focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_url("**at=1**")
    settled(page)
    assert "show=grad_w1" in page.url
    # The diagram has followed
    expect(page.locator(".st-key-diagram g.now text")).to_have_text("grad_w1")


def test_play_goes_on_by_itself_to_the_end(visit: Visit) -> None:
    page = visit(f"/one_step?N=3&D_in=4&H=3&D_out=2&show={STEPS[-3]}")
    shows(page, STEPS[-3])
    page.click(".st-key-play button")
    expect(page.locator(".st-key-play")).to_contain_text("Pause")
    shows(page, STEPS[-1])
    expect(page.locator(".st-key-play")).to_contain_text("Play")
    assert STEPS[-1] in INPUTS


def test_a_planted_bug_is_found_and_travels_to_the_other_page(visit: Visit) -> None:
    page = visit("/gradients?at=2")
    expect(page.locator(VERDICT)).to_contain_text("The backward pass is correct")
    page.click(".st-key-fault input")
    page.click("[role=option]:has-text('Rows shifted by one')")
    expect(page.locator(VERDICT)).to_contain_text("Wrong: gradient of the loss with respect to w2")
    expect(page.locator(VERDICT)).to_contain_text("grad_w2")
    page.click(".st-key-links >> text=One step")
    page.wait_for_selector(".st-key-diagram [data-step]")
    page.wait_for_url("**/one_step?**fault=off_by_one**")
    assert "at=2" in page.url
    page.click(".st-key-diagram [data-step=grad_w2]")
    expect(page.locator("[data-testid=stAlert]")).to_contain_text("This line contains the planted bug")
    expect(page.locator(".st-key-diagram g.wrong text")).to_have_text("grad_w2")


def test_what_is_sent_to_the_browser_is_small(visit: Visit) -> None:
    sizes: list[int] = []

    def count(page: Page) -> None:
        page.on("websocket", lambda socket: socket.on("framereceived", lambda f: sizes.append(len(f))))

    for path, there in (("/gradients", VERDICT), ("/one_step", ".st-key-window .heatmap-label")):
        sizes.clear()
        page = visit(path, before=count)
        page.wait_for_selector(there, state="attached")
        settled(page)
        assert 10_000 < sum(sizes) < MOST_BYTES, path


@pytest.mark.parametrize(
    ("path", "there", "korean"),
    [
        ("/gradients?fault=no_mask", ".st-key-agreement_scatter .main-svg", "틀렸습니다"),
        ("/one_step?show=grad_h", ".heatmap-label", "최솟값"),
    ],
    ids=["gradients", "one step"],
)
def test_a_phone_shows_everything_without_scrolling_sideways(
    visit: Visit, path: str, there: str, korean: str
) -> None:
    page = visit(path, width=390)
    page.wait_for_selector(there, state="attached")
    fits(page)
    page.click("text=한국어")
    page.emulate_media(color_scheme="dark")
    page.wait_for_selector(f"text={korean}")
    settled(page)
    fits(page)


def fits(page: Page) -> None:
    """Nothing is wider than a phone."""
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    charts = page.locator(".js-plotly-plot, .st-key-diagram svg").all()
    assert charts
    for chart in charts:
        box = chart.bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 390


WATCH = """
    window.shifts = [];
    new PerformanceObserver((list) => {
        for (const entry of list.getEntries()) {
            const moved = entry.sources.map(({ node }) => node?.closest?.("[class*=st-key-]")?.className);
            if (!entry.hadRecentInput) window.shifts.push([entry.value, ...moved]);
        }
    }).observe({ type: "layout-shift", buffered: false });
"""


def stays(page: Page) -> None:
    """Nothing has moved since `WATCH` began, apart from the bar of every page, which may be drawn late."""
    page.evaluate("new Promise((done) => requestAnimationFrame(() => setTimeout(done, 0)))")
    bar = ("st-key-frame", "st-key-lang_ko", "st-key-copy_link")
    shifts = [shift for shift in page.evaluate("window.shifts") if not any(key in str(shift) for key in bar)]
    assert sum(value for value, *_moved in shifts) <= 0.02, shifts


def top(page: Page, selector: str) -> float:
    """Where the first such element begins."""
    box = page.locator(selector).first.bounding_box()
    assert box is not None
    return float(box["y"])


@pytest.mark.parametrize(("bug", "locale"), [("none", "en-US"), ("updated_early", "ko-KR")])
def test_what_the_check_found_is_in_view_at_once_and_stays(visit: Visit, bug: str, locale: str) -> None:
    page = visit(f"/gradients?fault={bug}", locale=locale)
    page.set_viewport_size({"width": 1280, "height": 720})
    page.wait_for_selector(VERDICT)
    page.evaluate(WATCH)
    page.wait_for_selector(".st-key-agreement_scatter .main-svg", state="attached")
    settled(page)
    stays(page)
    for selector in (VERDICT, ".st-key-trail", ".st-key-agreement_scatter"):
        assert 0 < top(page, selector) < 720 - 100, selector
    page.set_viewport_size({"width": 390, "height": 844})
    assert 0 < top(page, VERDICT) < 844 - 100


@pytest.mark.parametrize("locale", ["en-US", "ko-KR"])
def test_a_line_its_numbers_and_its_diagram_are_in_view_at_once_and_stay(visit: Visit, locale: str) -> None:
    page = visit("/one_step?show=grad_w2&fault=off_by_one", locale=locale)
    page.set_viewport_size({"width": 1280, "height": 720})
    page.wait_for_selector(".st-key-line")
    page.evaluate(WATCH)
    shows(page, "grad_w2")
    page.wait_for_selector(".st-key-diagram [data-step]")
    settled(page)
    stays(page)
    for selector in (".st-key-line .katex", ".st-key-window", ".st-key-diagram"):
        assert 0 < top(page, selector) < 720 / 2, selector
    page.mouse.wheel(0, 2000)
    bar = page.locator(".st-key-playing").bounding_box()
    assert bar is not None
    assert bar["y"] + bar["height"] <= 720
    page.set_viewport_size({"width": 390, "height": 844})
    page.mouse.wheel(0, -3000)
    page.wait_for_function("document.querySelector('.st-key-line').getBoundingClientRect().y > 0")
    assert top(page, ".st-key-line .katex") < 844 - 200


@pytest.mark.parametrize(
    ("name", "locale"), [("grad_w2", "en-US"), ("grad_h_relu", "ko-KR"), ("grad_w1", "ko-KR")]
)
def test_where_a_line_comes_from_is_wholly_in_view_above_the_bar(
    visit: Visit, name: str, locale: str
) -> None:
    page = visit(f"/one_step?show={name}", locale=locale)
    page.set_viewport_size({"width": 1280, "height": 720})
    shows(page, name)
    page.wait_for_selector(".st-key-derivation .katex")
    derivation, bar = (
        page.locator(place).bounding_box() for place in (".st-key-derivation", "[data-testid=stBottom]")
    )
    assert derivation is not None
    assert bar is not None
    assert derivation["y"] + derivation["height"] <= bar["y"]
