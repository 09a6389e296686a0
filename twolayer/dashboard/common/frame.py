"""The frame that every page begins with: title, language, links."""

import streamlit as st

from twolayer.dashboard import rerun
from twolayer.dashboard.common import (
    address,
    browser,
    pages,
    parameters,
    server,
    server_info,
    visitors,
)
from twolayer.dashboard.i18n import LANGUAGES, _, preferred, say
from twolayer.dashboard.plot import plot
from twolayer.engine.settings import SettingError
from twolayer.training.config import Config


@server.in_turn
def begin(name: str) -> None:
    """Read the address of the page `name`. Every page calls this first, and `links` after its controls.

    End the page with a message if the server's settings are wrong.
    """
    page = pages.PAGES[name]
    entered = st.session_state.get("page") != name or address.went_back() or "preset" in st.query_params
    if entered:
        address.read(page)
        st.session_state["page"] = name
    rerun.page_begins(entered=entered)
    parameters.mend(page.parameters)
    if st.session_state.get("lang") not in LANGUAGES:
        st.session_state["lang"] = preferred(st.context.locale)
    st.set_page_config(page_title=_("Two layers by hand"), page_icon="📉", layout="wide")
    _send_choices_again()
    try:
        server.engine()
    except SettingError as error:
        st.error(say(error.message))
        st.stop()
    browser.remember(visitors.token(), visitors.returned, plot.scripts())


def _send_choices_again() -> None:
    """Send the widgets' values to the browser once more where they may have been lost: after a rerun on a
    slow network, and on a change of the language, since Streamlit knows a choice by its label."""
    changed = st.session_state.get("spoken") not in (None, st.session_state["lang"])
    if rerun.take_send_again() or changed:
        for key, value in st.session_state.items():
            if key != "lang" and isinstance(value, int | float | str) and not isinstance(value, bool):
                st.session_state[key] = value
    st.session_state["spoken"] = st.session_state["lang"]


def links(config: Config | None) -> None:
    """Draw the one bar of every page: title, links, language, server. Write `config` to the address, which
    the links take along."""
    queries = address.write(config) if config is not None else {}
    there = pages.existing()
    with st.container(horizontal=True, vertical_alignment="center", key="frame"):
        st.title(_("Two layers by hand"), anchor=False, width="content")
        if len(there) > 1 and queries:
            with st.container(horizontal=True, gap="small", key="links", width="content"):
                for page in there:
                    query = queries[page.script]
                    st.page_link(page.script, label=_(page.label), icon=page.icon, query_params=query)
        st.segmented_control(
            _("Language"),
            list(LANGUAGES),
            format_func=LANGUAGES.__getitem__,
            default=preferred(st.context.locale),
            required=True,
            key="lang",
            label_visibility="collapsed",
            width="content",
        )
        server_info.draw()
        browser.copy_link_button()
