"""The Write it page in Chromium: by keyboard alone, on a phone, and by its link."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from twolayer.backprop.levels import SOLUTIONS
from twolayer.backprop.packed import pack
from twolayer.training.program import GRADIENTS, STEPS

Visit = Callable[..., Page]
SIZES = "N=7&D_in=30&H=5&D_out=3&learning_rate=1e-4&steps=60"
FOCUSED = "document.activeElement.getAttribute('aria-label')"


def test_the_backward_pass_is_written_by_keyboard_alone(visit: Visit) -> None:
    page = visit(f"/write_it?{SIZES}")
    page.locator("input[aria-label='grad_y_pred =']").focus()
    for name in GRADIENTS:
        assert page.evaluate(FOCUSED) == f"{name} ="
        page.keyboard.type(SOLUTIONS["numpy"][name])
        page.keyboard.press("Enter")
        expect(page.locator(f".st-key-verdict_{name}")).to_contain_text("Right, (")
        assert page.evaluate(FOCUSED) == f"{name} ="
        if name != GRADIENTS[-1]:
            page.keyboard.press("Tab")
    expect(page.locator(".st-key-solved_words")).to_contain_text("5 of 5 right, no hint")
    page.wait_for_url("**solved=5of5**")
    again = visit(page.url)
    expect(again.locator(".st-key-solved_words")).to_contain_text("5 of 5 right, no hint")
    expect(again.locator("input[aria-label='grad_w1 =']")).to_have_value("x.T @ grad_h")


def test_ones_own_gradient_trains_beside_the_right_one_until_both_curves_are_there(visit: Visit) -> None:
    lines = {name: SOLUTIONS["numpy"][name] for name in GRADIENTS} | {"grad_y_pred": "y_pred - y"}
    page = visit(f"/write_it?{SIZES}&lines={pack(lines)}")
    page.click(".st-key-train_own button:enabled")
    page.wait_for_selector(".st-key-own_chart .js-plotly-plot .main-svg")
    page.wait_for_function(
        "document.querySelector('.st-key-own_chart .js-plotly-plot').calcdata.every(c => c.length === 60)"
    )
    expect(page.locator("[data-testid=stMain]")).to_contain_text("After 60 steps your loss is")


@pytest.mark.parametrize("width", [1280, 390])
def test_each_hint_stands_below_its_line_though_tab_comes_to_it_after_all_lines(
    visit: Visit, width: int
) -> None:
    page = visit(f"/write_it?{SIZES}&level=3", width=width)
    expect(page.locator("[class*=st-key-hint_]")).to_have_count(len(STEPS))
    keys = [f".st-key-{part}_{name}" for name in STEPS for part in ("line", "verdict", "hint")]
    page.wait_for_function(  # the style sheet comes with the bar
        """keys => keys.map(key => document.querySelector(key).getBoundingClientRect().y)
            .every((y, i, all) => i === 0 || all[i - 1] <= y)""",
        arg=keys,
    )
    page.locator(f"input[aria-label='{STEPS[-1]} =']").focus()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent").startswith(f"Hint for {STEPS[0]} ")


def test_nothing_is_wider_than_a_phone(visit: Visit) -> None:
    page = visit(
        f"/write_it?{SIZES}&lines={pack({'grad_h_relu': 'grad_y_pred @ w2 ' + '* 1 ' * 18})}", width=390
    )
    expect(page.locator(".st-key-verdict_grad_h_relu")).to_contain_text(
        "Wrong: there is a missing or extra transpose."
    )
    assert page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth") <= 390
