"""What the page is for, and what may be written."""

import streamlit as st

from twolayer.backprop.spelling import FUNCTIONS, METHODS
from twolayer.dashboard.i18n import _


def show(dialect: str) -> None:
    """Show the help, closed at first."""
    with st.expander(_("What is this?"), key="help", on_change="rerun") as fold:
        if fold.open:
            st.markdown("\n\n".join((_purpose(), _writing(dialect), _verdicts(), _link())))


def _purpose() -> str:
    return _(
        "Write the backward pass yourself. Each field is one line of the program: write what stands to the "
        "right of the equals sign and press Enter. Tab leads to the next line."
    )


def _writing(dialect: str) -> str:
    rows = [*METHODS[dialect].values(), *FUNCTIONS[dialect].values()]
    examples = ", ".join(f"`{row.example}`" for row in rows)
    return _(
        "A line may use the values of the lines above it, numbers, `+ - * / ** @`, comparisons, brackets, "
        "`a.T` and {examples}. A mask may also be an index, after a semicolon: `…; grad_h[h < 0] = 0`. "
        "Nothing else is understood, and nothing that is written here is executed as Python."
    ).format(examples=examples)


def _verdicts() -> str:
    return _(
        "First the shapes are checked in letters: N samples, D_in inputs, H hidden units, D_out outputs. A "
        "line that fits only because two of these sizes happen to be equal is refused. Then its numbers at "
        "the first iteration of the run are compared with the right ones. Each line is computed from right "
        "values, so that a mistake in one line does not make the lines below it wrong. Every correct way to "
        "write a line is right."
    )


def _link() -> str:
    return _(
        "The address holds what you have written: the button at the top copies it. Teachers: ‘Start empty’, "
        "choose what is to be written, and send the address."
    )
