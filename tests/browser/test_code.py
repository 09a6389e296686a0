"""A run as code, in Chromium: two programs side by side, their backward pass marked, taken away."""

from collections.abc import Callable
from pathlib import Path

import nbformat
from playwright.sync_api import Page, expect

from tests.browser.conftest import settled, unfolded
from twolayer import Config
from twolayer.export.script import script

Visit = Callable[..., Page]
MARKED = """key => {
    const lines = [...document.querySelectorAll(`.st-key-${key} pre code > span`)];
    const clear = getComputedStyle(lines[0]).backgroundColor;
    const marked = lines.filter(line => getComputedStyle(line).backgroundColor !== clear);
    return marked.map(line => line.lastElementChild.textContent.trim());
}"""
"""The lines of a program that have a background of their own."""


def with_code(visit: Visit, rung: str, **look: int) -> Page:
    """The Train page with the code of a run opened, written on a rung."""
    page = visit("/?steps=30", **look)
    unfolded(page, ".st-key-code")
    page.click(f".st-key-code_rung button:has-text('{rung}')")
    settled(page)
    page.wait_for_selector(".st-key-code_autograd pre code .token")
    return page


def test_the_backward_pass_is_marked_in_both_programs_side_by_side(visit: Visit) -> None:
    page = with_code(visit, "autograd", width=1440)
    left, right = (page.locator(f".st-key-code_{name}") for name in ("numpy", "autograd"))
    expect(left).to_be_visible()
    assert left.bounding_box()["y"] == right.bounding_box()["y"]
    assert page.evaluate(MARKED, "code_numpy") == [
        "grad_y_pred = 2.0 * (y_pred - y)",
        "grad_w2 = h_relu.T.dot(grad_y_pred)",
        "grad_h_relu = grad_y_pred.dot(w2.T)",
        "grad_h = grad_h_relu.copy()",
        "grad_h[h < 0] = 0",
        "grad_w1 = x.T.dot(grad_h)",
    ]
    assert page.evaluate(MARKED, "code_autograd") == ["loss.backward()"]


def test_a_phone_shows_the_chosen_program_alone(visit: Visit) -> None:
    page = with_code(visit, "autograd", width=390)
    expect(page.locator(".st-key-code_autograd")).to_be_visible()
    expect(page.locator(".st-key-code_numpy")).to_be_hidden()
    assert page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth") <= 390
    page.click(".st-key-code_rung button:has-text('NumPy')")
    expect(page.locator(".st-key-code_numpy")).to_be_visible()


def test_the_program_and_the_notebook_can_be_taken_away(visit: Visit) -> None:
    page = with_code(visit, "autograd")
    with page.expect_download() as program:
        page.click("button:has-text('Download run_autograd.py')")
    assert Path(program.value.path()).read_text("utf-8") == script(Config(steps=30), rung="autograd")
    with page.expect_download() as notebook:
        page.click("button:has-text('Download as notebook')")
    assert notebook.value.suggested_filename == "run.ipynb"
    nbformat.validate(nbformat.read(notebook.value.path(), as_version=4))
