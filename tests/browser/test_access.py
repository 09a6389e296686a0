"""Keyboards, fingers and screen readers: what axe-core finds, stops of the Tab key, swipes over a chart."""

import os
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import ROOT, go_to, settled, state_is, unfolded
from twolayer.backprop.packed import pack

Visit = Callable[..., Page]

AXE = ROOT / ".axe" / "axe.min.js"
SIZES = "N=7&D_in=30&H=5&D_out=3&learning_rate=1e-4&steps=60"
DRAWN = {
    f"/?{SIZES}&run=1": ".st-key-loss_chart .main-svg",
    f"/race?{SIZES}&rounds=8&contenders=numpy.tutorial,numpy.gram&run=1": ".js-plotly-plot .main-svg",
    f"/gradients?{SIZES}": ".js-plotly-plot .main-svg",
    f"/one_step?{SIZES}": ".js-plotly-plot .main-svg",
    f"/learning_rate?{SIZES}&rates=8&seeds=1&run=1": ".js-plotly-plot .main-svg",
    f"/write_it?{SIZES}&lines={pack({'grad_y_pred': 'y_pred - y', 'grad_w2': 'x @ y'})}": ".st-key-proof",
}
"""The address of each page with a result, and what is there when that is drawn."""
IS_SHOWN = """scheme => {
    const app = document.querySelector("[data-testid=stApp]");
    const [red] = getComputedStyle(app).backgroundColor.match(/\\d+/);
    return (scheme === "dark") === (red < 128);
}"""
"""Whether a page has taken a theme on."""
FOCUSED = "document.activeElement"
OUTLINE = """(() => {
    let at = document.activeElement;
    while (at.shadowRoot?.activeElement) at = at.shadowRoot.activeElement;
    return getComputedStyle(at).outlineStyle;
})()"""


@pytest.fixture(scope="session")
def axe() -> str:
    """The source of axe-core, which `.ci/run` fetches from npm. In CI its tests fail where it is missing."""
    if not Path(AXE).exists():
        if os.environ.get("CI"):
            pytest.fail(f"{AXE} is missing: .ci/run fetches it")
        pytest.skip("no axe-core here; .ci/run fetches it")
    return AXE.read_text(encoding="utf-8")


@pytest.mark.parametrize("address", DRAWN, ids=lambda address: address.split("?")[0])
def test_axe_finds_nothing_serious_by_day_and_by_night(visit: Visit, axe: str, address: str) -> None:
    page = visit(address)
    page.wait_for_selector(DRAWN[address])
    assert_accessible(page, axe)


def test_axe_finds_nothing_serious_in_a_run_as_code(visit: Visit, axe: str) -> None:
    page = visit(f"/?{SIZES}")
    unfolded(page, ".st-key-code")
    page.click(".st-key-code_rung button:has-text('JAX')")
    page.wait_for_selector(".st-key-code_jax code .token")
    page.mouse.move(0, 0)
    settled(page)
    page.locator(".st-key-code_jax").scroll_into_view_if_needed()
    assert_accessible(page, axe)


def assert_accessible(page: Page, axe: str) -> None:
    """Nothing serious is found in a page with a light theme, and with a dark one."""
    page.evaluate(axe)
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        page.wait_for_function(IS_SHOWN, arg=scheme)
        settled(page)
        assert serious(page) == [], scheme


def serious(page: Page) -> list[tuple[str, list[str]]]:
    """What axe-core finds serious in a page: the rule, and the elements."""
    found = page.evaluate("axe.run(document, { resultTypes: ['violations'] })")["violations"]
    return [
        (violation["id"], [node["html"] for node in violation["nodes"]])
        for violation in found
        if violation["impact"] in ("serious", "critical")
    ]


def test_the_main_action_is_the_first_stop_of_a_page_though_the_bar_stands_above_it(visit: Visit) -> None:
    page = visit("/")
    actions = {"train": "train", "race": "race", "gradients": "fault", "learning_rate": "scan"}
    for name, action in actions.items():
        go_to(page, name)
        page.wait_for_selector(".twolayer-copy")
        page.focus("[data-testid=stMain]")
        page.keyboard.press("Tab")
        assert page.evaluate(f"{FOCUSED}.closest('.st-key-{action}') !== null"), name
        bar, row = (page.locator(f".st-key-{key}").bounding_box() for key in ("frame", action))
        assert bar is not None
        assert row is not None
        assert bar["y"] + bar["height"] <= row["y"]


