"""The address is the run: each field of Config is a query parameter and the key of a widget.

The address is read on entering a page and on the browser's back and forward, and written after each change.
Streamlit's own binding of widgets to parameters is not used: it drops what it cannot use without a word,
writes labels instead of values, and loses values between pages.
"""

from collections.abc import Iterable
from dataclasses import asdict
from itertools import islice
from typing import Any

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from twolayer.dashboard.common import parameters, server
from twolayer.dashboard.common.pages import PAGES, Page
from twolayer.dashboard.common.presets import PRESETS
from twolayer.dashboard.i18n import LANGUAGES, _, preferred, say
from twolayer.training.config import FIELDS, RANDOM, Config
from twolayer.training.data.own import CSV
from twolayer.training.fields import ConfigError
from twolayer.training.messages import Message

MOST_PARAMETERS = 100
MOST_ERRORS_SHOWN = 10


def went_back() -> bool:
    """Return whether the browser's back or forward button led to this address."""
    context = get_script_run_ctx()
    return context is not None and context.is_history_navigation


def is_new() -> bool:
    """Return whether the address of this page came from elsewhere than `write`: by the browser's back and
    forward, or by a link to a preset."""
    return went_back() or "preset" in st.query_params


def speak(language: str) -> None:
    """Go on in `language`. A browser knows a choice by its label: it is told all choices in the new words."""
    if st.session_state.get("lang") not in (None, language):
        for key, value in st.session_state.items():
            if isinstance(value, int | float | str) and not isinstance(value, bool):
                st.session_state[key] = value
    st.session_state["lang"] = language


def read(page: Page) -> None:
    """Set the session's values from the address, and remember what was wrong in it."""
    raw = dict(islice(st.query_params.items(), MOST_PARAMETERS))
    query = {k: v for k, v in raw.items() if k not in parameters.PARAMETERS}
    config, errors = _read_config(query)
    devices = available_devices(config.backend)
    if config.device not in devices:
        here = Message.of("one of the available devices: {devices}", devices=", ".join(devices))
        missing = ConfigError("device", config.device, here)
        # Again without it: what does not go with that device may go with the CPU
        config, errors = _read_config({k: v for k, v in query.items() if k != "device"})
        errors.append(missing)
    errors += parameters.take_over(page.parameters, raw)
    if raw.get("lang", "en") not in LANGUAGES:
        takes = Message.of("one of {options}", options=", ".join(LANGUAGES))
        errors.append(ConfigError("lang", raw["lang"], takes))
    speak(raw["lang"] if raw.get("lang") in LANGUAGES else preferred(st.context.locale))
    load(config)
    st.session_state["config"] = config
    st.session_state["address_errors"] = errors
    st.session_state["start_at_once"] = raw.get("run") == "1" and not went_back()


def _read_config(raw: dict[str, str]) -> tuple[Config, list[ConfigError]]:
    """Read a Config and its errors; a `preset` gives the fields that are not named, as if they were in the
    address too."""
    name = raw.get("preset")
    raw = {field: text for field, text in raw.items() if field != "preset"}
    if name is None:
        return Config.from_query(raw)
    if name not in PRESETS:
        config, errors = Config.from_query(raw)
        takes = Message.of("one of {options}", options=", ".join(PRESETS))
        return config, [*errors, ConfigError("preset", name, takes)]
    return Config.from_query(PRESETS[name].config.to_query() | raw)


def available_devices(backend: str) -> tuple[str, ...]:
    """Return the devices that the workers have for `backend`, as far as they have said so."""
    known = server.engine().capabilities
    return dict(known.machine.devices).get(backend, ("cpu",)) if known else ("cpu",)


def language_query() -> dict[str, str]:
    """Return the language as a query parameter, where it is not the browser's own."""
    language = st.session_state["lang"]
    return {} if language == preferred(st.context.locale) else {"lang": language}


def write(config: Config) -> dict[str, dict[str, str]]:
    """Write `config` and the page's own parameters to the address. Return each page's query, by script."""
    st.session_state["config"] = config
    query, own = config.to_query() | language_query(), _own_queries()
    page = PAGES[st.session_state["page"]]
    here = query | own[page.script]
    if "run" in st.query_params and page.starts_again:
        here["run"] = st.query_params["run"]
    if st.query_params.to_dict() != here:
        st.query_params.from_dict(here)
    return {script: query | parameters for script, parameters in own.items()}


def _own_queries() -> dict[str, dict[str, str]]:
    """Return, by script, each page's own parameters as they are or were when it was left: Streamlit forgets
    the widgets of other pages. Parameters that a page shares with this one are as they are here."""
    here = PAGES[st.session_state["page"]].parameters
    now, own = parameters.query(here), st.session_state.get("own_queries", {})
    own = {
        page.script: {name: value for name, value in own.get(page.script, {}).items() if name not in here}
        | {name: value for name, value in now.items() if name in page.parameters}
        for page in PAGES.values()
    }
    st.session_state["own_queries"] = own
    return own


def load(config: Config) -> None:
    """Set the widgets of all fields to those of `config`."""
    for field, value in asdict(config).items():
        st.session_state[field] = value


def current_config() -> Config:
    """Return the Config of the widgets, and of the address for fields without one. Raises `ConfigError` for
    a value that no widget sends."""
    fixed = fixed_by_the_data()
    return Config(**{field: value(field) for field in FIELDS if field not in fixed})


def current_config_or_none() -> Config | None:
    """Return the Config of the widgets, or None for values that cannot be."""
    try:
        return current_config()
    except ConfigError:
        return None


def fixed_by_the_data() -> tuple[str, ...]:
    """Return the fields that are not chosen, since the data set has its own."""
    if value("data") == CSV:
        return ("D_in", "D_out") if value("table") else ("N", "D_in", "D_out")
    return ("table",) if value("data") == RANDOM else ("table", "D_in", "D_out")


def value(field: str) -> Any:
    """Return the value of a field."""
    return st.session_state.get(field, getattr(st.session_state["config"], field))


def keep(fields: Iterable[str]) -> None:
    """Keep the values of fields whose widgets are folded: Streamlit forgets a widget that is not drawn, and
    what was set before it comes back."""
    for field in fields:
        st.session_state[field] = value(field)


def take_start_at_once() -> bool:
    """Return whether the address asks for an immediate start, once."""
    return bool(st.session_state.pop("start_at_once", False))


def forget_errors() -> None:
    """Show the errors of the address no longer."""
    st.session_state["address_errors"] = []


def show_errors() -> None:
    """Show what of the address could not be used."""
    errors: list[ConfigError] = st.session_state["address_errors"]
    if errors:
        title = _("Some values in the URL were ignored:")
        lines = "\n".join(f"- {say(error.message)}" for error in errors[:MOST_ERRORS_SHOWN])
        st.warning("\n\n".join((title, lines)))
