"""The program on the page: its real lines, the current one marked."""

import ast
from html import escape

import streamlit as st

from twolayer.training.program import Place

_BLOCK = (
    "margin:0; padding:0.6rem 0.8rem; overflow-x:auto; border-radius:0.5rem; font-size:0.8rem; "
    "line-height:1.55; background:color-mix(in srgb, currentColor 5%, transparent)"
)
_MARKED = (
    "color:inherit; font-weight:700; padding:0.15rem 0.3rem; margin-left:-0.3rem; border-radius:0.25rem; "
    "background:color-mix(in srgb, #4c8dfc 30%, transparent)"
)


CONTEXT = 2
"""Lines of the program before and after the marked ones."""


def draw(place: Place) -> None:
    """The lines that make a value, marked, among those around them in their function."""
    lines = place.source.splitlines()
    first = max(_body(lines), place.lines[0] - CONTEXT)
    rows = []
    for number in range(first, min(len(lines), place.lines[-1] + CONTEXT + 1)):
        text = escape(lines[number].removeprefix("    "))
        rows.append(f'<mark style="{_MARKED}">{text}</mark>' if number in place.lines else text)
    st.html(f'<pre style="{_BLOCK}"><code>{chr(10).join(rows)}</code></pre>')


def line(text: str) -> None:
    """A line as in a program, wrapped. Unlike `st.code` it needs no highlighter, which a browser would have
    to load and run first."""
    st.html(f'<pre style="{_BLOCK}; white-space:pre-wrap"><code>{escape(text)}</code></pre>')


def _body(lines: list[str]) -> int:
    """The number of the first line after the function's head and docstring."""
    function = ast.parse("\n".join(lines)).body[0]
    assert isinstance(function, ast.FunctionDef)
    described = ast.get_docstring(function) is not None
    return function.body[1 if described else 0].lineno - 1
