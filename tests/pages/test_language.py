"""A change of the language, while messages in the words of the language before are still on their way."""

from typing import Any

import pytest
from streamlit.config import get_option
from streamlit.testing.v1 import AppTest

PAGES = {
    "app.py": {"data": "digits", "init": "he", "method": "gram", "dtype": "float64"},
    "pages/race.py": {"data": "sine", "init": "he", "sweep": "H"},
    "pages/gradients.py": {"data": "iris", "fault": "no_mask", "check_dtype": "float32"},
    "pages/one_step.py": {"data": "teacher", "fault": "transposed_w2", "show": "grad_w1"},
    "pages/learning_rate.py": {"data": "spiral", "init": "he", "grid_x": "D_in", "grid_y": "N"},
    "pages/write_it.py": {"data": "diabetes", "level": "1", "dialect": "torch", "missing": "grad_w2"},
}


def kept(page: AppTest) -> dict[str, Any]:
    """What people have chosen, and the sizes that go with a data set."""
    names = {*PAGES["app.py"], *(name for one in PAGES.values() for name in one), "speed", "axes", "N", "H"}
    return {name: page.session_state[name] for name in sorted(names) if name in page.session_state}


def opened(script: str, query: dict[str, str]) -> AppTest:
    page = AppTest.from_file("../../app.py", default_timeout=300)
    if script != "app.py":
        page.switch_page(script)
    for name, value in {**query, "N": "40", "H": "7", "steps": "3", "lang": "en"}.items():
        page.query_params[name] = value
    page.run()
    assert not page.exception
    return page


@pytest.mark.parametrize("script", PAGES)
def test_choices_outlast_messages_in_the_words_of_the_language_before(
    script: str,
) -> None:
    page = opened(script, PAGES[script])
    if script == "app.py":
        page.selectbox(key="speed").set_value(20).run()
    chosen, on_its_way = kept(page), page._tree.get_widget_states()
    page.button(key="lang_ko").click().run()
    assert kept(page) == chosen
    page._run(on_its_way)
    assert not page.exception
    assert kept(page) == chosen
    page.run()
    assert kept(page) == chosen


def test_a_click_is_not_handled_beside_a_redraw() -> None:
    """Two threads shared a session's state: what a change of the language had set for the browser, the one
    that redrew a run emptied."""
    assert not get_option("runner.fastReruns")
