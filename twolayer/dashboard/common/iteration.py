"""The controls that Gradients and One step share: the iteration that is looked at, and the mistake in it."""

import streamlit as st

from twolayer.backprop import bugs, snapshot
from twolayer.dashboard.common.parameters import NO_FAULT
from twolayer.dashboard.i18n import _, say
from twolayer.training.config import Config


def at_slider(config: Config) -> int:
    """The iteration: how many steps of the run were taken before it."""
    last = snapshot.last_step(config)
    st.session_state["at"] = min(st.session_state["at"], last)
    at: int = st.slider(
        _("Iteration"),
        0,
        last,
        key="at",
        help=_("How many steps of this run are taken first. 0 looks at the initial weights."),
    )
    if last < config.steps:
        st.caption(
            _("The first {last} of {steps} iterations can be looked at: more would take too long.").format(
                last=f"{last:,}", steps=f"{config.steps:,}"
            )
        )
    return at


def say_if_diverged(at: int, diverged_at: int | None) -> None:
    """Say that another iteration is shown than the one that was asked for, where the run diverges before."""
    if diverged_at is not None:
        st.warning(
            _("This run diverges: the last iteration with a finite loss is {at}, and is shown.").format(
                at=f"{at:,}"
            )
        )


def fault_switches(config: Config) -> str | None:
    """A switch for each mistake, of which one can be on. Those that cannot show are grey, with the reason.

    The name of the mistake that is on.
    """
    on = planted(config)
    for name, fault in bugs.FAULTS.items():
        reason = bugs.impossible(name, config)
        st.session_state[f"fault_{name}"] = name == on
        st.toggle(
            _(fault.label), key=f"fault_{name}", disabled=reason is not None, on_change=_switch, args=(name,)
        )
        if reason is not None:
            st.caption(say(reason))
    return on


def planted(config: Config) -> str | None:
    """The mistake of the session, if it can show at these shapes."""
    name: str = st.session_state["fault"]
    return None if name == NO_FAULT or bugs.impossible(name, config) else name


def _switch(name: str) -> None:
    on = st.session_state[f"fault_{name}"]
    st.session_state["fault"] = name if on else NO_FAULT
