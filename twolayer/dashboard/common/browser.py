"""What a page asks of the browser itself: the token that its tab remembers, and the clipboard."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import streamlit as st

from twolayer.dashboard.i18n import _

TOKEN = re.compile(r"[0-9a-f]{32}")

FOLDER = Path(__file__).parent

# The token is kept for this tab alone: another window is another visitor. One from before a reload is kept
# until the server has said that it is this visitor's again, or that it is unknown: a connection that broke
# may look alive for a while.
_remember = st.components.v2.component(
    "twolayer_remember",
    html='<button type="button" class="twolayer-skip"></button>'
    '<button type="button" class="twolayer-menu" aria-expanded="false"></button>',
    css=(FOLDER / "frame.css").read_text("utf-8"),
    js=(FOLDER / "remember.js").read_text("utf-8"),
    isolate_styles=False,  # those of the frame are for the whole page
)
_copy = st.components.v2.component(
    "twolayer_copy",
    html='<button type="button"></button>',
    css=(FOLDER / "copy_link.css").read_text("utf-8"),
    js=(FOLDER / "copy_link.js").read_text("utf-8"),
)


def remember(token: str, on_return: Callable[[str], bool], scripts: Sequence[str]) -> None:
    """Have the tab fetch `scripts`, and remember the visitor's token. If it remembers another one, from
    before a reload, `on_return` is called with that, before the page is drawn again; it says whether to ask
    again later."""

    def returned() -> None:
        before = st.session_state["remember"].get("returned")
        if isinstance(before, str) and TOKEN.fullmatch(before) and not on_return(before):
            st.session_state["unknown_token"] = before

    unknown = st.session_state.get("unknown_token")
    words = {
        "skip": _("Go to the main action"),
        "menu": _("Pages"),
        "settings": _("Settings"),
        "upload": _("Choose a file"),
    }
    data = {"token": token, "unknown": unknown, "scripts": list(scripts), **words}
    _remember(key="remember", data=data, on_returned_change=returned, height=1)


def copy_link_button() -> None:
    """A button that copies the page's address, which is the run."""
    _copy(key="copy_link", data={"label": _("Copy link"), "done": _("Copied")}, width="content")
