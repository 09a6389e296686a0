"""The Train page: choose, press Train, watch the loss and the time of each step arrive."""

import streamlit as st

from twolayer.dashboard.common import address, controls, frame, jobs, server, visitors
from twolayer.dashboard.plot import plot
from twolayer.dashboard.train import buttons, code, diagnosis, live, runs_table, welcome

TABLE_SECONDS = 2.0

frame.begin("train")
if address.take_start_at_once():
    buttons.train()
    st.query_params.pop("run", None)  # a reload is to show this run, not to start another

with st.sidebar:
    config = controls.draw()

frame.links(config)
address.show_errors()
run = buttons.current()
if run is not None:
    server.wait_a_moment(run)
is_live = run is not None and run.live
buttons.draw(config)
jobs.show_refusal("run")

is_moving = is_live or diagnosis.is_pending(run)
interval = max(server.redraw_seconds(), plot.slowest_redraw()) if is_moving else None


@st.fragment(run_every=interval)
def watch() -> None:
    """Show the run as it is now. Rerun the whole page, which declares the timers, when the run has ended or
    paused, or when so many others have come that the redraws must be fewer."""
    current = buttons.current()
    at_rest = current is None or not (current.live or diagnosis.is_pending(current))
    if interval is not None and (at_rest or server.redraw_seconds() > 2 * interval):
        st.rerun()  # before anything is drawn: what a rerun interrupts never reaches the browser
    live.show(current, visitors.history().shown)
    diagnosis.show(current)


@st.fragment(run_every=max(TABLE_SECONDS, 4 * (interval or 0.0)) if is_live else None)
def table() -> None:
    """Show the table of the runs, which follows a live one at its own pace, and the chosen one as code."""
    runs_table.show(buttons.current())
    code.show(runs_table.chosen(buttons.current()), config)


watch()
if config is not None:
    buttons.look(config)
table()
welcome.show(config)
