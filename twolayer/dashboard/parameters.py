"""Query parameters of single pages, beside the fields of Config: declared here, once.

A page that has them names them in `frame.PAGES`. They are session state under their own names, taken
from the address on entering the page and written to it with the Config.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import streamlit as st

from twolayer.config import LARGEST, Choice, ConfigError, Kind, Whole
from twolayer.messages import Message
from twolayer.race.plan import SIZES
from twolayer.race.timing import ROUNDS

MOST_ROUNDS = 100
NO_SWEEP = "none"


@dataclass(frozen=True)
class Parameter:
    """What a parameter takes, and what it is when the address does not say."""

    kind: Kind
    default: Any


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


def query(names: Iterable[str]) -> dict[str, str]:
    """Those that are set to something else than their defaults, as query parameters."""
    values = {name: st.session_state.get(name, PARAMETERS[name].default) for name in names}
    return {name: str(value) for name, value in values.items() if value != PARAMETERS[name].default}
