"""The Train page without a browser: controls, messages, a whole run."""

import time

import pytest
from numpy.testing import assert_array_equal
from streamlit.testing.v1 import AppTest

from twolayer import Config, fit
from twolayer.config import DEFAULTS, FIELDS


def opened(**query: str) -> AppTest:
    """The page as somebody opens it with this query string."""
    page = AppTest.from_file("../../app.py", default_timeout=30)
    for name, value in query.items():
        page.query_params[name] = value
    page.run()
    assert not page.exception
    return page


def until(page: AppTest, what: str) -> None:
    """Wait until the page's run is `over`, or has a first `step`, and draw the page again."""
    end = time.monotonic() + 60
    while not getattr(page.session_state["run"], what):
        assert time.monotonic() < end
        time.sleep(0.005)
    page.run()
    assert not page.exception


def shown(page: AppTest) -> str:
    """Every text that the page shows in a box."""
    return "\n".join(
        box.value for boxes in (page.error, page.warning, page.info, page.success) for box in boxes
    )


def test_controls_begin_with_the_tutorials_values() -> None:
    page = opened()
    for field in FIELDS:
        if field != "data":
            assert page.session_state[field] == DEFAULTS[field]
            assert page.get_by_key(field) is not None


def test_train_gives_the_losses_of_fit() -> None:
    page = opened(N="16", D_in="30", H="9", D_out="3", learning_rate="1e-4", steps="300", dtype="float64")
    page.button(key="train").click().run()
    until(page, "over")
    config = Config(N=16, D_in=30, H=9, D_out=3, learning_rate=1e-4, steps=300, dtype="float64")
    assert page.session_state["run"].config == config
    assert_array_equal(page.session_state["run"].losses, fit(config).losses)
    assert "finished" in [metric.value for metric in page.metric]
    assert "the loss fell" in shown(page)


def test_run_1_starts_at_once_and_the_address_keeps_the_run() -> None:
    page = opened(run="1", steps="20", seed="7")
    until(page, "over")
    assert page.session_state["run"].config == Config(steps=20, seed=7)
    assert page.query_params["steps"] == "20"
    assert page.query_params["seed"] == "7"


def test_what_auto_picked_is_shown() -> None:
    page = opened(run="1", method="auto")
    until(page, "over")
    assert any("auto → gram" in caption.value for caption in page.caption)


def test_what_is_wrong_in_the_address_is_said_by_field_and_the_rest_is_used() -> None:
    page = opened(N="abc", D_in="33", learning_rate="nan", nothing="1", lang="xx")
    text = page.warning[0].value
    for word in ("N:", "learning\\_rate:", "nothing:", "lang:"):
        assert word in text
    assert "D\\_in:" not in text
    assert page.session_state["D_in"] == 33
    assert page.session_state["N"] == 64


def test_markdown_in_the_address_has_no_effect() -> None:
    page = opened(N="**bold** <b>x</b> [a](http://b) :red[c] $x$")
    text = page.warning[0].value
    assert "**bold**" not in text
    assert "<b>" not in text
    assert "\\*\\*bold\\*\\*" in text


def test_a_device_that_is_not_here_is_refused_and_cpu_is_used() -> None:
    page = opened(backend="torch", device="cuda:7")
    assert "device:" in page.warning[0].value
    assert page.session_state["device"] == "cpu"


def test_a_diverged_run_says_at_which_step() -> None:
    page = opened(run="1", learning_rate="1e-5")
    until(page, "over")
    assert "from step 4 on" in page.error[0].value
    assert not page.button(key="train").disabled


def test_a_run_beyond_the_memory_limit_is_refused_with_the_limit() -> None:
    page = opened(N="60000", D_in="60000", run="1")
    assert "this server allows" in page.error[0].value
    assert "run" not in page.session_state


@pytest.mark.parametrize(("field", "value"), [("N", -5), ("H", 10**9), ("learning_rate", float("nan"))])
def test_a_value_outside_its_range_does_not_get_in(field: str, value: float) -> None:
    page = opened()
    page.session_state[field] = value
    page.run()
    assert not page.exception
    assert page.session_state[field] == DEFAULTS[field]


def test_stop_ends_the_run_and_the_page_says_so() -> None:
    page = opened(run="1", steps="1000000")
    until(page, "step")
    page.button(key="stop").click().run()
    assert page.session_state["run"].state == "stopped"
    assert "Stopped" in shown(page)
    assert page.button(key="stop").disabled


def test_the_learning_rate_slider_and_the_exact_field_are_one() -> None:
    page = opened()
    page.select_slider(key="learning_rate_scale").set_value(5e-6).run()
    assert page.session_state["learning_rate"] == 5e-6
    page.number_input(key="learning_rate").set_value(1.5e-7).run()
    assert page.session_state["learning_rate_scale"] == 1e-7
    assert page.session_state["learning_rate"] == 1.5e-7


def test_korean_by_address() -> None:
    page = opened(lang="ko", run="1", steps="10")
    until(page, "over")
    assert page.title[0].value == "손으로 쓴 두 층 신경망"
    assert "완료" in [metric.value for metric in page.metric]


def a_page_with(state: str) -> None:
    """A script that shows a run in a state; run by the test runner, which copies its text."""
    from twolayer import Config
    from twolayer.dashboard.live import show
    from twolayer.messages import Message
    from twolayer.run import Run

    run = Run("a", Config())
    run.begin()
    run.state = state
    run.message = Message.of("the reason")
    show(str, run)


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("failed", "Failed: the reason"),
        ("stopped", "the reason"),
        ("queued", "Waiting"),
        ("running", "Training"),
    ],
)
def test_each_state_is_said_in_words(state: str, words: str) -> None:
    page = AppTest.from_function(a_page_with, args=(state,)).run()
    assert not page.exception
    assert words in shown(page)
    assert state in [metric.value for metric in page.metric]
