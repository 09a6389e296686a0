"""The Race page: who computes the same training fastest on this machine, and is it right."""

import streamlit as st

from twolayer.dashboard.common import controls, frame, server
from twolayer.dashboard.i18n import _, say
from twolayer.dashboard.race import files, job, options, view

REDRAW_SECONDS = 1.0
"""Rarely: what draws the charts takes part in the race for the processor."""

frame.begin("race")
with st.sidebar:
    config = controls.draw(leave_out=("backend", "device", "method"))
frame.links(config)
st.markdown(
    _(
        "How much faster is it, **here**? Every way to compute the same training step races on the machine "
        "of this server: the tutorial’s loops, our own, and PyTorch’s autograd, with the same data, warmed "
        "up, in random order, and each compared with float64."
    )
)
frame.address_errors()
if config is None:
    st.stop()
with st.container(border=True):
    plan = options.draw(config)
if st.session_state.pop("start_at_once", False) and plan is not None:
    job.start(plan)
heat = job.current()
is_live = heat is not None and not heat.job.over
with st.container(horizontal=True):
    st.button(
        _("Race"),
        key="race",
        type="primary",
        icon=":material/speed:",
        on_click=job.start,
        args=(plan,),
        disabled=plan is None,
    )
    st.button(_("Stop"), key="stop_race", icon=":material/stop:", on_click=job.stop, disabled=not is_live)
refusal = job.refusal()
if refusal is not None:
    st.error(say(refusal))


@st.fragment(run_every=max(REDRAW_SECONDS, server.redraw_seconds()) if is_live else None)
def watch(was_live: bool) -> None:
    """The race as it is now; once it is over, the whole page, which shows all that was found."""
    now = job.current()
    if was_live and (now is None or now.job.over):
        frame.again()
    view.live(now)


watch(is_live)
races = heat.races if heat is not None else []
if heat is not None and races and not is_live:
    view.results(heat)
    files.export(heat)
files.other_machine(config, [] if is_live else races)
