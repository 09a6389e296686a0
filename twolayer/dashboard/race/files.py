"""Races that leave the page and come to it: exported, and loaded from another machine."""

import streamlit as st

from twolayer.dashboard.i18n import _, plain, say
from twolayer.dashboard.race import charts, view
from twolayer.dashboard.race.job import Heat
from twolayer.race.file import LARGEST_BYTES, from_json, to_csv, to_json
from twolayer.race.result import Race, Standing
from twolayer.race.untrusted import RaceFileError
from twolayer.race.verdict import disturbances, microseconds, ratio, sentences
from twolayer.training.config import DEFAULTS, Config

NOT_ASKED = ("data", "backend", "device", "method")


def export(heat: Heat) -> None:
    """The race as files."""
    with st.container(horizontal=True):
        st.download_button(
            _("Export CSV"),
            lambda: to_csv(heat.races),
            "race.csv",
            "text/csv",
            key="export_csv",
            on_click="ignore",
            icon=":material/download:",
        )
        st.download_button(
            _("Export JSON"),
            lambda: to_json(heat.races),
            "race.json",
            "application/json",
            key="export_json",
            on_click="ignore",
            icon=":material/download:",
        )


def other_machine(config: Config, races: list[Race]) -> None:
    """How to race on another machine, and what came of it beside what was found here."""
    st.subheader(_("Compare with another machine"), anchor=False)
    st.markdown(
        _(
            "Run the same benchmark on another machine from a checkout of this program, then upload the "
            "resulting file to compare both machines side by side."
        )
    )
    st.code(command(config), language="sh", wrap_lines=True)
    uploaded = st.file_uploader(
        _("Benchmark file from another machine (JSON, up to {size} MB)").format(size=LARGEST_BYTES // 10**6),
        key="race_file",
    )
    if uploaded is None:
        return
    try:
        theirs = from_json(uploaded.getvalue())
    except RaceFileError as error:
        st.error(say(error.message))
        return
    _show_other(theirs, races)


def command(config: Config) -> str:
    """The command that runs this race."""
    options = [
        f"--{name} {value}"
        for name, value in vars(config).items()
        if name not in NOT_ASKED and value != DEFAULTS[name]
    ]
    return " ".join(["python -m twolayer race", *options, "--output race.json"])


def _show_other(theirs: list[Race], ours: list[Race]) -> None:
    there = theirs[0]
    if len(theirs) > 1:
        labels = [_size(race.config) for race in theirs]
        at = st.selectbox(
            _("Network size in file"), range(len(theirs)), format_func=labels.__getitem__, key="their_size"
        )
        there = theirs[at]
    with st.container(border=True):
        st.markdown(_("**In the file**"))
        for message in (*sentences(there), *disturbances([there])):
            st.markdown(say(message))
        view.machine(there)
    here = next((race for race in ours if _same(race.config, there.config)), None)
    if here is None:
        st.info(
            _(
                "The file contains results for {size}. Run a race at the same sizes here to compare them."
            ).format(size=plain(_size(there.config)))
        )
        return
    charts.compared(here, there)
    names = dict.fromkeys(s.contender.name for race in (here, there) for s in race.ranked)
    mine, other = ({s.contender.name: s for s in race.standings} for race in (here, there))
    table = st.container(key="compared_table")
    table.dataframe(
        {
            _("Implementation"): list(names),
            _("this server"): [_time(mine.get(name)) for name in names],
            _("file"): [_time(other.get(name)) for name in names],
            _("speedup in file (×)"): [_times(mine.get(name), other.get(name)) for name in names],
            _("correct in file"): [_right(other.get(name)) for name in names],
        },
        hide_index=True,
    )


def _same(one: Config, other: Config) -> bool:
    """Whether two races had the same sizes, dtype and threads."""
    fields = ("N", "D_in", "H", "D_out", "dtype", "threads")
    return all(getattr(one, name) == getattr(other, name) for name in fields)


def _size(config: Config) -> str:
    return (
        f"{config.N} × {config.D_in} → {config.H} → {config.D_out}, {config.dtype}, threads: {config.threads}"
    )


def _time(standing: Standing | None) -> str:
    return "–" if standing is None else microseconds(standing.median)


def _times(here: Standing | None, there: Standing | None) -> str:
    return "–" if here is None or there is None else ratio(here.median / there.median)


def _right(standing: Standing | None) -> str:
    if standing is None or standing.agreement is None:
        return "–"
    return _("correct") if standing.agreement.right else _("INCORRECT")
