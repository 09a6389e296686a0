"""A run as a program, on every rung of the tutorial. Nothing is made or imported before it is opened."""

from functools import partial
from typing import TYPE_CHECKING, Any

import streamlit as st

from twolayer.dashboard.common import parameters, server
from twolayer.dashboard.common.history import Entry
from twolayer.dashboard.i18n import LANGUAGES, _, plain, translator
from twolayer.training.config import BACKENDS, Config
from twolayer.training.data import own
from twolayer.training.data.own import OwnTable
from twolayer.training.edits import Edit

if TYPE_CHECKING:
    from twolayer.export.rungs import Rung

NUMPY = "numpy"
_MARK = """<style>
.st-key-code_{name} :is(pre, code) {{ font-size: 0.8rem; }}
.st-key-code_{name} pre code > span > .linenumber {{ align-self: flex-start !important; }}
.st-key-code_{name} pre code > span:nth-child(n+{first}):nth-child(-n+{last}) {{ background: #4c8dfc38; }}
</style>"""
"""A stripe behind some lines. With numbers and wrapping the highlighter makes one element of each line."""


@server.in_turn
def show(entry: Entry | None, config: Config | None) -> None:
    """Draw the fold, and in it the programs of a run; without one, of the run that `config` would be."""
    if entry is None and config is None:
        return
    with st.expander(_("This run as code"), key="code", on_change="rerun") as fold:
        if not fold.open:
            return
        if entry is not None:
            st.caption(_("The run: {name}").format(name=plain(entry.name)))
            _programs(entry.run.config, entry.run.edits, _steps(entry), f"run_{entry.number}")
        elif config is not None:
            st.caption(_("The run that the settings describe. Nothing has been trained yet."))
            _programs(config, (), None, "run")


def _steps(entry: Entry) -> int | None:
    """Return how many steps a program of the run takes: a run that was ended early is not longer as code."""
    run = entry.run
    return run.step if run.step and run.state in ("paused", "stopped") else None


def _programs(config: Config, edits: tuple[Edit, ...], steps: int | None, file: str) -> None:
    """Draw the choice of a rung, and its program; beside that of NumPy, where there is room for both."""
    from twolayer.export import rungs, script

    there = rungs.rungs(config)
    with st.container(horizontal=True, vertical_alignment="center"):
        chosen = st.segmented_control(
            _("Written in"),
            list(there),
            format_func=parameters.words("code_rung", {name: _(rung.label) for name, rung in there.items()}),
            default=config.backend if config.backend in there else NUMPY,
            required=True,
            key="code_rung",
            persist_state="session",
            label_visibility="collapsed",
        )
        _notebook(config, edits, steps, file)
    name = chosen if chosen in there else NUMPY
    texts = {each: script.script(config, edits, steps, each) for each in dict.fromkeys((NUMPY, name))}
    st.caption(_marked(there[name], rungs.backward_lines(texts[NUMPY])))
    columns = st.columns(2, gap="medium") if name != NUMPY else [st.container()]
    for column, (each, text) in zip(columns, texts.items(), strict=True):
        with column, st.container(key="code_beside" if each != name else None):
            st.markdown("**" + _(there[each].label) + "**")
            _program(each, text, rungs.backward_lines(text))
            st.caption(_agreement(each, there[each], config))
            _download(text, f"{file}_{each}.py")


def _marked(rung: "Rung", by_hand: range) -> str:
    """Return what is marked in the programs."""
    if rung.by_hand:
        return _("Marked: the backward pass, written by hand.")
    text = _("Marked: the backward pass. `{code}` replaces lines {first}–{last} of the NumPy program.")
    return text.format(code=rung.replaces, first=by_hand[0], last=by_hand[-1])


def _agreement(name: str, rung: "Rung", config: Config) -> str:
    """Return how closely the losses that a program prints are those of the run."""
    from twolayer.export.rungs import ABOVE

    if not rung.by_hand:
        text = _(
            "Starts from the same bytes and rounds differently: the losses are within {share:g} (relative) "
            "of this run's while above {above:g} of the first, measured on 20 random runs."
        )
        return text.format(share=rung.agrees[config.dtype], above=ABOVE)
    if name == config.backend:
        return _("On the same kind of machine it prints this run's losses to the last bit.")
    text = _(
        "On the same kind of machine it prints, to the last bit, the losses of this run with the backend "
        "{backend}."
    )
    return text.format(backend=BACKENDS[name])


def _program(name: str, text: str, marked: range) -> None:
    """Draw a program with its backward pass marked."""
    with st.container(key=f"code_{name}"):
        st.html(_MARK.format(name=name, first=marked[0], last=marked[-1]))
        st.code(text, language="python", line_numbers=True, wrap_lines=True)


def _download(text: str, file: str) -> None:
    st.download_button(
        _("Download {file}").format(file=file),
        text,
        file,
        "text/x-python",
        key=f"download_{file}",
        on_click="ignore",
        icon=":material/download:",
    )


def _notebook(config: Config, edits: tuple[Edit, ...], steps: int | None, file: str) -> None:
    """Draw the button for the run as a notebook, if the library that writes it is installed."""
    from twolayer.export import notebook

    if notebook.available():
        language = st.session_state.get("lang")
        translate = translator(language if language in LANGUAGES else None)
        st.download_button(
            _("Download as notebook"),
            partial(_written, own.find(config.table), config, edits, steps, translate),
            f"{file}.ipynb",
            "application/x-ipynb+json",
            key="download_notebook",
            on_click="ignore",
            icon=":material/menu_book:",
        )


def _written(table: OwnTable | None, *arguments: Any) -> str:
    """Return the notebook, which is made when it is asked for: the session's table cannot be found then."""
    from twolayer.export import notebook

    with own.in_use(table):
        return notebook.notebook(*arguments)