@pytest.mark.parametrize(("address", "starts"), [("/?N=33", True), ("/gradients?N=33", False)])
def test_a_copied_link_has_the_language_and_starts_by_itself_if_one_likes(
    visit: Visit, address: str, starts: bool
) -> None:
    page = visit(address)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    copied = "navigator.clipboard.readText()"
    page.click(".twolayer-copy")
    expect(page.locator(".twolayer-copy")).to_have_text("Copied")
    query = {"N": ["33"], "lang": ["en"]}
    assert parse_qs(urlsplit(page.evaluate(copied)).query) == query
    assert "lang" not in page.url
    choice = page.locator(".twolayer-choice input")
    expect(choice).to_be_visible(visible=starts)
    if starts:
        choice.check()
        page.wait_for_function(f"async () => (await {copied}).includes('run=1')")
        assert parse_qs(urlsplit(page.evaluate(copied)).query) == query | {"run": ["1"]}
        page.keyboard.press("Escape")
        expect(choice).to_be_hidden()


def test_each_stop_of_the_tab_key_shows_and_a_charts_buttons_are_one_stop(visit: Visit) -> None:
    page = visit("/?run=1")
    state_is(page, "finished")
    page.wait_for_selector(".st-key-loss_chart .modebar-btn")
    settled(page)
    page.focus("[data-testid=stMain]")
    stops = []
    while ".modebar" not in stops:
        page.keyboard.press("Tab")
        assert page.evaluate(OUTLINE) != "none"
        stops.append(page.evaluate(f"{FOCUSED}.closest('.modebar') ? '.modebar' : {FOCUSED}.tagName"))
        assert len(stops) < 60
    first = page.evaluate(f"{FOCUSED}.getAttribute('aria-label')")
    page.keyboard.press("ArrowRight")
    assert page.evaluate(f"{FOCUSED}.getAttribute('aria-label')") != first
    page.keyboard.press("Tab")
    assert page.evaluate(f"{FOCUSED}.closest('.modebar')") is None


def test_the_tab_and_the_uploader_are_korean_too(visit: Visit) -> None:
    page = visit("/race", locale="ko-KR")
    assert page.title() == "속도 비교 · 손으로 구현한 2층 신경망"
    page.click(".st-key-race_files summary")
    uploader = page.locator("[data-testid=stFileUploaderDropzone]")
    uploader.scroll_into_view_if_needed()
    words = uploader.locator("button p").evaluate("p => getComputedStyle(p, '::after').content")
    assert words == '"파일 선택"'
    assert "per file" not in uploader.inner_text()


def test_on_a_phone_the_pages_are_a_menu(visit: Visit) -> None:
    page = visit("/?N=33", width=390, locale="ko-KR")
    links = page.locator(".st-key-links")
    expect(links).to_be_hidden()
    expect(page.locator("[data-testid=stExpandSidebarButton]")).to_be_visible()
    page.click(".twolayer-menu")
    expect(links).to_be_visible()
    assert page.locator(".twolayer-menu").get_attribute("aria-expanded") == "true"
    page.keyboard.press("Escape")
    expect(links).to_be_hidden()
    page.click(".twolayer-menu")
    page.click(".st-key-links >> text=기울기")
    page.wait_for_url("**/gradients?N=33")
    settled(page)
    expect(links).to_be_hidden()


def as_a_phone(page: Page) -> None:
    """Let a tab be that of a phone with a touch screen."""
    devtools = page.context.new_cdp_session(page)
    screen = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": True}
    devtools.send("Emulation.setDeviceMetricsOverride", screen)
    devtools.send("Emulation.setTouchEmulationEnabled", {"enabled": True})


def test_a_finger_that_moves_over_a_chart_scrolls_the_page(visit: Visit) -> None:
    page = visit("/?run=1", width=390, before=as_a_phone)
    page.wait_for_selector(".st-key-loss_chart .main-svg")
    settled(page)
    chart = page.locator(".st-key-loss_chart")
    chart.scroll_into_view_if_needed()
    box = chart.bounding_box()
    assert box is not None
    scrolled = "document.querySelector('[data-testid=stMain]').scrollTop"
    before = page.evaluate(scrolled)
    zoomed = "JSON.stringify(document.querySelector('.st-key-loss_chart .js-plotly-plot').layout.xaxis.range)"
    ranges = page.evaluate(zoomed)
    touch = page.context.new_cdp_session(page)
    middle = box["y"] + box["height"] / 2
    for kind, by in (("touchStart", 0), ("touchMove", -50), ("touchMove", -150), ("touchEnd", None)):
        points = [] if by is None else [{"x": 200, "y": middle + by}]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    page.wait_for_function(f"{scrolled} > {before + 50}")
    assert page.evaluate(zoomed) == ranges
