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
st.markdown(
    _(
        "One training iteration, **line by line**: the formula, the code, the actual values in this run, "
        "and where each value comes from. Use the arrow keys to move from line to line."
    )
)
address.show_errors()
if config is None:
    st.stop()

with st.container(border=True):
    left, right = st.columns([3, 2], gap="large")
    with left:
        playback.buttons()
        playback.steps()
    with right:
        at = iteration.at_slider(config)
        with st.popover(_("Plant a bug"), icon=":material/bug_report:", width="stretch"):
            planted = iteration.bug_switches(config)
    view.indices(config)

chosen = view.chosen()
arguments = (config, at, planted, chosen)
question = jobs.ask("one_step", one_step.observe, arguments, snapshot.memory_bytes(config))


@st.fragment(run_every=jobs.REDRAW_SECONDS if question.live else None)
def result(was_live: bool) -> None:
    """Draw the result so far; rerun the whole page once the answer has arrived or a cell was clicked."""
    if view.chosen() != chosen or (was_live and not question.live):
        st.rerun()
    if question.failure is not None:
        st.error(say(question.failure))
    elif question.answer is not None:
        view.show(question.answer, st.session_state["show"])
    else:
        st.caption(_("Computing…"))


result(question.live)
playback.go_on()
