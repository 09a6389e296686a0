"""A link on a device whose widget code comes late: address, widgets and run agree, and stay so."""

import re
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import figure, settled, state_is, unfolded
from twolayer import Config, fit
from twolayer.backprop.packed import pack
from twolayer.dashboard.common.pages import PAGES
from twolayer.dashboard.common.parameters import PARAMETERS
from twolayer.dashboard.train import live
from twolayer.training.config import FIELDS

Visit = Callable[..., Page]

WIDGETS = re.compile(
    r"/static/js/(NumberInput|Selectbox|Slider|ButtonGroup|Checkbox|TextInput|Radio|PageLink)\.[^/]*\.js$"
)
SIZES = "N=33&D_in=50&H=7&D_out=3&learning_rate=2e-05&steps=700&seed=5"
ADDRESSES = {
    "train": f"/?{SIZES}&threads=2&dtype=float64&backend=torch&method=gram&run=1",
    "race": f"/race?{SIZES}&threads=2&dtype=float64&contenders=numpy.tutorial,numpy.gram&rounds=9"
    "&sweep=H&sweep_from=8&sweep_to=32&sweep_points=3",
    "gradients": f"/gradients?{SIZES}&at=4&fault=no_mask&difference_step=0.1&check_dtype=float32",
    "one_step": f"/one_step?{SIZES}&at=4&fault=no_mask&show=grad_w2&sample=2&input=4&unit=5&output=1",
    "learning_rate": f"/learning_rate?{SIZES}&dtype=float64&rates=12&seeds=2&rate_from=1e-06&rate_to=0.001"
    "&grid_x=D_in&grid_y=N&grid=H=3,4;seed=0,1",
    "write_it": f"/write_it?{SIZES}&init=he&level=1&dialect=torch&missing=grad_w2&solved=1of1&lines="
    + pack({"grad_w2": "h_relu.t().mm(grad_y_pred)"}),
}
"""Each field that has a widget on a page, with a value that is not its default."""

SHOWN = """keys => Object.fromEntries(keys.flatMap(key => {
    const widget = document.querySelector(`.st-key-${key}`);
    if (!widget?.querySelector("[data-testid^=st]")) return [];
    const on = [...widget.querySelectorAll("[aria-checked=true], [aria-pressed=true], [data-selected=true]")];
    const value = widget.querySelector("[data-testid=stSlider]")
        ? widget.querySelector("[data-testid=stSliderThumbValue]").innerText
        : widget.querySelector("[data-testid=stButtonGroup]")
        ? on.map(button => button.innerText).join()
        : widget.querySelector("input")?.type === "checkbox" ? String(widget.querySelector("input").checked)
        : widget.querySelector("input")?.value;
    return value === undefined ? [] : [[key, value]];
}))"""
WIDGETS_OF = {
    "contenders": "contender_pills",
    "fault": "at",
    "show": "N",
    "run": "N",
    "lines": "line_grad_w2",
    "solved": "N",
}
"""The keys of the widgets of those parameters that have none of their own name."""
KEYS = [*FIELDS, *PARAMETERS, *WIDGETS_OF.values()]


def query(address: str) -> dict[str, str]:
    """The query of an address."""
    return {name: values[-1] for name, values in parse_qs(urlsplit(address).query).items() if name != "run"}


FOLDS = {
    "train": ["compute"],
    "race": ["compute"],
    "gradients": ["step_size"],
    "one_step": ["whole"],
    "learning_rate": ["compute", "sizes"],
    "write_it": [],
}
"""The folds of a page that hold some of its widgets."""
POPOVERS = {
    "race": {
        "who": ["contender_pills"],
        "options": ["rounds", "sweep", "sweep_from", "sweep_to", "sweep_points"],
    },
    "learning_rate": {"sweep_settings": ["rates", "seeds", "rate_from", "rate_to"]},
}
"""The popovers of a page, and the widgets in them."""


