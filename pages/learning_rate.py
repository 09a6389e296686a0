"""The Learning-rate page: train at every learning rate at once, and see why some work."""

from collections.abc import Callable

import streamlit as st

from twolayer.dashboard.common import address, controls, frame, jobs, parameters, server, widgets
from twolayer.dashboard.common.parameters import LONGEST_GRID
from twolayer.dashboard.i18n import _
from twolayer.dashboard.learning_rate import explanations, grid_view, job, view
from twolayer.dashboard.plot import plot
from twolayer.training.config import RATE

frame.begin("learning_rate")
if address.take_start_at_once():
    job.start_sweep()

with st.sidebar:
    config = controls.draw(leave_out=("backend", "device", "method", "threads"))

action = st.container(horizontal=True, vertical_alignment="center")
frame.links(config)
address.show_errors()
if config is None:
    st.stop()
jobs.show_refusal("scan")

interval = max(1.5 * server.redraw_seconds(), plot.slowest_redraw())
live = {part: jobs.is_live(part) for part in ("scan", "focus", "grid")}


def watch(part: str, draw: Callable[[], None]) -> None:
    """Draw a part of the page again and again while it is live. When anything has ended, or when a click has
    begun something, draw the whole page once more: the timers are declared there."""

    @st.fragment(run_every=interval if live[part] else None)
    def drawn() -> None:
        draw()
        if any(jobs.is_live(other) != was_live for other, was_live in live.items()):
            st.rerun()

    drawn()


def buttons(name: str, start: str, label: str, press: Callable[[], None], *, primary: bool = False) -> None:
    """Draw the buttons that start and stop a job."""
    kind, icon = ("primary", ":material/play_arrow:") if primary else ("secondary", ":material/grid_on:")
    st.button(label, key=start, type=kind, icon=icon, on_click=press)
    stop, icon = f"stop_{name}", ":material/stop:"
    st.button(_("Stop"), key=stop, icon=icon, on_click=jobs.stop, args=(name,), disabled=not live[name])


with action:
    buttons("scan", "scan", _("Sweep"), job.start_sweep, primary=True)
    sizes = {name: parameters.mended(name) for name in ("rates", "seeds")}
    with st.popover(_("{rates} rates × {seeds} seeds").format(**sizes), key="sweep_settings"):
        widgets.number("rates", _("Learning rates"))
        widgets.number("seeds", _("Seeds"))
        for name, label in (("rate_from", _("From")), ("rate_to", _("To"))):
            widgets.number(name, label, step=RATE.default, format="%e", placeholder=_("auto"))
watch("scan", lambda: view.sweep(config))

with st.expander(_("What is this?")):
    explanations.draw()
with st.expander(
    _("How the rate was chosen, and the rate for a mean loss"), key="reasons", on_change="rerun"
) as part:
    if part.open:
        view.reasons(jobs.current("scan"))
told = {"key": job.why(), "expanded": "why_opened" in st.session_state, "on_change": job.look}
with st.expander(_("Why: the curvature along one run"), **told) as part:
    if part.open:
        watch("focus", lambda: view.focus(config))
with st.expander(_("How the safe range shifts with network size"), key="sizes", on_change="rerun") as part:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        widgets.choice("grid_x", _("Columns (x axis)"), width=110)
        widgets.choice("grid_y", _("Rows (y axis)"), width=110)
        buttons("grid", "start_grid", _("Run grid sweep"), job.start_grid)
    st.text_input(
        _("Custom grid (one to three fields)"),
        st.session_state["grid"] or "",
        key="grid",
        placeholder="learning_rate=1e-8:1e-5:50; H=50,100,200; seed=0,1,2",
        max_chars=LONGEST_GRID,
        help=_(
            "Write field=values and separate fields with semicolons, e.g. H=50,100; "
            "learning_rate=1e-8:1e-5:50. start:stop:count gives log-spaced values. Leave empty to use the "
            "two sizes chosen above, each from ¼ to 4 times its current value, with 24 learning rates."
        ),
    )
    jobs.show_refusal("grid")
    if part.open:
        watch("grid", grid_view.grid)
