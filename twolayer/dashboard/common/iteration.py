"""The controls that Gradients and One step share: the iteration to look at, and the bug planted in it."""

import streamlit as st

from twolayer.backprop import bugs, snapshot
from twolayer.dashboard.common import parameters
from twolayer.dashboard.common.parameters import NO_BUG
from twolayer.dashboard.i18n import _, say
from twolayer.training.config import Config


def at_slider(config: Config) -> int:
    """Draw the slider for the iteration and return the number of steps taken before it."""
    last = snapshot.last_step(config)
    if st.session_state["at"] > last:
        st.session_state["at"] = last
    about = _("Number of training steps before this iteration. 0 = initial weights.")
    if last < config.steps:
        about += " " + _(
            "Only iterations 0 to {last} of {steps} are available; later ones would take too long to compute."
        ).format(last=f"{last:,}", steps=f"{config.steps:,}")
    at: int = st.slider(_("Iteration"), 0, last, st.session_state["at"], key="at", help=about)
    return at


def say_if_diverged(at: int, diverged_at: int | None) -> None:
    """Warn that an earlier iteration than requested is shown, if the run diverges before that."""
    if diverged_at is not None:
        st.warning(
            _("This run diverges. Showing iteration {at}, the last one with a finite loss.").format(
                at=f"{at:,}"
            )
        )


def bug(config: Config) -> str | None:
    """Draw the list of bugs and return the chosen one, or None if there is none or it cannot show."""
    labels = {NO_BUG: _("None")} | {name: _(bug.label) for name, bug in bugs.BUGS.items()}
    words = parameters.words("fault", labels)
    chosen: str = st.session_state["fault"]
    st.selectbox(_("Bug"), list(labels), list(labels).index(chosen), words, key="fault")
    return chosen if chosen != NO_BUG and bugs.BUGS[chosen].impossible(config) is None else None


def say_if_impossible(config: Config) -> None:
    """Say why the chosen bug cannot show at these shapes, if it cannot."""
    name: str = st.session_state["fault"]
    reason = bugs.BUGS[name].impossible(config) if name != NO_BUG else None
    if reason is not None:
        st.warning(say(reason), icon=":material/bug_report:")
