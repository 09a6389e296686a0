"""Show the program's real source, with the current lines marked."""

import ast
from html import escape

import streamlit as st

from twolayer.training.program import Statement

_BLOCK = (
    "margin:0; padding:0.6rem 0.8rem; overflow-x:auto; border-radius:0.5rem; font-size:0.8rem; "
    "line-height:1.55; background:color-mix(in srgb, currentColor 5%, transparent)"
)
_MARKED = (
    "color:inherit; font-weight:700; padding:0.15rem 0.3rem; margin-left:-0.3rem; border-radius:0.25rem; "
    "background:color-mix(in srgb, #4c8dfc 30%, transparent)"
)


CONTEXT = 2
"""Lines of context before and after the marked ones."""


def draw(statement: Statement) -> None:
    """Show a statement, marked, with the lines around it in its function."""
    lines = statement.source.splitlines()
    first = max(_body(lines), statement.lines[0] - CONTEXT)
    rows = []
    for number in range(first, min(len(lines), statement.lines[-1] + CONTEXT + 1)):
        text = escape(lines[number].removeprefix("    "))
        rows.append(f'<mark style="{_MARKED}">{text}</mark>' if number in statement.lines else text)
    st.html(f'<pre style="{_BLOCK}"><code>{chr(10).join(rows)}</code></pre>')


def line(text: str) -> None:
    """Show a line of code, wrapped. Unlike `st.code` it needs no syntax highlighter in the browser."""
    st.html(f'<pre style="{_BLOCK}; white-space:pre-wrap"><code>{escape(text)}</code></pre>')


def _body(lines: list[str]) -> int:
    """Return the number of the first line after the function's signature and docstring."""
    function = ast.parse("\n".join(lines)).body[0]
    assert isinstance(function, ast.FunctionDef)
    described = ast.get_docstring(function) is not None
    return function.body[1 if described else 0].lineno - 1