def behind_buttons(page: Page, name: str) -> dict[str, str]:
    """What the widgets in the page's popovers show, by key."""
    found: dict[str, str] = {}
    for popover, keys in POPOVERS.get(name, {}).items():
        page.click(f".st-key-{popover} button")
        page.wait_for_function(
            f"keys => {{ const is = ({SHOWN})(keys); return keys.every(key => key in is); }}", arg=keys
        )
        found |= page.evaluate(SHOWN, keys)
        page.keyboard.press("Escape")
        page.wait_for_selector("[data-testid=stPopoverBody]", state="detached")
    return found


def unfold(page: Page, name: str) -> Page:
    """Open the folds that hold some of the page's widgets."""
    for fold in FOLDS[name]:
        unfolded(page, f".st-key-{fold}")
    return page


def shown(page: Page) -> dict[str, str]:
    """What the widgets of the declared fields show, by key, when those of the address are there."""
    hidden = [key for popovers in POPOVERS.values() for keys in popovers.values() for key in keys]
    fields = [WIDGETS_OF.get(name, name) for name in query(page.url) if name != "lang"]
    there = [key for key in fields if key not in hidden]
    page.wait_for_function(
        f"([keys, all]) => {{ const is = ({SHOWN})(all); return keys.every(key => key in is); }}",
        arg=[there, KEYS],
    )
    found: dict[str, str] = page.evaluate(SHOWN, KEYS)
    return found


class Held:
    """Holds the scripts of widgets back until they are let go."""

    def __init__(self) -> None:
        self.routes: list[Route] = []
        self.free = False

    def hold(self, page: Page) -> None:
        """Begin with a tab."""
        self.page = page
        page.route(WIDGETS, self._ask)

    def _ask(self, route: Route) -> None:
        if self.free:
            route.continue_()
        else:
            self.routes.append(route)

    def let_go(self) -> None:
        """Let the scripts come, those that were asked for and all others."""
        assert self.routes, "the code of the widgets has other names now"
        self.free = True
        for route in self.routes:
            route.continue_()
        expect(self.page.locator(".st-key-N input")).to_be_visible()


def raise_n(page: Page, to: int) -> None:
    """Raise N by one, as its arrow does."""
    page.press(".st-key-N input", "ArrowUp")
    page.wait_for_url(f"**N={to}&**")
    settled(page)


@pytest.mark.parametrize("name", PAGES)
def test_what_a_link_says_stays(visit: Visit, name: str) -> None:
    address = f"{ADDRESSES[name]}&lang=ko"
    usual = unfold(visit(address), name)
    expected, expected_behind = shown(usual), behind_buttons(usual, name)
    held = Held()
    page = visit(address, before=held.hold)
    for _ in range(2):  # drawn again when the address has been taken in
        page.keyboard.press("r")
        settled(page)
    held.let_go()
    assert shown(unfold(page, name)) == expected
    assert query(page.url) == query(address)
    for to in (34, 35):
        raise_n(page, to)
    assert shown(page) == expected | {"N": "35"}
    assert behind_buttons(page, name) == expected_behind
    assert query(page.url) == query(address) | {"N": "35"}
    expect(page.locator("h1")).to_have_text("손으로 구현한 2층 신경망")


@pytest.mark.parametrize(
    ("link", "config", "end"),
    [
        ("preset=diverges", Config(learning_rate=1e-5), "diverged"),
        ("learning_rate=5e-7&method=gram", Config(learning_rate=5e-7, method="gram"), "finished"),
    ],
)
def test_the_run_of_a_link_and_the_next_ones_have_its_settings(
    visit: Visit, link: str, config: Config, end: str
) -> None:
    held = Held()
    page = visit(f"/?{link}&run=1", before=held.hold)
    state_is(page, end)
    settled(page)
    held.let_go()
    for _ in range(2):
        assert float(page.input_value(".st-key-learning_rate input")) == config.learning_rate
        assert query(page.url) == config.to_query()
        assert figure(page, "metric_loss") == live.figure(fit(config).losses[-1])
        page.click(".st-key-reset button")
        state_is(page, "ready")
        page.click(".st-key-train button")
        state_is(page, end)
        settled(page)
