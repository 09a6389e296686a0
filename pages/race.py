"""The Race page: who computes the same training fastest on this machine, and is it right."""

from functools import partial

import streamlit as st

from twolayer.dashboard.common import address, controls, frame, jobs, server
from twolayer.dashboard.i18n import _
from twolayer.dashboard.race import files, job, options, view

REDRAW_SECONDS = 1.0
"""Rarely: what draws the charts takes part in the race for the processor."""

frame.begin("race")
with st.sidebar:
    config = controls.draw(leave_out=("backend", "device", "method"))
frame.links(config)
st.markdown(
    _(
        "How fast is each implementation **on this machine**? Every implementation of the same training "
        "step is timed on the server: the tutorial’s loops, this app's own kernels, and PyTorch autograd. "
        "All use the same data, are warmed up, run in random order, and are checked against a float64 "
        "reference."
    )
)
address.show_errors()
if config is None:
    st.stop()
with st.container(border=True):
    plan = options.draw(config)
if address.take_start_at_once() and plan is not None:
    job.start(plan)
heat: job.Heat | None = jobs.current("race")
is_live = jobs.is_live("race")
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
    stop = partial(jobs.stop, "race")
    st.button(_("Stop"), key="stop_race", icon=":material/stop:", on_click=stop, disabled=not is_live)
jobs.show_refusal("race")


@st.fragment(run_every=max(REDRAW_SECONDS, server.redraw_seconds()) if is_live else None)
def watch(was_live: bool) -> None:
    """Show the race as it is now; once it is over, the whole page, which shows all that was found."""
    if was_live and not jobs.is_live("race"):
        st.rerun()
    view.live(jobs.current("race"))


watch(is_live)
races = heat.races if heat is not None else []
if heat is not None and races and not is_live:
    view.results(heat)
    files.export(heat)
files.other_machine(config, [] if is_live else races)
