"""The frame that every page begins with: title, language, links; and the Config of the address.

The address is the run: each field of Config is a query parameter and the key of a widget. The
address is read on entering a page and when the reader goes back or forward, and written after each
change. Streamlit's own binding of widgets to parameters is not used: it drops what it cannot use
without a word, writes labels instead of values, and loses values on the way between pages.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from itertools import islice
from pathlib import Path
from time import monotonic
from typing import Any, NoReturn

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from twolayer.dashboard.common import browser, parameters, server, server_info
from twolayer.dashboard.common.presets import PRESETS
from twolayer.dashboard.i18n import LANGUAGES, _, plain, preferred, say
from twolayer.dashboard.plot import plot
from twolayer.engine.settings import SettingError
from twolayer.training.config import FIELDS, Config, ConfigError
from twolayer.training.messages import N_, Message

BACKENDS = {"numpy": "NumPy", "torch": "PyTorch"}
ROOT = Path(__file__).parents[3]
MOST_PARAMETERS = 100
MOST_SHOWN = 10
SLOW_NETWORK_SECONDS = 15


@dataclass(frozen=True)
class Page:
    """A page of the app: its script, and its name in English."""

    script: str
    label: str
    icon: str
    parameters: tuple[str, ...] = ()
    """Its own query parameters, of those in `parameters.PARAMETERS`."""


PAGES: Mapping[str, Page] = {
    "train": Page("app.py", N_("Train"), ":material/play_arrow:"),
    "race": Page(
        "pages/race.py",
        N_("Race"),
        ":material/speed:",
        ("contenders", "rounds", "sweep", "sweep_from", "sweep_to", "sweep_points"),
    ),
    "gradients": Page(
        "pages/gradients.py",
        N_("Gradients"),
        ":material/fact_check:",
        ("at", "fault", "guess", "difference_step", "check_dtype"),
    ),
    "one_step": Page(
        "pages/one_step.py",
        N_("One step"),
        ":material/footprint:",
        ("at", "fault", "show", "sample", "input", "unit", "output"),
    ),
    "learning_rate": Page(
        "pages/learning_rate.py",
        N_("Learning rate"),
        ":material/tune:",
        ("rates", "seeds", "rate_from", "rate_to", "grid_x", "grid_y", "grid"),
    ),
}
"""The pages in the order of their links. Those whose script is not there have no link."""


@server.in_turn
def begin(name: str) -> None:
    """Draw the frame of the page `name` and take over the address.

    To be called first on every page. Ends the page with a message if the server's settings are wrong.
    """
    st.session_state.pop("whole_page", None)
    st.set_page_config(page_title="Two layers by hand", page_icon="📉", layout="wide")
    if st.session_state.get("page") != name or _went_back() or "preset" in st.query_params:
        _take_over_address(PAGES[name])
        st.session_state["page"] = name
        st.session_state["entered"] = monotonic()
    parameters.mend(PAGES[name].parameters)
    if st.session_state.get("lang") not in LANGUAGES:
        st.session_state["lang"] = preferred(st.context.locale)
    _keep_choices(st.session_state["lang"])
    if st.session_state.pop("tell_again", False):
        _set_choices()
    header = st.container(horizontal=True, vertical_alignment="center", key="frame")
    with header:
        st.title(_("Two layers by hand"), anchor=False)
        st.segmented_control(
            _("Language"),
            list(LANGUAGES),
            format_func=lambda code: LANGUAGES[code],
            default=preferred(st.context.locale),
            required=True,
            key="lang",
            label_visibility="collapsed",
        )
    try:
        server.engine()
    except SettingError as error:
        st.error(say(error.message))
        st.stop()
    with header:
        server_info.draw()
    browser.remember(server.viewer(), server.returned, plot.scripts())


def _keep_choices(language: str) -> None:
    """On a change of the language, hold fast what was chosen: Streamlit knows a choice by its label, and the
    labels are other ones now."""
    if st.session_state.get("spoken") not in (None, language):
        _set_choices()
    st.session_state["spoken"] = language


def _set_choices() -> None:
    """Have the browser told once more what the widgets are set to."""
    for key, value in st.session_state.items():
        if key != "lang" and isinstance(value, int | float | str) and not isinstance(value, bool):
            st.session_state[key] = value


def links(config: Config | None) -> None:
    """Write `config` to the address, and draw the links to all pages, which take it along."""
    if config is None:
        return
    st.session_state["config"] = config
    query = config.to_query()
    if st.session_state["lang"] != preferred(st.context.locale):
        query["lang"] = st.session_state["lang"]
    there, own = _pages_there(), _own_queries()
    if len(there) > 1:
        with st.container(horizontal=True, key="links"):
            for page in there:
                st.page_link(
                    page.script, label=_(page.label), icon=page.icon, query_params=query | own[page.script]
                )
    query |= own[PAGES[st.session_state["page"]].script]
    if "run" in st.query_params:
        query["run"] = st.query_params["run"]
    if st.query_params.to_dict() != query:
        st.query_params.from_dict(query)


def _own_queries() -> dict[str, dict[str, str]]:
    """By script: what a page's own parameters are, or were when the reader left it: Streamlit forgets the
    widgets of other pages. Those that a page shares with this one are as they are here."""
    here = PAGES[st.session_state["page"]].parameters
    now, own = parameters.query(here), st.session_state.get("own_queries", {})
    own = {
        page.script: {name: value for name, value in own.get(page.script, {}).items() if name not in here}
        | {name: value for name, value in now.items() if name in page.parameters}
        for page in PAGES.values()
    }
    st.session_state["own_queries"] = own
    return own


@cache
def _pages_there() -> list[Page]:
    return [page for page in PAGES.values() if (ROOT / page.script).exists()]


def _went_back() -> bool:
    """Whether the reader came to this address by the browser's back or forward button."""
    context = get_script_run_ctx()
    return context is not None and context.is_history_navigation


