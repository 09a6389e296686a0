"""The Race page: who computes the same training fastest on this machine, and is it right."""

import streamlit as st

from twolayer.dashboard.common import address, controls, frame, jobs, server
from twolayer.dashboard.i18n import _
from twolayer.dashboard.race import files, job, options, view

REDRAW_SECONDS = 1.0
"""Rarely: what draws the charts takes part in the race for the processor."""

frame.begin("race")
with st.sidebar:
    config = controls.draw(leave_out=("backend", "device", "method"))
action = st.container(horizontal=True, vertical_alignment="center")
frame.links(config)
address.show_errors()
if config is None:
    st.stop()
here = options.here(config)
plan = options.plan(config, here)
if address.take_start_at_once() and plan is not None:
    job.start(plan)
heat: job.Heat | None = jobs.current("race")
is_live = jobs.is_live("race")
with action:
    options.draw(plan, here, is_live=is_live)
jobs.show_refusal("race")


@st.fragment(run_every=max(REDRAW_SECONDS, server.redraw_seconds()) if is_live else None)
def watch(was_live: bool) -> None:
    """Show the race as it is now; once it is over, the whole page, which shows all that was found."""
    if was_live and not jobs.is_live("race"):
        st.rerun()
    view.live(jobs.current("race"), plan)


watch(is_live)
view.folded(heat)
with st.expander(_("Your GPU: compare with another machine"), key="race_files", on_change="rerun") as other:
    if other.open:
        files.other_machine(config, heat.races if heat is not None and not is_live else [])
