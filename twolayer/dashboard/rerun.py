"""Reruns of the whole page, asked for by fragments and their callbacks."""

from time import monotonic
from typing import NoReturn

import streamlit as st

SLOW_NETWORK_SECONDS = 15


def ask_for_whole_page() -> None:
    """Have the whole page drawn again instead of the fragment alone. For callbacks within a fragment."""
    st.session_state["whole_page"] = True


def whole_page_if_asked() -> None:
    """Rerun the whole page if a callback asked for that. For the beginning of a fragment."""
    if st.session_state.pop("whole_page", False):
        whole_page()


def whole_page() -> NoReturn:
    """Rerun the whole page now.

    Streamlit sends a widget the value from the address in the first run only. Where the code of the widgets
    arrives later than that, they would show their defaults. So in the first seconds of a page the values are
    sent again.
    """
    if monotonic() - st.session_state["entered"] < SLOW_NETWORK_SECONDS:
        st.session_state["send_again"] = True
    st.rerun()


def page_begins(*, entered: bool) -> None:
    """Forget what was asked for: the whole page is being drawn. The first seconds of a page that is
    `entered` start now."""
    st.session_state.pop("whole_page", None)
    if entered:
        st.session_state["entered"] = monotonic()


def take_send_again() -> bool:
    """Return whether the widgets' values are to be sent again, once."""
    return bool(st.session_state.pop("send_again", False))
