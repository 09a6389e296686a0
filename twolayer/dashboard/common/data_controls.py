"""The controls of a run's data and initial weights, with what is to be known of them."""

import streamlit as st

from twolayer.dashboard.common import own_file, pages, parameters
from twolayer.dashboard.common.widgets import choice
from twolayer.dashboard.i18n import _, say
from twolayer.rates import curvature
from twolayer.training import data
from twolayer.training.config import RANDOM, Config
from twolayer.training.data import DATA_SETS, OWN, DataSet, data_set
from twolayer.training.data.own import CSV
from twolayer.training.messages import N_

SWEEP = "pages/learning_rate.py"
SIZES = ("N", "D_in", "D_out")
INITS = {"tutorial": N_("Tutorial (standard normal)"), "he": N_("He (scaled by √(2 / fan-in))")}


def draw() -> None:
    """Draw the controls of the data and the initial weights."""
    titles = {RANDOM: _("Random numbers")} | {name: _(found.title) for name, found in DATA_SETS.items()}
    titles[CSV] = _(OWN.title)
    st.session_state["sizes_are_of"] = parameters.now("data")
    choice("data", _("Data set"), names=titles, help=_origin(parameters.now("data")), on_change=_take_sizes)
    if parameters.now("data") == CSV:
        own_file.draw()
    choice("init", _("Initial weights"), names={name: _(label) for name, label in INITS.items()})


def _origin(name: str) -> str:
    """What the inputs are, and where they come from."""
    if name == RANDOM:
        return _("The tutorial's: inputs and targets are random numbers, without a pattern to find.")
    found = data_set(name)
    ones = [] if name == "teacher" else [_(data.ONES)]
    if name == CSV:
        return " ".join([_(found.words), _(found.inputs), *ones])
    source = _("Source: {source}. License: {licence}.")
    from_where = source.format(source=_(found.source).rstrip("."), licence=found.licence)
    return " ".join([_(found.inputs), *ones, from_where])


def _take_sizes() -> None:
    """Set the sizes to those of the data set that was chosen, if it is another one."""
    if parameters.now("data") == st.session_state.get("sizes_are_of"):
        return
    for name in SIZES:
        st.session_state[name] = parameters.field(name).default


def describe() -> None:
    """Say what the data set is."""
    name = parameters.now("data")
    if name == RANDOM:
        return
    if name == CSV:
        if not own_file.is_wanted():
            st.caption(sizes(data_set(CSV, parameters.now("table"))))
        return
    found = DATA_SETS[name]
    missing = data.why_missing(name)
    if missing is not None:
        st.error(say(missing))
    st.caption(" ".join([_(found.words), sizes(found)]))


def sizes(found: DataSet) -> str:
    """Return the sizes of a data set in words."""
    text = _("{rows} rows, of which N train; the others are held out. D_in = {D_in}, D_out = {D_out}.")
    return text.format(rows=f"{found.rows:,}", D_in=found.D_in, D_out=found.D_out)


def advise(config: Config) -> None:
    """Say what learning rate the data bear, and why it is low with the tutorial's weights. Link a sweep."""
    if config.data == RANDOM or data.why_missing(config.data, config.table) is not None:
        return
    named = {"value": curvature.expected(config)}
    text = _("With these data λmax is about {value:.2g}, and 2/λmax about {threshold:.1g}.")
    if config.init == "tutorial":
        text = _(
            "The tutorial's weights make h and y_pred large: λmax is about {value:.2g}, and learning rates "
            "far above 2/λmax, about {threshold:.1g}, kill hidden units in the first steps. He's weights are "
            "smaller, so that larger rates work."
        )
    st.caption(text.format(**named, threshold=2 / named["value"]))
    if SWEEP not in [page.script for page in pages.existing()]:
        return
    st.page_link(
        SWEEP,
        label=_("Find a learning rate for these data"),
        icon=":material/tune:",
        query_params=config.to_query() | {"run": "1", "lang": st.session_state["lang"]},
    )
