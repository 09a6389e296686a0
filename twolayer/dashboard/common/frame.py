"""The frame that every page begins with: title, language, links."""

from pathlib import Path

import streamlit as st

from twolayer.dashboard.common import (
    address,
    browser,
    own_file,
    pages,
    parameters,
    server,
    server_info,
    visitors,
)
from twolayer.dashboard.i18n import LANGUAGES, _, say
from twolayer.dashboard.plot import plot
from twolayer.engine.settings import SettingError
from twolayer.training.config import Config

STYLES = Path(__file__).with_name("frame.css")


@server.in_turn
def begin(name: str) -> None:
    """Read the address of the page `name`. Every page calls this first, and `links` after its controls.

    End the page with a message if the server's settings are wrong.
    """
    page = pages.PAGES[name]
    if st.session_state.get("page") != name or address.is_new():
        address.read(page)
        st.session_state["page"] = name
    parameters.mend(page.parameters)
    title = f"{_(page.label)} · {_('Two layers by hand')}"
    st.set_page_config(page_title=title, page_icon="📉", layout="wide")
    st.html(STYLES)  # before all that it is about, which would jump when it comes
    try:
        server.engine()
    except SettingError as error:
        st.error(say(error.message))
        st.stop()


def links(config: Config | None) -> None:
    """Draw the one bar of every page: title, links, language, server. Write `config` to the address, which
    the links take along.

    A page draws its main action before: the bar stands above it by the style sheet, and the Tab key comes to
    the action first.
    """
    page, language = pages.PAGES[st.session_state["page"]], st.session_state["lang"]
    if config is None and own_file.is_wanted():
        config = address.current_config_or_none()
    queries = address.write(config) if config is not None else {}
    there = pages.existing()
    with st.container(horizontal=True, gap="xsmall", vertical_alignment="center", key="frame"):
        st.title(_("Two layers by hand"), anchor=False, width="content")
        if len(there) > 1 and queries:
            with st.container(horizontal=True, gap="xsmall", key="links", width="content"):
                for other in there:
                    query = queries[other.script]
                    st.page_link(other.script, label=_(other.label), icon=other.icon, query_params=query)
        _languages()
        server_info.draw()
        may_start = {"language": language, "may_start": page.starts}
        browser.draw(visitors.token(), visitors.returned, plot.scripts(), **may_start)


def _languages() -> None:
    """Draw a button for each other language. A button has no value that a slow browser could send back."""
    for language, name in LANGUAGES.items():
        if language != st.session_state["lang"]:
            key = f"lang_{language}"
            st.button(name, key=key, type="tertiary", on_click=address.speak, args=(language,))
