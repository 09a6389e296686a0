"""Whatever strangers send to a page: no exception, no path, no trace, no markup with effect, and soon."""

import re
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from streamlit.proto.NumberInput_pb2 import NumberInput
from streamlit.proto.Slider_pb2 import Slider
from streamlit.proto.WidgetStates_pb2 import WidgetStates
from streamlit.testing.v1 import AppTest

from tests import strangers
from tests.conftest import ROOT
from twolayer import Config
from twolayer.dashboard.common import server
from twolayer.dashboard.i18n import LANGUAGES
from twolayer.training.config import FIELDS
from twolayer.training.data.own import CSV

PAGES = [ROOT / "app.py", *sorted((ROOT / "pages").glob("*.py"))]
LEAKS = ("Traceback", str(ROOT), "site-packages", ".py", "Error(", "<class", "0x7f")
QUESTIONS = ("question_gradients", "question_one_step")
FIELD_OF = {
    "Checkbox": "bool_value",
    "Button": "trigger_value",
    "ButtonGroup": "string_array_value",
    "MultiSelect": "string_array_value",
    "Radio": "string_value",
    "Selectbox": "string_value",
    "Slider": "string_array_value",
    "TextInput": "string_value",
    "TextArea": "string_value",
    "NumberInput": "double_value",
}
"""By kind of widget: the field of its state in which a browser sends its value."""


def opened(script: Path, query: dict[str, str]) -> AppTest:
    """A page as somebody opens it with this query string. A run that begins is stopped."""
    page = AppTest.from_file(PAGES[0], default_timeout=300)
    if script != PAGES[0]:
        page.switch_page(str(script.relative_to(ROOT)))
    for name, value in query.items():
        page.query_params[name] = value
    return drawn(page.run())


def drawn(page: AppTest) -> AppTest:
    """A page that was drawn, when all that every visitor may expect of it has been checked."""
    if "run" in page.session_state:
        server.engine().stop(page.session_state["run"])
    assert not page.exception
    for text in boxes(page):
        # What somebody typed has every character escaped that could have an effect. Our own texts need none
        # on the Train page; on the others they have words in bold or as code, but no link and no HTML.
        effects = r"[*`<>\[\]$#|~{}]" if page.session_state["page"] == "train" else r"<\w|\]\(|!\["
        assert not re.search(effects, re.sub(r"\\[!-/:-@\[-`{-~]", "", text)), text
        for leak in LEAKS:
            assert leak not in text
    shown = {name: page.session_state[name] for name in FIELDS if name in page.session_state}
    if shown["data"] == CSV and not shown["table"]:
        shown = {name: shown[name] for name in shown if name not in ("N", "D_in", "D_out")}  # of the file
    config = Config(**shown)
    assert page.session_state["lang"] in LANGUAGES
    written = {
        name: [value] if isinstance(value, str) else value for name, value in page.query_params.items()
    }
    assert {name: values[-1] for name, values in written.items() if name in FIELDS} == config.to_query()
    return page


def answered(page: AppTest) -> AppTest:
    """A page with the answer of the workers to what it asks."""
    for name in QUESTIONS:
        while name in page.session_state and page.session_state[name].live:
            time.sleep(0.01)
    return drawn(page.run())


def leave(page: AppTest) -> None:
    """End what the page had computed, as when its visitor leaves."""
    for name in QUESTIONS:
        if name in page.session_state and page.session_state[name].job is not None:
            server.engine().stop(page.session_state[name].job)


def boxes(page: AppTest) -> list[str]:
    """The texts of all boxes of a page."""
    kinds = (page.error, page.warning, page.info, page.success)
    return [box.value for kind in kinds for box in kind]


@pytest.mark.parametrize("script", PAGES, ids=lambda path: path.stem)
def test_any_address_is_answered(script) -> None:
    @strangers.a_share(20)
    @given(strangers.QUERIES)
    @example({"data": "csv", "N": "7", "D_in": "1", "D_out": "9", "H": "5"})
    def check(query: dict[str, str]) -> None:
        with strangers.in_time():
            page = opened(script, query)
        leave(page)

    check()


@pytest.mark.parametrize("script", PAGES, ids=lambda path: path.stem)
def test_any_value_of_any_widget_is_answered(script) -> None:
    @strangers.a_share(20)
    @given(st.lists(st.tuples(st.integers(0, 99), st.fixed_dictionaries(strangers.VALUES)), max_size=8))
    def check(chosen: list[tuple[int, dict[str, Any]]]) -> None:
        page = answered(opened(script, {}))  # anew, so that the same widgets are there
        there, states = widgets(page), WidgetStates()
        for place, values in chosen:
            identity, field = there[place % len(there)]
            state = states.widgets.add(id=identity)
            if isinstance(values[field], list):
                getattr(state, field).SetInParent()
                getattr(state, field).data.extend(values[field])
            else:
                setattr(state, field, values[field])
        with strangers.in_time():
            drawn(page._run(states))
        leave(page)

    check()


def widgets(page: AppTest) -> list[tuple[str, str]]:
    """For each widget of a page: its id, and the field of its state that holds its value."""
    found = []
    for node in page._tree:
        proto = getattr(node, "proto", None)
        field = FIELD_OF.get(type(proto).__name__)
        if field == "double_value" and proto.data_type == NumberInput.INT:
            field = "int_value"
        if isinstance(proto, Slider) and proto.type != Slider.SELECT_SLIDER:
            field = "double_array_value"
        if field is not None:
            found.append((proto.id, field))
    assert len(found) > 5
    return found
