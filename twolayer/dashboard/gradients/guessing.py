"""Guess first: a bug is planted, and revealed only after the learner has answered."""

import streamlit as st

from twolayer.backprop import bugs
from twolayer.backprop.check import Check
from twolayer.dashboard.common import parameters
from twolayer.dashboard.common.parameters import MOST_GUESSES, NO_BUG
from twolayer.dashboard.i18n import _
from twolayer.training.config import Config


def draw(config: Config) -> None:
    """Draw the possible answers; a choice is the answer."""
    asked = (config, st.session_state["guess"])
    if st.session_state.get("asked") != asked:
        st.session_state["asked"], st.session_state["answer"] = asked, None
    labels = {name: _label(name) for name in (NO_BUG, *bugs.possible(config))}
    st.selectbox(
        _("Which bug is it?"),
        list(labels),
        index=None,
        format_func=parameters.words("answer", labels),
        key="answer",
        placeholder=_("Study the numbers, then answer"),
    )


def buttons() -> None:
    """Draw the buttons that start guessing, go on and end it."""
    guess: int = st.session_state["guess"]
    again = guess % MOST_GUESSES + 1
    with st.container(horizontal=True, gap="small"):
        label = _("Next question") if guess else _("Guess a hidden one")
        st.button(label, key="another", icon=":material/casino:", on_click=_go_to, args=(again,))
        if guess:
            st.button(_("End"), key="end_guessing", icon=":material/close:", on_click=_go_to, args=(0,))


def _go_to(guess: int) -> None:
    st.session_state["guess"], st.session_state["fault"] = guess, NO_BUG


def _label(name: str) -> str:
    return _("No bug") if name == NO_BUG else _(bugs.BUGS[name].label)


def hides() -> bool:
    """Return whether the bug is still to be guessed."""
    return st.session_state["guess"] > 0 and st.session_state["answer"] is None


def response(check: Check) -> None:
    """Say whether the answer was right, and what the bug was."""
    truth = check.planted or NO_BUG
    if st.session_state["answer"] == truth:
        st.success(_("Right: {name}.").format(name=_label(truth)), icon=":material/celebration:")
    else:
        words = _("Not quite. The answer is: {name}.").format(name=_label(truth))
        st.warning(words, icon=":material/lightbulb:")
