"""The Train page: choose, press Train, watch the loss and the time of each step arrive. And the server."""

import streamlit as st

from twolayer.dashboard.common import (
    address,
    clicks,
    controls,
    frame,
    headers,
    jobs,
    server,
    uploads,
    visitors,
)
from twolayer.dashboard.plot import plot
from twolayer.dashboard.train import buttons, code, diagnosis, live, runs_table, welcome

TABLE_SECONDS = 2.0


def page() -> None:
    """Draw the page, for one visitor."""
    frame.begin("train")
    if address.take_start_at_once():
        buttons.train()

    with st.sidebar:
        config = controls.draw()

    run = buttons.current()
    if run is not None:
        server.wait_a_moment(run)
    is_live = run is not None and run.live
    buttons.draw(config)  # before the links: the main action is the first stop of the Tab key
    frame.links(config)
    address.show_errors()
    jobs.show_refusal("run")

    is_moving = is_live or diagnosis.is_pending(run)
    interval = max(server.redraw_seconds(), plot.slowest_redraw()) if is_moving else None

    @st.fragment(run_every=interval)
    def watch() -> None:
        """Show the run as it is now. Rerun the whole page, which declares the timers, when the run has ended
        or paused, or when so many others have come that the redraws must be fewer."""
        current = buttons.current()
        at_rest = current is None or not (current.live or diagnosis.is_pending(current))
        if interval is not None and (at_rest or server.redraw_seconds() > 2 * interval):
            st.rerun()  # before anything is drawn: what a rerun interrupts never reaches the browser
        live.show(current, visitors.history().shown)
        diagnosis.show(current)

    watch()
    entries = visitors.history().entries
    with st.container(horizontal=True, vertical_alignment="center"):
        live.options(run)
        if len(entries) < runs_table.FEWEST:
            runs_table.take_away(entries[0] if entries else None)
    if config is not None:
        buttons.look(config)
    if len(entries) >= runs_table.FEWEST:
        every = max(TABLE_SECONDS, 4 * (interval or 0.0)) if is_live else None
        st.fragment(run_every=every)(runs_table.show)(buttons.current)
    code.show(runs_table.chosen(run), config)
    welcome.show(config)


if __name__ == "__main__":
    page()
else:
    # The server imports this module once, before anybody comes; then it is a script, run for each visitor.
    middleware = (*headers.MIDDLEWARE, *uploads.MIDDLEWARE, *clicks.MIDDLEWARE)
    app = st.App(__file__, lifespan=server.lifespan, middleware=middleware)
