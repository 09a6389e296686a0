"""The Gradients page: check the backward pass in two ways, with bugs to plant and to find."""

import streamlit as st

from twolayer.backprop import check, snapshot
from twolayer.dashboard.common import address, controls, frame, iteration, jobs, parameters
from twolayer.dashboard.gradients import guessing, view
from twolayer.dashboard.i18n import _, say

frame.begin("gradients")
with st.sidebar:
    config = controls.draw(leave_out=controls.COMPUTE)
frame.links(config)
st.markdown(
    _(
        "Is the hand-written backward pass **correct**? This page checks its gradients against PyTorch's "
        "autograd and against finite differences of the loss. Plant a bug and see which check catches it."
    )
)
address.show_errors()
if config is None:
    st.stop()

with st.container(border=True):
    left, right = st.columns([3, 2], gap="large")
    with left:
        guess = guessing.switch()
        planted = None
        if guess:
            guessing.answers(config, guess)
        else:
            planted = iteration.bug_switches(config)
    with right:
        at = iteration.at_slider(config)
        st.select_slider(
            _("Difference step size"),
            [parameters.shown_step(step) for step in check.STEPS],
            parameters.now("difference_step"),
            key="difference_step",
        )
        controls.segments("check_dtype", _("Check precision"), ["float64", "float32"])

settings = check.Settings(float(st.session_state["difference_step"]), st.session_state["check_dtype"])
arguments = (config, at, planted, guess or None, settings)
question = jobs.ask("gradients", check.check, arguments, snapshot.memory_bytes(config))


@st.fragment(run_every=jobs.REDRAW_SECONDS if question.live else None)
def result(was_live: bool) -> None:
    """Draw the result so far; rerun the whole page once the answer has arrived."""
    if was_live and not question.live:
        st.rerun()
    with st.container(key="state"):
        summary = controls.summary(config)
        st.caption(_("Checking…") if question.live else _("Checked: {summary}").format(summary=summary))
    if question.failure is not None:
        st.error(say(question.failure))
    elif question.answer is not None:
        if guess:
            guessing.response(question.answer, guess)
        view.show(question.answer, hidden=guessing.hides(question.answer, guess))


result(question.live)
