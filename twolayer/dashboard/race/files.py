"""Races that leave the page and come to it: exported, and loaded from another machine."""

from functools import partial

import streamlit as st
from dask.utils import format_bytes

from twolayer.dashboard.i18n import _, plain, say
from twolayer.race.file import LARGEST_BYTES, from_json, to_csv, to_json
from twolayer.race.result import Race, Standing
from twolayer.race.untrusted import RaceFileError
from twolayer.race.verdict import microseconds, ratio, sentences, size
from twolayer.training.config import DEFAULTS, Config

NOT_ASKED = ("data", "table", "backend", "device", "method")


def export(races: list[Race]) -> None:
    """The races as files."""
    with st.container(horizontal=True):
        for label, name, kind, write in (
            (_("Export CSV"), "csv", "text/csv", to_csv),
            (_("Export JSON"), "json", "application/json", to_json),
        ):
            st.download_button(
                label,
                partial(write, races),
                f"race.{name}",
                kind,
                key=f"export_{name}",
                on_click="ignore",
                icon=":material/download:",
            )


def machine(race: Race) -> None:
    """The machine of a race, as text."""
    one = race.machine
    versions = ", ".join(f"{library} {version}" for library, version in one.versions)
    facts = {
        _("Processor"): one.processor,
        _("CPU cores"): f"{one.cores}" if one.cores == one.all_cores else f"{one.cores} / {one.all_cores}",
        _("Memory"): format_bytes(one.memory_bytes),
        "GPU": ", ".join(one.gpus) or _("none"),
        "BLAS": _("{blas}, threads: {threads}").format(blas=one.blas, threads=race.config.threads),
        _("Versions"): versions,
    }
    st.markdown("\n".join(f"- {name}: {plain(value)}" for name, value in facts.items()))
    for note in one.notes:
        st.caption(say(note))


def other_machine(config: Config, races: list[Race]) -> None:
    """How to race on another machine, and what came of it beside what was found here."""
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
        labels = [say(size(race.config)) for race in theirs]
        at = st.selectbox(
            _("Network size in file"), range(len(theirs)), format_func=labels.__getitem__, key="their_size"
        )
        there = theirs[at]
    with st.container(border=True):
        st.markdown(_("**In the file**"))
        for message in (size(there.config), *sentences(there)):
            st.markdown(say(message))
        machine(there)
    here = next((race for race in ours if _same(race.config, there.config)), None)
    if here is None:
        st.info(
            _(
                "The file contains results for {size}. Run a race at the same sizes here to compare them."
            ).format(size=say(size(there.config)))
        )
        return
    mine, other = ({s.contender.name: s for s in race.ranked} for race in (here, there))
    rows = [_compared(name, mine.get(name), other.get(name)) for name in mine | other]
    st.container(key="compared_table").dataframe(rows, hide_index=True)


def _compared(name: str, mine: Standing | None, other: Standing | None) -> dict[str, str]:
    """A row of the table of two machines."""
    checked = other is not None and other.agreement is not None
    right = _("correct") if other is not None and not other.wrong else _("INCORRECT")
    return {
        _("Implementation"): name,
        _("this server"): microseconds(mine.median) if mine else "–",
        _("file"): microseconds(other.median) if other else "–",
        _("speedup in file (×)"): ratio(mine.median / other.median) if mine and other else "–",
        _("correct in file"): right if checked else "–",
    }


def _same(one: Config, other: Config) -> bool:
    """Whether two races had the same sizes, dtype and threads."""
    fields = ("N", "D_in", "H", "D_out", "dtype", "threads")
    return all(getattr(one, name) == getattr(other, name) for name in fields)
