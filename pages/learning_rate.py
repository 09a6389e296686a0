"""The Learning-rate page: train at every learning rate at once, and see why some work."""

import streamlit as st

from twolayer.dashboard.common import controls, frame, server
from twolayer.dashboard.common.parameters import RATE_LIMITS, SIZES
from twolayer.dashboard.i18n import _
from twolayer.dashboard.learning_rate import job, view
from twolayer.dashboard.plot import plot
from twolayer.rates.grid import MOST_SEEDS, MOST_VALUES
from twolayer.training.config import DEFAULTS

frame.begin("learning_rate")
if st.session_state.pop("start_at_once", False):
    job.start_sweep()

with st.sidebar:
    config = controls.draw(leave_out=("backend", "device", "method", "threads"))

frame.links(config)
st.markdown(
    _(
        "**Which learning rate?** Try them all: a whole training at each of a hundred rates, with three "
        "seeds, takes a second or two in the dual form. See which rates work, which do not, and what the "
        "curvature of the loss has to do with it."
    )
)
frame.address_errors()
view.refusal("scan")

interval = max(1.5 * server.redraw_seconds(), plot.slowest_redraw())
live = {part: job.is_live(part) for part in ("scan", "focus", "grid")}
intervals = {part: interval if is_live else None for part, is_live in live.items()}


def keep_watching() -> None:
    """When something has ended, or when a click has begun something, the whole page once more: the timers
    are declared there."""
    if any(job.is_live(part) != is_live for part, is_live in live.items()):
        frame.again()


with st.container(horizontal=True, vertical_alignment="bottom"):
    st.number_input(_("Rates"), 2, MOST_VALUES, step=1, key="rates", width=110)
    st.number_input(_("Seeds"), 1, MOST_SEEDS, step=1, key="seeds", width=110)
    for key, label in (("rate_from", _("From")), ("rate_to", _("To"))):
        st.number_input(
            label,
            *RATE_LIMITS,
            value=None,
            step=DEFAULTS["learning_rate"],
            format="%e",
            key=key,
            placeholder=_("auto"),
            width=150,
        )
    st.button(
        _("Scan"),
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
        on_click=job.stop,
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
st.header(_("Why: one training and its curvature"), anchor=False, divider="gray")


@st.fragment(run_every=intervals["focus"])
def watch_focus() -> None:
    """The training that is looked at, as it is now."""
    if config is not None:
        view.focus(config)
    keep_watching()


watch_focus()
st.header(_("How the band moves: any grid"), anchor=False, divider="gray")
with st.container(horizontal=True, vertical_alignment="bottom"):
    st.selectbox(_("Across"), SIZES, key="grid_x", width=110)
    st.selectbox(_("Down"), SIZES, key="grid_y", width=110)
    st.button(
        _("Train the grid"),
        key="start_grid",
        icon=":material/grid_on:",
        on_click=job.start_grid,
        disabled=config is None,
    )
    st.button(
        _("Stop"),
        key="stop_grid",
        icon=":material/stop:",
        on_click=job.stop,
        args=("grid",),
        disabled=not live["grid"],
    )
st.text_input(
    _("Or any one to three fields"),
    key="grid",
    placeholder="learning_rate=1e-8:1e-5:50; H=50,100,200; seed=0,1,2",
    max_chars=2000,
    help=_(
        "A field, =, and its values; fields with semicolons between them. A range with its count is "
        "geometric: 1e-8:1e-5:50. Empty: the two sizes on the left, from a quarter to four times what "
        "they are, with two dozen learning rates each."
    ),
)
view.refusal("grid")


@st.fragment(run_every=intervals["grid"])
def watch_grid() -> None:
    """The grid as it is now."""
    view.grid()
    keep_watching()


watch_grid()
