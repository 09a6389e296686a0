"""The One step page: one iteration, line by line, with its real numbers."""

import streamlit as st

from twolayer.backprop import one_step, snapshot
from twolayer.dashboard.common import address, controls, frame, iteration, jobs
from twolayer.dashboard.i18n import _, say
from twolayer.dashboard.one_step import playback, view

frame.begin("one_step")
with st.sidebar:
    config = controls.draw(leave_out=controls.COMPUTE)
frame.links(config)
address.show_errors()
if config is None:
    st.stop()

with st.sidebar:
    at, planted = iteration.at_slider(config), iteration.bug(config)
playback.bar()
place = (show := st.session_state["show"], chosen := view.chosen())
question = jobs.ask(
    "one_step", one_step.observe, (config, at, planted, chosen), snapshot.memory_bytes(config)
)
is_live = question.live


@st.fragment(run_every=jobs.REDRAW_SECONDS if is_live else None)
def result(was_live: bool) -> None:
    """Draw the result so far; rerun the whole page once the answer has arrived or after a click."""
    if place != (st.session_state["show"], view.chosen()) or (was_live and not question.live):
        st.rerun()
    if question.failure is not None:
        st.error(say(question.failure))
    elif question.answer is not None:
        view.show(question.answer, show)
    else:
        st.caption(_("Computing…"))


iteration.say_if_impossible(config)
result(is_live)
playback.go_on()
