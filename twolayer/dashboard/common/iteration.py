"""The controls that Gradients and One step share: the iteration to look at, and the bug planted in it."""

import streamlit as st

from twolayer.backprop import bugs, snapshot
from twolayer.dashboard.common.parameters import NO_BUG
from twolayer.dashboard.i18n import _, say
from twolayer.training.config import Config


def at_slider(config: Config) -> int:
    """Draw the slider for the iteration and return the number of steps taken before it."""
    last = snapshot.last_step(config)
    if st.session_state["at"] > last:
        st.session_state["at"] = last
    at: int = st.slider(
        _("Iteration"),
        0,
        last,
        st.session_state["at"],
        key="at",
        help=_("Number of training steps before this iteration. 0 = initial weights."),
    )
    if last < config.steps:
        st.caption(
            _(
                "Only iterations 0 to {last} of {steps} are available; later ones would take too long to "
                "compute."
            ).format(last=f"{last:,}", steps=f"{config.steps:,}")
        )
    return at


def say_if_diverged(at: int, diverged_at: int | None) -> None:
    """Warn that an earlier iteration than requested is shown, if the run diverges before that."""
    if diverged_at is not None:
        st.warning(
            _("This run diverges. Showing iteration {at}, the last one with a finite loss.").format(
                at=f"{at:,}"
            )
        )


def bug_switches(config: Config) -> str | None:
    """Draw a switch for each bug and return the name of the bug that is on.

    At most one is on. A bug that cannot show at these shapes is disabled, with the reason below it.
    """
    on = planted(config)
    for name, bug in bugs.BUGS.items():
        reason = bug.impossible(config)
        st.session_state[f"fault_{name}"] = name == on
        st.toggle(
            _(bug.label), key=f"fault_{name}", disabled=reason is not None, on_change=_switch, args=(name,)
        )
        if reason is not None:
            st.caption(say(reason))
    return on


def planted(config: Config) -> str | None:
    """Return the bug of the session, or None if there is none or it cannot show at these shapes."""
    name: str = st.session_state["fault"]
    return None if name == NO_BUG or bugs.BUGS[name].impossible(config) else name


def _switch(name: str) -> None:
    on = st.session_state[f"fault_{name}"]
    st.session_state["fault"] = name if on else NO_BUG
