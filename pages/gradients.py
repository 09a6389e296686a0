"""The Gradients page: check the backward pass in two ways, with bugs to plant and to find."""

import streamlit as st

from twolayer.backprop import check, snapshot
from twolayer.dashboard.common import address, controls, frame, iteration, jobs
from twolayer.dashboard.gradients import guessing, reading, view
from twolayer.dashboard.i18n import _, say

frame.begin("gradients")
with st.sidebar:
    config = controls.draw(leave_out=controls.COMPUTE)
left, middle, right = st.columns(3, vertical_alignment="bottom", gap="small")
frame.links(config)
address.show_errors()
if config is None:
    st.stop()

guess, planted = st.session_state["guess"], None
with left:
    if guess:
        guessing.draw(config)
    else:
        planted = iteration.bug(config)
with middle:
    guessing.buttons()
with right:
    at = iteration.at_slider(config)

step, dtype = st.session_state["difference_step"], st.session_state["check_dtype"]
arguments = (config, at, planted, guess or None, check.Settings(float(step), dtype))
question = jobs.ask("gradients", check.check, arguments, snapshot.memory_bytes(config))
is_live = question.live


@st.fragment(run_every=jobs.REDRAW_SECONDS if is_live else None)
def result(was_live: bool) -> None:
    """Draw the result so far; rerun the whole page once the answer has arrived or a setting has changed."""
    settings = (st.session_state["difference_step"], st.session_state["check_dtype"])
    if settings != (step, dtype) or (was_live and not question.live):
        st.rerun()
    if question.failure is not None:
        st.error(say(question.failure))
    elif question.answer is not None:
        view.show(question.answer, hidden=guessing.hides(), live=question.live)
    else:
        st.caption(_("Checking…"))
        return
    reading.show()


if not guess:
    iteration.say_if_impossible(config)
result(is_live)
