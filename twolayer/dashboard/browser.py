"""What a page asks of the browser itself: the token that its tab remembers, and the clipboard."""

import re
from collections.abc import Callable

import streamlit as st

from twolayer.dashboard.translations import Translate

TOKEN = re.compile(r"[0-9a-f]{32}")

# The token is kept for this tab alone: another window is another visitor.
_remember = st.components.v2.component(
    "twolayer_remember",
    html="",
    js="""
    const NAME = "twolayer-visitor";
    let asked = false;
    export default function ({ data, setTriggerValue }) {
      const before = sessionStorage.getItem(NAME);
      if (before && before !== data.token && !asked) {
        asked = true;
        setTriggerValue("returned", before);
      } else {
        sessionStorage.setItem(NAME, data.token);
      }
    }
    """,
)

_copy = st.components.v2.component(
    "twolayer_copy",
    html='<button type="button"></button>',
    css="""
    button {
      font: inherit; color: var(--st-text-color); cursor: pointer; white-space: nowrap;
      min-height: 2.5rem; padding: 0.25rem 0.75rem;
      background: var(--st-background-color);
      border: 1px solid var(--st-border-color); border-radius: var(--st-button-radius);
    }
    button:hover, button:focus-visible {
      color: var(--st-primary-color); border-color: var(--st-primary-color); outline: none;
    }
    """,
    js="""
    async function copy(text) {
      if (navigator.clipboard) return navigator.clipboard.writeText(text);
      // Without TLS there is no clipboard: the old way.
      const area = Object.assign(document.createElement("textarea"), { value: text });
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
    export default function ({ data, parentElement }) {
      const button = parentElement.querySelector("button");
      button.textContent = data.label;
      button.onclick = async () => {
        await copy(location.href);
        button.textContent = data.done;
        setTimeout(() => { button.textContent = data.label; }, 2000);
      };
    }
    """,
)


def remember(token: str, on_return: Callable[[str], None]) -> None:
    """Have the tab remember the visitor's token. If it remembers another one, from before a reload,
    `on_return` is called with that, before the page is drawn again."""

    def returned() -> None:
        before = st.session_state["remember"].get("returned")
        if isinstance(before, str) and TOKEN.fullmatch(before):
            on_return(before)

    _remember(key="remember", data={"token": token}, on_returned_change=returned, height=1)


def copy_link_button(_: Translate) -> None:
    """A button that copies the page's address, which is the run."""
    _copy(key="copy_link", data={"label": _("Copy link"), "done": _("Copied")}, width="content")
