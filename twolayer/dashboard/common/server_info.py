"""What this server has and allows, on every page behind one button."""

import streamlit as st

from twolayer.dashboard.common import server
from twolayer.dashboard.i18n import _, plain, say
from twolayer.engine import info


def draw() -> None:
    """The button, and behind it the same table as `python -m twolayer info` prints."""
    engine = server.engine()
    with st.popover(
        _("About"), icon=":material/info:", type="tertiary", key="about", on_change="rerun"
    ) as opened:
        if not opened.open:
            return
        if engine.trouble is not None:
            st.warning(say(engine.trouble))
        elif engine.capabilities is None:
            st.caption(_("Worker processes are starting."))
        rows = info.limits(engine.settings)
        if engine.capabilities is not None:
            rows = [*info.machine(engine.capabilities), *rows]
        first, *others = [
            f"| {say(name)} | {plain(value) if isinstance(value, str) else say(value)} |"
            for name, value in rows
        ]
        st.markdown("\n".join([first, "|---|---|", *others]))  # Markdown has no table without a head
