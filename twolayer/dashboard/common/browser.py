"""What a page asks of the browser itself: the token that its tab remembers, and the clipboard."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import streamlit as st

from twolayer.dashboard.i18n import _

TOKEN = re.compile(r"[0-9a-f]{64}")
KEY = "copy_link"

FOLDER = Path(__file__).parent

# The token is kept for this tab alone: another window is another visitor. One from before a reload is kept
# until the server has said that it is this visitor's again, or that it is unknown: a connection that broke
# may look alive for a while.
_component = st.components.v2.component(
    "twolayer_frame",
    html='<button type="button" class="twolayer-menu" aria-expanded="false"></button>'
    '<button type="button" class="twolayer-copy"></button>'
    '<label class="twolayer-choice" hidden><input type="checkbox"> <span></span></label>',
    js=(FOLDER / "frame.js").read_text("utf-8"),
    isolate_styles=False,  # those of the page are for it too
)


def draw(
    token: str, on_return: Callable[[str], bool], scripts: Sequence[str], *, language: str, may_start: bool
) -> None:
    """Draw the button that copies the page's address, which is the run, and have the tab fetch `scripts`
    and remember the visitor's token.

    If the tab remembers another token, from before a reload, `on_return` is called with that, before the
    page is drawn again; it says whether to ask again later. Whoever copies is asked whether the link starts
    by itself where it `may_start`.
    """

    def returned() -> None:
        before = st.session_state[KEY].get("returned")
        if isinstance(before, str) and TOKEN.fullmatch(before) and not on_return(before):
            st.session_state["unknown_token"] = before

    words = {
        "menu": _("Pages"),
        "copy": _("Copy link"),
        "copied": _("Copied"),
        "starts": _("starts by itself"),
        "settings": _("Settings"),
        "upload": _("Choose a file"),
    }
    visitor = {"token": token, "unknown": st.session_state.get("unknown_token")}
    address = {"language": language, "may_start": may_start}
    data = {"scripts": tuple(scripts), **visitor, **address, **words}
    _component(key=KEY, data=data, on_returned_change=returned, width="content")
