"""The Learning-rate page: train at every learning rate at once, and see why some work."""

import streamlit as st

from twolayer.dashboard.common import address, controls, frame, jobs, server
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

frame.links(config)
st.markdown(
    _(
        "**Which learning rate works?** Sweep them: 100 learning rates × 3 seeds, each trained to the end, "
        "take a second or two thanks to the dual form. See which rates converge, which diverge, and how "
        "the curvature (sharpness) of the loss explains it."
    )
)
address.show_errors()
jobs.show_refusal("scan")

interval = max(1.5 * server.redraw_seconds(), plot.slowest_redraw())
live = {part: jobs.is_live(part) for part in ("scan", "focus", "grid")}
intervals = {part: interval if is_live else None for part, is_live in live.items()}


def keep_watching() -> None:
    """When something has ended, or when a click has begun something, the whole page once more: the timers
    are declared there."""
    if any(jobs.is_live(part) != is_live for part, is_live in live.items()):
        st.rerun()


with st.container(horizontal=True, vertical_alignment="bottom"):
    controls.number("rates", _("Learning rates"), width=110)
    controls.number("seeds", _("Seeds"), width=110)
    for name, label in (("rate_from", _("From")), ("rate_to", _("To"))):
        controls.number(name, label, step=RATE.default, format="%e", placeholder=_("auto"), width=150)
    st.button(
        _("Sweep"),
        key="scan",
        type="primary",
        icon=":material/play_arrow:",
        on_click=job.start_sweep,
        disabled=config is None,
    )
    st.button(
        _("Stop"),
        key="stop_scan",
        icon=":material/stop:",
        on_click=jobs.stop,
        args=("scan",),
        disabled=not live["scan"],
    )


@st.fragment(run_every=intervals["scan"])
def watch_sweep() -> None:
    """The sweep as it is now."""
    if config is not None:
        view.sweep(config)
    keep_watching()


watch_sweep()
st.header(_("Why: the curvature along one run"), anchor=False, divider="gray")
explanations.draw()


@st.fragment(run_every=intervals["focus"])
def watch_focus() -> None:
    """The training that is looked at, as it is now."""
    if config is not None:
        view.focus(config)
    keep_watching()


watch_focus()
st.header(_("How the safe range shifts with network size"), anchor=False, divider="gray")
with st.container(horizontal=True, vertical_alignment="bottom"):
    controls.choice("grid_x", _("Columns (x axis)"), width=110)
    controls.choice("grid_y", _("Rows (y axis)"), width=110)
    st.button(
        _("Run grid sweep"),
        key="start_grid",
        icon=":material/grid_on:",
        on_click=job.start_grid,
        disabled=config is None,
    )
    st.button(
        _("Stop"),
        key="stop_grid",
        icon=":material/stop:",
        on_click=jobs.stop,
        args=("grid",),
        disabled=not live["grid"],
    )
st.text_input(
    _("Custom grid (one to three fields)"),
    st.session_state["grid"] or "",
    key="grid",
    placeholder="learning_rate=1e-8:1e-5:50; H=50,100,200; seed=0,1,2",
    max_chars=LONGEST_GRID,
    help=_(
        "Write field=values and separate fields with semicolons, e.g. H=50,100; "
        "learning_rate=1e-8:1e-5:50. start:stop:count gives log-spaced values. Leave empty to use the two "
        "sizes chosen above, each from ¼ to 4 times its current value, with 24 learning rates."
    ),
)
jobs.show_refusal("grid")


@st.fragment(run_every=intervals["grid"])
def watch_grid() -> None:
    """The grid as it is now."""
    grid_view.grid()
    keep_watching()


watch_grid()
