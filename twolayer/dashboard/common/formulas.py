"""The formulas of an iteration as LaTeX, each value with its shape beneath it, and lines of its program."""

from html import escape

import streamlit as st

from twolayer.backprop import bugs
from twolayer.training.config import Config
from twolayer.training.program import AXES, SIZES

_CODE = (
    "margin:0; padding:0.5rem 0.7rem; border-radius:0.5rem; font-size:0.8rem; line-height:1.5; "
    "white-space:pre-wrap; background:color-mix(in srgb, currentColor 5%, transparent)"
)


class _Value:
    """A value in a LaTeX format string: `{w2}`, transposed as `{w2:T}`, without its shape as `{w2:name}`."""

    def __init__(self, name: str, config: Config | None) -> None:
        self.symbol = r"\mathtt{" + name.replace("_", r"\_") + "}"
        sizes = [SIZES[axis] for axis in AXES[name]]
        self.sizes = [getattr(config, size) if config else size.replace("_", r"\_") for size in sizes]

    def __format__(self, form: str) -> str:
        if form == "name" or not self.sizes:
            return self.symbol
        rows, columns = reversed(self.sizes) if form == "T" else self.sizes
        power = r"^{\mathsf{T}}" if form == "T" else ""
        return rf"\underset{{{rows}\times {columns}}}{{{self.symbol}{power}}}"


def formula(name: str, config: Config | None = None, planted: str | None = None) -> str:
    """Return how the value `name` is computed, in the program with the bug `planted`.

    Without a config the shapes are in letters.
    """
    values = {each: _Value(each, config) for each in AXES}
    arrow = r"\leftarrow" if name in ("w1", "w2") else "="
    return f"{values[name]} {arrow} {bugs.formulas(planted)[name].latex.format_map(values)}"


def draw(latex: str) -> None:
    """Show a formula that is broken where it is wider than its place, unlike `st.latex`."""
    st.markdown("$" + latex + "$")


def code(text: str) -> None:
    """Show lines of code, wrapped. Unlike `st.code` this needs no highlighter, which would come later."""
    st.html(f'<pre style="{_CODE}"><code>{escape(text)}</code></pre>')
