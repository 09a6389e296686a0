"""What a page asks of the browser itself: the token that its tab remembers, and the clipboard."""

import re
from collections.abc import Callable, Sequence

import streamlit as st

from twolayer.dashboard.i18n import _

TOKEN = re.compile(r"[0-9a-f]{32}")

# The token is kept for this tab alone: another window is another visitor. One from before a reload is kept
# until the server has said that it is this visitor's again, or that nobody knows it any more: a connection
# that broke may look alive for a while.
_remember = st.components.v2.component(
    "twolayer_remember",
    html="",
    js="""
    const NAME = "twolayer-visitor";
    const AGAIN_MS = 4000;
    const MOST_TRIES = 30;
    let tries = 0;
    let timer = null;
    let fetched = false;
    // What the charts will ask for, as early as may be: it is on its way while the rest of the page comes.
    function fetchSoon(addresses) {
      if (fetched) return;
      fetched = true;
      for (const address of addresses) {
        const link = document.createElement("link");
        const isModule = !address.endsWith(".min.js");
        Object.assign(link, isModule ? { rel: "modulepreload" } : { rel: "preload", as: "script" });
        link.href = new URL(address, document.baseURI).href;
        document.head.append(link);
      }
    }
    export default function ({ data, setTriggerValue }) {
      fetchSoon(data.scripts);
      const before = sessionStorage.getItem(NAME);
      clearTimeout(timer);
      if (!before || before === data.token || before === data.unknown || tries >= MOST_TRIES) {
        sessionStorage.setItem(NAME, data.token);
        return;
      }
      const ask = () => {
        tries += 1;
        setTriggerValue("returned", before);
        timer = setTimeout(ask, AGAIN_MS);
      };
      if (tries === 0) ask();
      else timer = setTimeout(ask, AGAIN_MS);
    }
    """,
)

_copy = st.components.v2.component(
    "twolayer_copy",
    html='<button type="button"></button>',
    css="""
    button {
      font: inherit; font-size: 0.9rem; color: var(--st-text-color); cursor: pointer; white-space: nowrap;
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


def remember(token: str, on_return: Callable[[str], bool], scripts: Sequence[str]) -> None:
    """Have the tab fetch `scripts`, and remember the visitor's token. If it remembers another one, from
    before a reload, `on_return` is called with that, before the page is drawn again; it says whether to ask
    again later."""

    def returned() -> None:
        before = st.session_state["remember"].get("returned")
        if isinstance(before, str) and TOKEN.fullmatch(before) and not on_return(before):
            st.session_state["unknown_token"] = before

    unknown = st.session_state.get("unknown_token")
    data = {"token": token, "unknown": unknown, "scripts": list(scripts)}
    _remember(key="remember", data=data, on_returned_change=returned, height=1)


def copy_link_button() -> None:
    """A button that copies the page's address, which is the run."""
    _copy(key="copy_link", data={"label": _("Copy link"), "done": _("Copied")}, width="content")
