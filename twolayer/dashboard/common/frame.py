"""The frame that every page begins with: title, language, links."""

import streamlit as st

from twolayer.dashboard.common import address, browser, pages, parameters, server, server_info, visitors
from twolayer.dashboard.i18n import LANGUAGES, _, say
from twolayer.dashboard.plot import plot
from twolayer.engine.settings import SettingError
from twolayer.training.config import Config


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
    try:
        server.engine()
    except SettingError as error:
        st.error(say(error.message))
        st.stop()
    browser.remember(visitors.token(), visitors.returned, plot.scripts())


def links(config: Config | None) -> None:
    """Draw the one bar of every page: title, links, language, server. Write `config` to the address, which
    the links take along."""
    queries = address.write(config) if config is not None else {}
    there = pages.existing()
    with st.container(horizontal=True, gap="xsmall", vertical_alignment="center", key="frame"):
        st.title(_("Two layers by hand"), anchor=False, width="content")
        if len(there) > 1 and queries:
            with st.container(horizontal=True, gap="xsmall", key="links", width="content"):
                for page in there:
                    query = queries[page.script]
                    st.page_link(page.script, label=_(page.label), icon=page.icon, query_params=query)
        _languages()
        server_info.draw()
        browser.copy_link_button()


def _languages() -> None:
    """Draw a button for each other language. A button has no value that a slow browser could send back."""
    with st.container(key="lang", width="content"):
        for language, name in LANGUAGES.items():
            if language != st.session_state["lang"]:
                st.button(
                    name, key=f"lang_{language}", type="tertiary", on_click=address.speak, args=(language,)
                )
