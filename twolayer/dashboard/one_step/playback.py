"""Go through the steps of an iteration by buttons, by keys, or automatically."""

from time import monotonic

import streamlit as st

from twolayer.dashboard.i18n import _
from twolayer.training.program import INPUTS, STEPS

SECONDS = 2.0
"""How long automatic playback shows each step."""


def buttons() -> None:
    """Draw the buttons Previous, Play or Pause, and Next. The arrow keys press Previous and Next."""
    show = st.session_state["show"]
    plays = _plays()
    with st.container(horizontal=True, key="playing"):
        st.button(
            _("Previous"),
            key="previous",
            icon=":material/arrow_back:",
            shortcut="Left",
            on_click=_press,
            args=(-1,),
            disabled=show == STEPS[0],
        )
        st.button(
            _("Pause") if plays else _("Play"),
            key="play",
            icon=":material/pause:" if plays else ":material/play_arrow:",
            on_click=_toggle,
        )
        st.button(
            _("Next"),
            key="next",
            icon=":material/arrow_forward:",
            shortcut="Right",
            on_click=_press,
            args=(1,),
            disabled=show == STEPS[-1],
        )


def steps() -> None:
    """Draw a button for each step. A group of options would capture the arrow keys."""
    with st.container(horizontal=True, gap="xsmall", key="step_list"):
        for name in STEPS:
            st.button(
                label(name),
                key=f"step_{name}",
                type="primary" if name == st.session_state["show"] else "secondary",
                on_click=_go_to,
                args=(name,),
            )


def label(name: str) -> str:
    """Return a step's label: the last two are the new weights."""
    return f"{name} ← {name} − η·grad_{name}" if name in INPUTS else name


def go_on() -> None:
    """Go to the next step when this one's time is up."""

    @st.fragment(run_every=SECONDS / 8 if _plays() else None)
    def tick() -> None:
        since = st.session_state.get("shown_since")
        if since is not None and monotonic() - since >= SECONDS:
            _move(1)
            st.session_state["shown_since"] = monotonic() if st.session_state["show"] != STEPS[-1] else None
            st.rerun()

    tick()


def _plays() -> bool:
    return st.session_state.get("shown_since") is not None


def _move(by: int) -> None:
    place = STEPS.index(st.session_state["show"]) + by
    st.session_state["show"] = STEPS[min(max(place, 0), len(STEPS) - 1)]


def _press(by: int) -> None:
    st.session_state["shown_since"] = None
    _move(by)


def _go_to(name: str) -> None:
    st.session_state["shown_since"] = None
    st.session_state["show"] = name


def _toggle() -> None:
    if _plays():
        st.session_state["shown_since"] = None
        return
    if st.session_state["show"] == STEPS[-1]:
        st.session_state["show"] = STEPS[0]
    st.session_state["shown_since"] = monotonic()
