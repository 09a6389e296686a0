"""The Train page: choose, press Train, watch the loss and the time of each step arrive."""

import streamlit as st

from twolayer.dashboard import controls, frame, live, server
from twolayer.dashboard.translations import say
from twolayer.messages import MessageError
from twolayer.run import Run


def press_train() -> None:
    """Train was pressed: what the address said is of the past."""
    st.session_state["address_errors"] = []
    train()


def train() -> None:
    """Start the run of the controls, in place of the one before."""
    stop()
    st.session_state["refusal"] = None
    try:
        st.session_state["run"] = server.engine().submit(frame.current_config(), server.viewer())
    except MessageError as error:
        st.session_state["refusal"] = error.message


def stop() -> None:
    """Stop the run of this page, if it is live."""
    current: Run | None = st.session_state.get("run")
    if current is not None:
        server.engine().stop(current)


_ = frame.begin("train")
if st.session_state.pop("start_at_once", False):
    train()

with st.sidebar:
    config = controls.draw(_)

frame.links(_, config)
st.markdown(
    _(
        "A two-layer ReLU network trained with a forward and a backward pass **written by hand**, as in "
        "the PyTorch tutorial “Learning PyTorch with Examples”. Choose sizes, backend and learning rate in "
        "the sidebar, press Train, and watch the loss and the time of each step."
    )
)
frame.address_errors(_)
run: Run | None = st.session_state.get("run")
if run is not None:
    server.wait_a_moment(run)
is_live = run is not None and not run.over
with st.container(horizontal=True):
    st.button(
        _("Train"),
        key="train",
        type="primary",
        icon=":material/play_arrow:",
        on_click=press_train,
        disabled=config is None,
    )
    st.button(_("Stop"), key="stop", icon=":material/stop:", on_click=stop, disabled=not is_live)
refusal = st.session_state.get("refusal")
if refusal is not None:
    st.error(say(_, refusal))


interval = server.redraw_seconds() if is_live else None


@st.fragment(run_every=interval)
def watch() -> None:
    """The run as it is now. When it has ended, or when so many others have come that the redraws must
    be fewer, the whole page once more: the timer is declared there."""
    current: Run | None = st.session_state.get("run")
    over = current is None or current.over
    live.show(_, current)
    if interval is not None and (over or server.redraw_seconds() > 2 * interval):
        st.rerun()


watch()
