"""Formulas as LaTeX, and lines of a program, as the pages show them."""

from html import escape

import streamlit as st

_CODE = (
    "margin:0; padding:0.5rem 0.7rem; border-radius:0.5rem; font-size:0.8rem; line-height:1.5; "
    "white-space:pre-wrap; background:color-mix(in srgb, currentColor 5%, transparent)"
)


def draw(latex: str) -> None:
    """Show a formula that is broken where it is wider than its place, unlike `st.latex`."""
    st.markdown("$" + latex + "$")


def code(text: str) -> None:
    """Show lines of code, wrapped. Unlike `st.code` this needs no highlighter, which would come later."""
    st.html(f'<pre style="{_CODE}"><code>{escape(text)}</code></pre>')
