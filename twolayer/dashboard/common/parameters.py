"""Query parameters of single pages, beside the fields of Config: declared here, once.

A page that has them names them in `frame.PAGES`. They are session state under their own names, taken
from the address on entering the page and written to it with the Config.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import streamlit as st

from twolayer.backprop.bugs import BUGS
from twolayer.backprop.check import STEP, STEPS
from twolayer.race.plan import SIZES
from twolayer.race.timing import ROUNDS
from twolayer.rates.grid import FORM, MOST_SEEDS, MOST_VALUES, RATES, SEEDS, parse_axes
from twolayer.training.config import FIELDS, LARGEST, Choice, ConfigError, Kind, Real, Whole
from twolayer.training.messages import Message
from twolayer.training.program import STEPS as VALUES

NO_BUG = "none"
MOST_GUESSES = 9999
MOST_ROUNDS = 100
NO_SWEEP = "none"
LONGEST_GRID = 2000

RATE = FIELDS["learning_rate"]
assert isinstance(RATE, Real)
RATE_LIMITS = (RATE.low, RATE.high)


class Axes:
    """Axes of a grid as text; empty for those that follow from other settings."""

    def check(self, value: Any) -> str:
        if not isinstance(value, str) or len(value) > LONGEST_GRID:
            raise ValueError
        if value:
            parse_axes(value)  # a ConfigError is a ValueError
        return value

    parse = check

    @property
    def takes(self) -> Message:
        return FORM


@dataclass(frozen=True)
class Parameter:
    """What a parameter takes, and what it is when the address does not say."""

    kind: Kind
    default: Any


def shown_step(step: float) -> str:
    """A step of the differences as the address and the slider have it."""
    return f"{step:g}"


class Contenders:
    """Keys of contenders, joined by commas; empty for everyone. Whether they are here is asked later."""

    KEY = r"[a-z]{1,20}\.[a-z]{1,20}(\.[a-z0-9:]{1,20})?"

    def check(self, value: Any) -> str:
        if not isinstance(value, str) or not re.fullmatch(f"({self.KEY}(,{self.KEY}){{0,63}})?", value):
            raise ValueError
        return value

    parse = check

    @property
    def takes(self) -> Message:
        return Message.of("names such as numpy.gram, joined by commas")


PARAMETERS: Mapping[str, Parameter] = {
    "contenders": Parameter(Contenders(), ""),
    "rounds": Parameter(Whole(3, MOST_ROUNDS), ROUNDS),
    "sweep": Parameter(Choice((NO_SWEEP, *SIZES)), NO_SWEEP),
    "sweep_from": Parameter(Whole(1, LARGEST), 16),
    "sweep_to": Parameter(Whole(1, LARGEST), 1024),
    "sweep_points": Parameter(Whole(2, 9), 4),
    "at": Parameter(Whole(0, 5_000_000), 0),
    "fault": Parameter(Choice((NO_BUG, *BUGS)), NO_BUG),
    "guess": Parameter(Whole(0, MOST_GUESSES), 0),
    "difference_step": Parameter(Choice(tuple(map(shown_step, STEPS))), shown_step(STEP)),
    "check_dtype": Parameter(Choice(("float64", "float32")), "float64"),
    "show": Parameter(Choice(VALUES), VALUES[0]),
    "sample": Parameter(Whole(0, LARGEST - 1), 0),
    "input": Parameter(Whole(0, LARGEST - 1), 0),
    "unit": Parameter(Whole(0, LARGEST - 1), 0),
    "output": Parameter(Whole(0, LARGEST - 1), 0),
    "rates": Parameter(Whole(2, MOST_VALUES), RATES),
    "seeds": Parameter(Whole(1, MOST_SEEDS), SEEDS),
    "rate_from": Parameter(RATE, None),
    "rate_to": Parameter(RATE, None),
    "grid_x": Parameter(Choice(SIZES), "N"),
    "grid_y": Parameter(Choice(SIZES), "H"),
    "grid": Parameter(Axes(), ""),
}


def take_over(names: Iterable[str], texts: Mapping[str, str]) -> list[ConfigError]:
    """Set the session's parameters from an address; an error for each that cannot be."""
    errors = []
    for name in names:
        parameter = PARAMETERS[name]
        value = parameter.default
        if name in texts:
            try:
                value = parameter.kind.parse(texts[name].strip())
            except ValueError:
                errors.append(ConfigError(name, texts[name], parameter.kind.takes))
        st.session_state[name] = value
    return errors


def mended(name: str) -> Any:
    """What the session has a parameter set to; its default in the place of what a browser should not have
    sent. Texts are checked by whoever reads them."""
    parameter = PARAMETERS[name]
    value = st.session_state.get(name, parameter.default)
    if not isinstance(parameter.kind, Choice | Whole):
        return value
    try:
        return parameter.kind.check(value)
    except ValueError:
        return parameter.default


def mend(names: Iterable[str]) -> None:
    """Set what a browser should not have sent to its default, before any widget takes it up."""
    for name in names:
        value = mended(name)
        if st.session_state.get(name, value) != value:
            st.session_state[name] = value


def query(names: Iterable[str]) -> dict[str, str]:
    """Those that are set to something else than their defaults, as query parameters."""
    values = {name: st.session_state.get(name, PARAMETERS[name].default) for name in names}
    return {name: str(value) for name, value in values.items() if value != PARAMETERS[name].default}
