"""What a person does on the Train page, in Chromium."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser import stability
from tests.browser.conftest import drawn, figure, settled, state_is, unfolded
from twolayer import Config, fit
from twolayer.dashboard.plot import plot
from twolayer.dashboard.train import live

Visit = Callable[..., Page]


def box(page: Page, selector: str) -> dict[str, float]:
    """Where the first such element is on the page."""
    found = page.locator(selector).first.bounding_box()
    assert found is not None
    return dict(found)


def test_training_shows_the_losses_of_fit(visit: Visit) -> None:
    page = visit()
    page.click(".st-key-train button")
    state_is(page, "finished")
    losses = fit(Config()).losses
    assert figure(page, "metric_step") == "500"
    assert figure(page, "metric_loss") == live.figure(losses[-1])
    page.wait_for_function(
        "document.querySelector('.st-key-loss_chart .js-plotly-plot')?.calcdata?.[0]?.length > 400"
    )
    assert drawn(page, "loss_chart") == pytest.approx(losses, rel=1e-6)
    assert min(drawn(page, "time_chart")) > 0


def test_korean_by_the_switch_and_by_the_browser(visit: Visit) -> None:
    page = visit()
    page.click("text=한국어")
    page.wait_for_selector("h1:has-text('손으로 구현한 2층 신경망')")
    assert "lang=ko" in page.url
    page.reload()
    page.wait_for_selector("h1:has-text('손으로 구현한 2층 신경망')")
    expect(visit(locale="ko-KR").locator(".st-key-train")).to_contain_text("학습")


def test_the_address_is_the_run_after_a_reload_too(visit: Visit) -> None:
    page = visit("/?D_in=50")
    page.fill(".st-key-N input", "33")
    page.press(".st-key-N input", "Enter")
    page.wait_for_url("**N=33**")
    settled(page)
    page.fill(".st-key-learning_rate input", "2.5e-5")
    page.press(".st-key-learning_rate input", "Enter")
    page.wait_for_url("**learning_rate=**")
    settled(page)
    page.click(".st-key-train button")
    state_is(page, "finished")
    before = figure(page, "metric_loss")
    page.reload()
    settled(page)
    expect(page.locator(".st-key-N input")).to_have_value("33")
    page.click(".st-key-train button")
    state_is(page, "finished")
    assert figure(page, "metric_loss") == before
    assert before == live.figure(fit(Config(N=33, D_in=50, learning_rate=2.5e-5)).losses[-1])


def test_what_the_address_got_wrong_is_said(visit: Visit) -> None:
    page = visit("/?N=abc&learning_rate=nan&H=<b>x</b>&backend=numpy")
    alert = page.locator("[data-testid=stAlert]").first
    for words in (
        "N: invalid value 'abc'",
        "learning_rate: invalid value 'nan'",
        "H: invalid value '<b>x</b>'",
    ):
        expect(alert).to_contain_text(words)
    assert page.query_selector("[data-testid=stAlert] b") is None


@pytest.mark.parametrize(
    ("locale", "scheme", "done"), [("en-US", "light", "finished"), ("ko-KR", "dark", "완료")]
)
def test_a_phone_shows_everything_without_scrolling_sideways(
    visit: Visit, locale: str, scheme: str, done: str
) -> None:
    page = visit("/?run=1", width=390, locale=locale, scheme=scheme)
    assert box(page, ".st-key-loss_chart")["y"] < 844, "the curve begins on the first screen"
    state_is(page, done)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    for key in ("loss_chart", "time_chart", "metric_state", "train"):
        there = box(page, f".st-key-{key}")
        assert 0 <= there["x"] <= there["x"] + there["width"] <= 390, key


def test_back_and_forward_bring_the_settings_back(visit: Visit) -> None:
    page = visit("/?seed=5")
    for value in ("33", "34"):
        page.fill(".st-key-N input", value)
        page.press(".st-key-N input", "Enter")
        page.wait_for_url(f"**N={value}**")
        settled(page)
    unfolded(page, ".st-key-compute")
    page.click(".st-key-backend >> text=PyTorch")
    page.wait_for_url("**backend=torch**")
    settled(page)
    page.go_back()
    page.wait_for_url(lambda url: "backend" not in url)
    page.go_back()
    page.wait_for_function("document.querySelector('.st-key-N input').value === '33'")
    page.go_forward()
    page.wait_for_function("document.querySelector('.st-key-N input').value === '34'")
    expect(page.locator(".st-key-seed input")).to_have_value("5")


def test_charts_are_drawn_each_time_that_a_page_is_opened(visit: Visit) -> None:
    """Streamlit may draw a page twice at its start, and clean up after a component that stays."""
    page = visit("/?run=1&method=auto")
    for _ in range(4):
        for chart in ("loss_chart", "time_chart"):
            page.wait_for_function(
                f"document.querySelector('.st-key-{chart} .js-plotly-plot')?.calcdata?.[0]?.length > 10"
            )
        page.reload()


def test_data_that_newer_ones_replace_before_the_code_has_come_are_not_drawn(visit: Visit) -> None:
    page = visit("/?run=1&method=auto")
    state_is(page, "finished")
    labels = page.evaluate(
        """async (loader) => {
            const url = URL.createObjectURL(new Blob([loader], { type: "text/javascript" }));
            const { default: show } = await import(url);
            const shown = [true, false].map((isReplaced) => {
                const parentElement = document.createElement("div");
                parentElement.innerHTML = '<div class="plot"></div>';
                const message = { name: "a", traces: [], layout: {}, alt: "drawn", script: "none.js" };
                const data = new TextEncoder().encode(JSON.stringify(message));
                const end = show({ data, parentElement, setTriggerValue: () => {} });
                if (isReplaced) end();
                return parentElement.firstChild;
            });
            while (!shown[1].ariaLabel) await new Promise(requestAnimationFrame);
            return shown.map((node) => node.ariaLabel);
        }""",
        plot._LOADER,
    )
    assert labels == [None, "drawn"]


@pytest.mark.parametrize(("locale", "done"), [("en-US", "finished"), ("ko-KR", "완료")])
def test_the_curve_the_figures_and_the_verdict_are_in_view_on_a_projector(
    visit: Visit, locale: str, done: str
) -> None:
    page = visit("/?run=1", locale=locale)
    page.set_viewport_size({"width": 1280, "height": 720})
    state_is(page, done)
    settled(page)
    for selector in (".st-key-figures", ".st-key-loss_chart", ".st-key-time_chart"):
        there = box(page, selector)
        assert 0 <= there["y"] <= there["y"] + there["height"] <= 720, selector
    # The verdict and what held-out rows say of it; what the run was may stand below
    bottom = page.evaluate(
        """() => {
            const verdict = document.querySelector('.st-key-verdict p'), range = document.createRange();
            range.setStart(verdict, 0);
            range.setEndBefore(verdict.querySelectorAll('br')[1]);
            return range.getBoundingClientRect().bottom;
        }"""
    )
    assert 600 < bottom <= 720


@pytest.mark.parametrize(
    "query", ["/?preset=digits", "/?preset=spiral&learning_rate=1e-4"], ids=["digits", "spiral"]
)
def test_the_picture_of_what_is_learned_moves_in_one_lasting_node(visit: Visit, query: str) -> None:
    page = visit(query + "&steps=2000000")
    stability.watch(page, "learned_chart")
    shown = "document.querySelector('.st-key-learned_chart .js-plotly-plot').calcdata.length"
    before = page.evaluate(shown)
    page.click(".st-key-train button")
    page.wait_for_function(f"{shown} > {before}")
    label = (
        "[...document.querySelectorAll('.st-key-learned_chart [aria-label]')].map(e => e.ariaLabel).join()"
    )
    first = page.evaluate(label)
    page.wait_for_function(f"first => {label} !== first", arg=first)
    stability.assert_nothing_moved(page)
    page.click(".st-key-stop button")
    state_is(page, "stopped")
    stability.assert_nothing_moved(page)
