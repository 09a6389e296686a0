"""The table of the runs of a visitor: show, rename, delete, compare, load the settings, take away."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import streamlit as st

from twolayer.dashboard.common import address, jobs, parameters, server, visitors
from twolayer.dashboard.common.history import Entry
from twolayer.dashboard.i18n import _, plain
from twolayer.dashboard.train.charts import COLOURS
from twolayer.engine.run import Run
from twolayer.training.config import FIELDS, Config
from twolayer.training.figures import FIGURES, LOSS, STEP_TIME, STEPS, TOTAL_TIME, Figure

LONGEST_NAME = 40
FEWEST = 2
"""Runs from which on there is something to compare."""
CURRENT = 0
"""The choice of whatever run is the current one; the others are numbers of runs."""
FORMATS = {STEPS: "localized", LOSS: "%.4g", STEP_TIME: "%.1f", TOTAL_TIME: "%.3g"}
"""The figures of a run in the table, and how they are written."""


@server.in_turn
def show(current: Callable[[], Run | None]) -> None:
    """The table, and what can be done with the chosen run, at first the `current` one."""
    history = visitors.history()
    st.subheader(_("Runs"), anchor=False)
    _table(history.entries)
    st.caption(" ".join((differences([entry.run for entry in history.shown]), equal_curves(history.shown))))
    if history.let_go:
        st.caption(_("Old runs discarded: {count}").format(count=history.let_go))
    _actions(history.entries, current())


def in_short(config: Config) -> str:
    """The fields that differ from the tutorial's."""
    return ", ".join(f"{field}={value}" for field, value in config.to_query().items())


def differences(runs: Sequence[Run]) -> str:
    """The fields in which runs differ, with their values in order, and what was edited on the way."""
    if len(runs) < 2:
        return _("Show two or more runs to see how they differ.")
    parts = []
    for field in FIELDS:
        values = list(dict.fromkeys(getattr(run.config, field) for run in runs))
        if len(values) > 1:
            parts.append(f"**{plain(field)}** ({plain(', '.join(map(str, values)))})")
    if len({run.edits for run in runs}) > 1:
        parts.append(_("edits during the run"))
    if not parts:
        return _("All shown runs have the same settings.")
    return _("Shown runs differ in: {fields}").format(fields=", ".join(parts))


def equal_curves(entries: Sequence[Entry]) -> str:
    """Say which of these runs have the same losses, so that one curve hides the others."""
    groups: list[list[Entry]] = []
    for entry in entries:
        losses = entry.run.losses
        if entry.run.over and len(losses):
            same = (group for group in groups if np.array_equal(group[0].run.losses, losses))
            if (group := next(same, None)) is None:
                groups.append([entry])
            else:
                group.append(entry)
    text = _("Identical losses, one curve on top of the other: {names}.")
    names = [[plain(entry.name) for entry in group] for group in groups if len(group) > 1]
    return " ".join(text.format(names=", ".join(group)) for group in names)


def _table(entries: list[Entry]) -> None:
    rows = [_row(entry) for entry in entries]
    columns: Any = {name: [row[name] for row in rows] for name in rows[0]}
    text, number = st.column_config.TextColumn, st.column_config.NumberColumn
    st.data_editor(
        columns,
        key="runs_table",
        hide_index=True,
        num_rows="fixed",
        height=min(38 * (len(rows) + 1), 320),
        on_change=_edited,
        alt=_("Table of the runs"),
        column_config={
            "colour": st.column_config.ImageColumn("", width=36),
            "shown": st.column_config.CheckboxColumn(_("Show"), width=92),
            "name": text(_("Name"), max_chars=LONGEST_NAME, required=True),
            "config": text(_("Settings"), disabled=True, width=160),
            "state": text(_("Status"), disabled=True, width="small"),
            **{
                name: number(heading(FIGURES[name]), disabled=True, format=form)
                for name, form in FORMATS.items()
            },
        },
    )


def heading(figure: Figure) -> str:
    """The label of a figure, with its unit."""
    return f"{_(figure.label)} ({figure.unit})" if figure.unit else _(figure.label)


def _row(entry: Entry) -> dict[str, Any]:
    run = entry.run
    state = _(jobs.STATES[run.state])
    if run.diverged_at is not None:
        state = _("diverged at step {step}").format(step=f"{run.diverged_at:,}")
    edited = " · " + _("edited") if run.edits else ""
    return {
        "colour": _dot(entry),
        "shown": entry.shown,
        "name": entry.name,
        "config": in_short(run.config) or _("tutorial defaults"),
        "state": state + edited,
        **{name: FIGURES[name].of(run.config, run) if run.step else None for name in FORMATS},
        **({LOSS: None} if run.diverged_at is not None else {}),
    }


def _dot(entry: Entry) -> str:
    """The colour of a run as a picture."""
    colours = st.get_option(f"theme.{st.context.theme.type or 'light'}.chartCategoricalColors")
    colour = colours[(entry.number - 1) % COLOURS].replace("#", "%23")
    circle = f"<circle cx='8' cy='8' r='6' fill='{colour}'/>"
    return (
        f"data:image/svg+xml;utf8,<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'>{circle}</svg>"
    )


def _edited() -> None:
    """Take over what was changed in the table: whether runs are shown, and their names."""
    entries = visitors.history().entries
    edited = st.session_state["runs_table"]["edited_rows"]
    for row, entry in enumerate(entries):
        changes = edited.get(row, {})
        entry.shown = bool(changes.get("shown", entry.shown))
        name = str(changes.get("name") or "").strip()[:LONGEST_NAME]
        entry.name = name or entry.name
    st.rerun()


def _actions(entries: list[Entry], current: Run | None) -> None:
    """What can be done with one run: the current one, or the one that was chosen, whatever comes later."""
    names = {CURRENT: _("Current run")} | {entry.number: entry.name for entry in entries}
    words = parameters.words("chosen_run", names)
    if st.session_state.get("chosen_run") not in names:
        st.session_state["chosen_run"] = CURRENT
    with st.container(horizontal=True, vertical_alignment="bottom", key="run_actions"):
        number = st.selectbox(_("Run"), list(names), format_func=words, key="chosen_run", width=220)
        entry = _entry(entries, number, current)
        st.button(
            _("Load settings"),
            key="load_settings",
            icon=":material/settings_backup_restore:",
            on_click=_load,
            args=(entry,),
            disabled=entry is None,
        )
        st.button(
            _("Delete"),
            key="delete_run",
            icon=":material/delete:",
            on_click=_delete,
            args=(entry,),
            disabled=entry is None,
        )
        take_away(entry)


def take_away(entry: Entry | None) -> None:
    """The button with the downloads of a run."""
    with st.popover(
        _("Download"),
        icon=":material/download:",
        disabled=entry is None,
        key="take_away",
        on_change="rerun",
    ) as opened:
        if entry is not None and opened.open:
            from twolayer.dashboard.train import downloads  # loads Arrow, which the page itself does without

            downloads.show(entry)


def chosen(current: Run | None) -> Entry | None:
    """Return the run that is chosen under the table; the current one, if none is."""
    return _entry(visitors.history().entries, st.session_state.get("chosen_run", CURRENT), current)


def _entry(entries: list[Entry], number: int, current: Run | None) -> Entry | None:
    return next((e for e in entries if e.number == number or (not number and e.run is current)), None)


def _load(entry: Entry) -> None:
    address.load(entry.run.config)
    st.rerun()


def _delete(entry: Entry) -> None:
    visitors.history().remove(entry)
    server.engine().forget(entry.run)
    if st.session_state.get("run") is entry.run:
        st.session_state["run"] = None
    st.rerun()
