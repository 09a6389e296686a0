"""Go through the steps of an iteration by buttons, by keys, or automatically."""

from time import monotonic

import streamlit as st

from twolayer.dashboard.i18n import _
from twolayer.training.program import INPUTS, STEPS

SECONDS = 2.0
"""How long automatic playback shows each step."""


def bar() -> None:
    """Draw the bar that stays in view: back, forward, play, and where we are. The arrow keys press the first
    two."""
    show, plays = st.session_state["show"], _plays()
    moves = (
        ("previous", _("Previous"), ":material/arrow_back:", "Left", -1),
        ("next", _("Next"), ":material/arrow_forward:", "Right", 1),
    )
    with st.bottom, st.container(horizontal=True, vertical_alignment="center", key="playing"):
        for key, label, icon, shortcut, by in moves:
            end = show == STEPS[min(0, -by)]
            st.button(label, key, None, _press, (by,), icon=icon, shortcut=shortcut, disabled=end)
        icon = ":material/pause:" if plays else ":material/play_arrow:"
        st.button(_("Pause") if plays else _("Play"), "play", icon=icon, on_click=_toggle)
        where = _("{number} of {count}: **{step}**")
        step = f"{show}′" if show in INPUTS else show
        st.markdown(where.format(number=STEPS.index(show) + 1, count=len(STEPS), step=step))


def go_on() -> None:
    """Go to the next step when this one's time is up."""

    @st.fragment(run_every=SECONDS / 8 if _plays() else None)
    def tick() -> None:
        since = st.session_state.get("shown_since")
        if since is not None and monotonic() - since >= SECONDS:
            _press(1)
            st.session_state["shown_since"] = monotonic() if st.session_state["show"] != STEPS[-1] else None
            st.rerun()

    tick()


def _plays() -> bool:
    return st.session_state.get("shown_since") is not None


def _press(by: int) -> None:
    place = STEPS.index(st.session_state["show"]) + by
    st.session_state["show"] = STEPS[min(max(place, 0), len(STEPS) - 1)]
    st.session_state["shown_since"] = None


def _toggle() -> None:
    if _plays():
        st.session_state["shown_since"] = None
        return
    if st.session_state["show"] == STEPS[-1]:
        st.session_state["show"] = STEPS[0]
    st.session_state["shown_since"] = monotonic()
