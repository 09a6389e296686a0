"""The widget of a declared field, of Config or of a page: its key is the field's name."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import streamlit as st

from twolayer.dashboard.common import parameters
from twolayer.dashboard.common.parameters import DECLARED, now, words
from twolayer.training.config import FIELDS
from twolayer.training.fields import Choice, Real, Whole


def number(name: str, label: str, **options: Any) -> None:
    """Draw a number input for a declared field, of Config or of a page; its key is the field's name."""
    field = DECLARED[name]
    assert isinstance(field, Whole | Real)
    if name in FIELDS:  # of which a data set may take less
        field = cast(Whole | Real, parameters.field(name))
    value = now(name)
    if field.default is not None and not field.low <= value <= field.high:
        st.session_state[name] = value = field.default
    if field.default is None:
        # Only a field whose default is None can be emptied: its value is sent with each run instead
        st.session_state[name], value = value, None
    st.number_input(label, field.low, field.high, value, key=name, **options)


def choice(name: str, label: str, *, names: Mapping[str, str] | None = None, **options: Any) -> str:
    """Draw a list to choose from for a declared field of a page and return what is chosen; its key is the
    field's name. `names` are the labels of the options."""
    field = DECLARED[name]
    assert isinstance(field, Choice)
    written, index = words(name, names or {}), field.options.index(now(name))
    chosen: str = st.selectbox(label, field.options, index, written, key=name, **options)
    return chosen


def segments(
    name: str, label: str, options: Sequence[str], names: Mapping[str, str] | None = None, **more: Any
) -> None:
    """Draw a declared field as a few buttons of which one is always on; its key is the field's name."""
    written = words(name, names or {})
    if st.session_state.get(name) not in options:
        st.session_state[name] = options[0]
    st.segmented_control(
        label,
        options,
        format_func=written,
        default=st.session_state[name],
        required=True,
        key=name,
        **more,
    )