def _take_over_address(page: Page) -> None:
    """Give the widgets the values of the address, and remember what was wrong in it."""
    raw = dict(islice(st.query_params.items(), MOST_PARAMETERS))
    of_config = {name: text for name, text in raw.items() if name not in parameters.PARAMETERS}
    config, errors = _read(of_config)
    errors += parameters.take_over(page.parameters, raw)
    devices = _devices(config.backend)
    if config.device not in devices:
        here = Message.of("a device that is here: {devices}", devices=", ".join(devices))
        errors.append(ConfigError("device", config.device, here))
        config = Config(**(asdict(config) | {"device": "cpu"}))
    if raw.get("lang", "en") not in LANGUAGES:
        takes = Message.of("one of {options}", options=", ".join(LANGUAGES))
        errors.append(ConfigError("lang", raw.pop("lang"), takes))
    elif "lang" in raw:
        st.session_state["lang"] = raw["lang"]
    for field, value in asdict(config).items():
        st.session_state[field] = value
    st.session_state["config"] = config
    st.session_state["address_errors"] = errors
    st.session_state["start_at_once"] = raw.get("run") == "1" and not _went_back()


def _read(raw: dict[str, str]) -> tuple[Config, list[ConfigError]]:
    """The Config of an address and what is wrong there; a `preset` gives the fields that are not named."""
    name = raw.pop("preset", None)
    config, errors = Config.from_query(raw)
    if name is None:
        return config, errors
    if name not in PRESETS:
        takes = Message.of("one of {options}", options=", ".join(PRESETS))
        return config, [*errors, ConfigError("preset", name, takes)]
    named = {field: value for field, value in asdict(config).items() if field in raw}
    return Config(**asdict(PRESETS[name].config) | named), errors


def _devices(backend: str) -> tuple[str, ...]:
    known = server.engine().capabilities
    return dict(known.machine.devices).get(backend, ("cpu",)) if known else ("cpu",)


def whole_page() -> None:
    """For a callback within a fragment: let the whole page be drawn again, not the fragment alone."""
    st.session_state["whole_page"] = True


def rerun_if_asked() -> None:
    """For the beginning of a fragment: what `whole_page` asked for since it was drawn last."""
    if st.session_state.pop("whole_page", False):
        again()


def again() -> NoReturn:
    """Draw the whole page once more, instead of the rest of it.

    Streamlit tells a widget only in the first drawing what the address has set it to. On a slow network the
    code of the widgets comes later than that: they would show their defaults. So in the first seconds of a
    page they are told again.
    """
    if monotonic() - st.session_state["entered"] < SLOW_NETWORK_SECONDS:
        st.session_state["tell_again"] = True
    st.rerun()


def current_config() -> Config:
    """The Config of the widgets, and of the address where a page has no widget for a field. Raises
    `ConfigError` for what a browser should not have sent."""
    return Config(**{field: value(field) for field in FIELDS})


def value(field: str) -> Any:
    """What a field is set to."""
    return st.session_state.get(field, getattr(st.session_state["config"], field))


def address_errors() -> None:
    """Say what of the address could not be used."""
    errors: list[ConfigError] = st.session_state["address_errors"]
    if errors:
        title = _("Not everything in the address could be used; the rest was.")
        lines = "\n".join(f"- {say(error.message)}" for error in errors[:MOST_SHOWN])
        st.warning("\n\n".join((title, lines)))


def show_error(error: ConfigError) -> None:
    """Say which field cannot be used."""
    st.error(say(error.message))


def summary(config: Config) -> str:
    """A Config in one line, as Markdown."""
    text = _(
        "{N} samples, {D_in} → {H} → {D_out}, learning rate {rate}, seed {seed}; "
        "{backend} ({method}), {dtype}, {device}, threads: {threads}"
    )
    method = config.method if config.method == config.method_used else f"auto → {config.method_used}"
    shown = {"backend": BACKENDS[config.backend], "device": plain(config.device), "method": method}
    return text.format(**asdict(config) | shown, rate=repr(config.learning_rate))
