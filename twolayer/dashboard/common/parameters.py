"""Query parameters of single pages, beside the fields of Config: declared here, once.

A page that has them names them in `pages.PAGES`. They are session state under their own names, taken
from the address on entering the page and written to it with the Config.
"""

from collections import ChainMap
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import streamlit as st

from twolayer.backprop.bugs import BUGS
from twolayer.backprop.check import STEP, STEPS
from twolayer.backprop.hints import GRADES
from twolayer.backprop.levels import LEVELS
from twolayer.backprop.packed import unpack
from twolayer.backprop.spelling import DIALECTS
from twolayer.race.file import MOST_CONTENDERS
from twolayer.race.plan import SIZES
from twolayer.race.timing import ROUNDS
from twolayer.rates.grid import FORM, RATES, SEEDS, parse_axes
from twolayer.training import config
from twolayer.training.config import LARGEST, RATE
from twolayer.training.fields import UNFIT, Choice, ConfigError, Field, Name, Whole, parse_fields
from twolayer.training.messages import Message
from twolayer.training.program import GRADIENTS
from twolayer.training.program import STEPS as VALUES

NO_BUG = "none"
MOST_GUESSES = 9999
NO_SWEEP = "none"
LONGEST_GRID = 2000
CONTENDER = r"[a-z]{1,20}\.[a-z]{1,20}(\.[a-z0-9:]{1,20})?"


@dataclass(frozen=True)
class Axes(Field):
    """Axes of a grid as text; empty for those that follow from other settings."""

    def check(self, value: Any) -> str:
        if not isinstance(value, str) or len(value) > LONGEST_GRID:
            raise ValueError
        if value:
            parse_axes(value)  # a ConfigError is a ValueError
        return value

    @property
    def takes(self) -> Message:
        return FORM


@dataclass(frozen=True)
class Lines(Field):
    """Written lines, packed into a text."""

    def check(self, value: Any) -> str:
        if not isinstance(value, str):
            raise ValueError
        unpack(value)
        return value

    @property
    def takes(self) -> Message:
        return Message.of("lines packed by the Write it page")


def shown_step(step: float) -> str:
    """Return a step of the differences as in the address and the slider."""
    return f"{step:g}"


PARAMETERS: Mapping[str, Field] = {
    "contenders": Name(
        f"({CONTENDER}(,{CONTENDER}){{0,{MOST_CONTENDERS - 1}}})?",
        Message.of("comma-separated names such as numpy.gram"),
        default="",
    ),
    "rounds": ROUNDS,
    "sweep": Choice((NO_SWEEP, *SIZES), default=NO_SWEEP),
    "sweep_from": Whole(1, LARGEST, default=16),
    "sweep_to": Whole(1, LARGEST, default=1024),
    "sweep_points": Whole(2, 9, default=4),
    "at": Whole(0, config.STEPS.high, default=0),
    "fault": Choice((NO_BUG, *BUGS), default=NO_BUG),
    "guess": Whole(0, MOST_GUESSES, default=0),
    "difference_step": Choice(tuple(map(shown_step, STEPS)), default=shown_step(STEP)),
    "check_dtype": Choice(("float64", "float32"), default="float64"),
    "show": Choice(VALUES, default=VALUES[0]),
    "sample": Whole(0, LARGEST - 1, default=0),
    "input": Whole(0, LARGEST - 1, default=0),
    "unit": Whole(0, LARGEST - 1, default=0),
    "output": Whole(0, LARGEST - 1, default=0),
    "rates": RATES,
    "seeds": SEEDS,
    "rate_from": replace(RATE, default=None),
    "rate_to": replace(RATE, default=None),
    "grid_x": Choice(SIZES, default="N"),
    "grid_y": Choice(SIZES, default="H"),
    "grid": Axes(default=""),
    "level": Choice(LEVELS, default="2"),
    "dialect": Choice(DIALECTS, default="numpy"),
    "missing": Choice(GRADIENTS, default="grad_h"),
    "lines": Lines(default=""),
    "solved": Name(r"(\d{1,2}of\d{1,2})?", Message.of("numbers of lines such as 5of5"), default=""),
    "hints": Whole(0, GRADES * len(VALUES), default=0),
}
"""By name. A contender's presence on this machine is checked elsewhere."""

DECLARED: Mapping[str, Field] = {**config.FIELDS, **PARAMETERS}
"""All fields that have widgets, by name."""


def take_over(names: Iterable[str], texts: Mapping[str, str]) -> list[ConfigError]:
    """Set the session's parameters from an address. Return an error for each that cannot be used."""
    fields = {name: PARAMETERS[name] for name in names}
    values, errors = parse_fields(fields, {name: texts[name] for name in fields if name in texts})
    for name, field in fields.items():
        st.session_state[name] = values.get(name, field.default)
    return errors


def now(name: str) -> Any:
    """Return the session's value of a declared field, of Config or of a page, or the field's default if its
    widget cannot have sent the value.

    It is also the default of the field's widget. Streamlit sends a value that the code sets only once; a
    browser whose code for the widget comes later takes the widget's default and sends it back.
    """
    field = DECLARED[name]
    try:
        return field.check(meant(name, st.session_state.get(name, field.default)))
    except UNFIT:
        return field.default


def words(key: str, labels: Mapping[Any, str]) -> Callable[[Any], str]:
    """Return the labels of a widget's options as a function of the option. Call it before all else that
    looks at the widget's state.

    A browser sends the words of a choice: for a moment after a change of the language those of the language
    before. The state becomes what is meant by them.
    """
    value = st.session_state.get(key)
    if meant(key, value) != value:
        st.session_state[key] = meant(key, value)
    meanings = {label: option for option, label in labels.items() if label not in labels}
    st.session_state.setdefault(f"words_{key}", {})[st.session_state.get("lang")] = meanings
    return lambda option: labels.get(option, option)


def meant(key: str, value: Any) -> Any:
    """Return the option, or the list of them, that a browser means by `value`."""
    if isinstance(value, list):
        return [meant(key, one) for one in value]
    return ChainMap(*st.session_state.get(f"words_{key}", {}).values()).get(value, value)


def field(name: str) -> Field:
    """Return what a field of Config takes with the session's data."""
    return config.field_of(now("data"), name, now("table"))


def mended(name: str) -> Any:
    """Return the session's value of a parameter, or the default if its widget cannot have sent the value.

    Texts and numbers that are not whole are checked where they are used.
    """
    if isinstance(PARAMETERS[name], Choice | Whole):
        return now(name)
    return st.session_state.get(name, PARAMETERS[name].default)


def mend(names: Iterable[str]) -> None:
    """Set each value that its widget cannot have sent to its default, before the widget is drawn."""
    for name in names:
        value = mended(name)
        if st.session_state.get(name, value) != value:
            st.session_state[name] = value


def query(names: Iterable[str]) -> dict[str, str]:
    """Return the parameters that differ from their defaults, as query parameters."""
    values = {name: st.session_state.get(name, PARAMETERS[name].default) for name in names}
    return {name: str(value) for name, value in values.items() if value != PARAMETERS[name].default}
