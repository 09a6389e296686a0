"""Guess first: a bug is planted, and revealed only after the learner has answered."""

from typing import Any

import streamlit as st

from twolayer.backprop import bugs
from twolayer.backprop.check import Check
from twolayer.dashboard.common.parameters import MOST_GUESSES, NO_BUG
from twolayer.dashboard.i18n import _
from twolayer.training.config import Config


def switch() -> int:
    """Draw the switch and return the current round, or 0 if guessing is off."""
    left, right = st.columns([3, 2], vertical_alignment="center")
    with left:
        st.subheader(_("Plant a bug"), anchor=False)
    with right:
        st.session_state["guessing"] = st.session_state["guess"] > 0
        st.toggle(_("Quiz mode"), key="guessing", on_change=_turn)
    guess: int = st.session_state["guess"]
    return guess


def _turn() -> None:
    st.session_state["guess"] = 1 if st.session_state["guessing"] else 0
    st.session_state["fault"] = NO_BUG
    _forget()


def _next() -> None:
    st.session_state["guess"] = st.session_state["guess"] % MOST_GUESSES + 1
    _forget()


def _forget() -> None:
    st.session_state["answer"] = None
    st.session_state["answered"] = None


def _give(of: Any) -> None:
    st.session_state["answered"] = (of, st.session_state["answer"])


def answers(config: Config, guess: int) -> None:
    """Draw the possible answers, and the buttons to answer and to go on."""
    st.markdown(
        _("The program contains one of these bugs, or none. Study the numbers and charts below, then answer.")
    )
    options = [NO_BUG, *bugs.possible(config)]
    labels = {NO_BUG: _("No bug")} | {name: _(bug.label) for name, bug in bugs.BUGS.items()}
    chosen = st.radio(
        _("Your answer"),
        options,
        index=None,
        format_func=labels.__getitem__,
        key="answer",
        label_visibility="collapsed",
    )
    with st.container(horizontal=True):
        st.button(
            _("Submit"),
            key="give_answer",
            type="primary",
            disabled=chosen is None,
            on_click=_give,
            args=((config, guess),),
        )
        st.button(_("Next question"), key="another", icon=":material/casino:", on_click=_next)


def given(config: Config, guess: int) -> str | None:
    """Return the answer given in this round, or None."""
    answered = st.session_state.get("answered")
    return answered[1] if answered is not None and answered[0] == (config, guess) else None


def hides(check: Check, guess: int) -> bool:
    """Return whether the bug is still to be guessed."""
    return guess > 0 and given(check.config, guess) is None


def response(check: Check, guess: int) -> None:
    """Show whether the answer was right, and what the bug was."""
    answer = given(check.config, guess)
    if answer is None:
        return
    truth = check.planted or NO_BUG
    name = _(bugs.BUGS[truth].label) if check.planted else _("No bug")
    if answer == truth:
        st.success(_("Right: {name}.").format(name=name), icon=":material/celebration:")
    else:
        st.warning(_("Not quite. The answer is: {name}.").format(name=name), icon=":material/lightbulb:")
