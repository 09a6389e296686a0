"""The frame of the pages: deep links, and the Config that travels along."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import ROOT, go_to, serving, settled
from twolayer.dashboard.common.pages import PAGES


def test_a_deep_link_works_for_the_first_visitor_and_the_config_travels(visit: Callable[..., Page]) -> None:
    with serving(ROOT) as fresh:
        travel(visit(f"{fresh}/race?N=33&learning_rate=2.5e-06&dtype=float64&threads=2&lang=ko"))


def travel(page: Page) -> None:
    """Go from Race to Train, change N, and go back."""
    expect(page.locator("h1")).to_have_text("손으로 구현한 2층 신경망")
    expect(page.locator(".st-key-N input")).to_have_value("33")

    page.click(".st-key-links >> text=학습")
    page.wait_for_selector(".st-key-train button")
    settled(page)
    for part in ("N=33", "learning_rate=2.5e-06", "dtype=float64", "threads=2", "lang=ko"):
        assert part in page.url
    expect(page.locator(".st-key-N input")).to_have_value("33")
    expect(page.locator(".st-key-learning_rate input")).to_have_value("2.5e-6")

    page.fill(".st-key-N input", "34")
    page.press(".st-key-N input", "Enter")
    page.wait_for_url("**N=34**")
    settled(page)
    page.click(".st-key-links >> text=속도 비교")
    page.wait_for_selector(".st-key-race button")
    settled(page)
    assert "N=34" in page.url
    assert "dtype=float64" in page.url
    expect(page.locator(".st-key-N input")).to_have_value("34")


@pytest.mark.parametrize("locale", ["en-US", "ko-KR"])
def test_the_bar_is_one_row_of_a_phone_and_has_its_styles_before_the_components_come(
    visit: Callable[..., Page], locale: str
) -> None:
    page = visit("/one_step", width=390, locale=locale)
    page.wait_for_selector(".twolayer-copy:visible")
    for width in (390, 360):
        page.set_viewport_size({"width": width, "height": 844})
        bar, about, copy = (
            page.locator(name).bounding_box() for name in (".st-key-frame", ".st-key-about", ".twolayer-copy")
        )
        assert bar is not None
        assert about is not None
        assert copy is not None
        assert bar["height"] < 48
        assert copy["x"] - (about["x"] + about["width"]) >= 8, "a finger has room between two buttons"
        assert copy["x"] + copy["width"] <= width
    expect(page.locator(".twolayer-menu")).to_be_visible()
    assert page.query_selector("[data-testid=stSidebarNav]") is None, "the pages are listed once"
    assert page.evaluate(
        "[...document.querySelectorAll('style')].some("
        "style => style.textContent.includes('twolayer') && !style.closest('.st-key-copy_link'))"
    )


BROKEN = r"""(() => {
    const broken = new Set(), range = document.createRange();
    const page = document.querySelector("[data-testid=stMain]");
    const texts = document.createTreeWalker(page, NodeFilter.SHOW_TEXT);
    for (let text = texts.nextNode(); text; text = texts.nextNode())
        for (const { 0: word, index } of text.data.matchAll(/[)%]?[가-힣]+/g)) {
            range.setStart(text, index);
            range.setEnd(text, index + word.length);
            const lines = new Set(Array.from(range.getClientRects(), rect => Math.round(rect.y)));
            if (lines.size > 1) broken.add(word);
        }
    return [...broken];
})()"""


def test_no_korean_word_is_broken_at_the_end_of_a_line(visit: Callable[..., Page]) -> None:
    page = visit("/", width=390, locale="ko-KR")
    for name in PAGES:
        if name != "train":
            page.click(".twolayer-menu")
        go_to(page, name)
        page.wait_for_selector(".twolayer-copy:visible")
        assert page.evaluate(BROKEN) == [], name
