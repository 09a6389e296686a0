"""The settings of a race: who takes part, how many rounds, and a sweep."""

from collections.abc import Sequence

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from twolayer.dashboard.common import controls, server
from twolayer.dashboard.common.parameters import NO_SWEEP
from twolayer.dashboard.i18n import _, say
from twolayer.race.contenders import Contender, ContenderError, chosen, contenders
from twolayer.race.plan import SIZES, Plan, Sweep, logarithmic
from twolayer.training.config import Config
from twolayer.training.kernels import why_missing
from twolayer.training.messages import MessageError


@server.in_turn
def draw(config: Config) -> Plan | None:
    """Draw the settings and what the race will take. None (and a message) if there can be no race."""
    taking_part = _contenders(_here(config))
    columns = st.columns(5, vertical_alignment="bottom")
    with columns[0]:
        controls.number(
            "rounds",
            _("Rounds"),
            help=_(
                "Each round times every implementation once, in random order. A verdict needs at least 8 "
                "rounds."
            ),
        )
    try:
        plan = Plan(config, tuple(taking_part), st.session_state["rounds"], _sweep(columns[1:]))
    except MessageError as error:
        st.error(say(error.message))
        return None
    st.caption(
        _("Estimated time: {seconds} s (implementations: {contenders}, sizes: {sizes})").format(
            seconds=f"{plan.seconds:.0f}", contenders=len(plan.contenders), sizes=len(plan.configs)
        )
    )
    return plan


def _here(config: Config) -> list[Contender]:
    """Everyone whom the workers have; until they have said so, whom they have in all likelihood."""
    known = server.engine().capabilities
    likely = [("numpy", ("cpu",))]
    if why_missing("torch") is None:
        likely.append(("torch", ("cpu",)))
    return contenders(known.machine.devices if known else likely, config.dtype)


def _contenders(here: list[Contender]) -> list[Contender]:
    names = {contender.key: contender.name for contender in here}
    asked: str = st.session_state["contenders"]
    picked = list(names)
    if asked:
        try:
            picked = [contender.key for contender in chosen(asked, here)]
        except ContenderError as error:
            st.warning(say(error.message))
            picked = [key for key in names if key in asked.split(",")] or picked
    if st.session_state.get("contender_pills") != picked:
        st.session_state["contender_pills"] = picked

    def pick() -> None:
        # Without anyone there is no race: when the last is taken out, everyone is back
        now = [key for key in names if key in st.session_state["contender_pills"]]
        st.session_state["contenders"] = "" if len(now) in (0, len(names)) else ",".join(now)

    st.pills(
        _("Implementations"),
        list(names),
        selection_mode="multi",
        default=picked,
        format_func=lambda key: names.get(key, key),
        key="contender_pills",
        on_change=pick,
        help=_(
            "Every backend, device and method available on this server, plus torch autograd, the code a "
            "PyTorch user would normally write."
        ),
    )
    return [contender for contender in here if contender.key in picked]


def _sweep(columns: Sequence[DeltaGenerator]) -> Sweep | None:
    """A sweep over one dimension, if one is chosen. Raises `PlanError`."""
    labels = {size: _("sweep {field}").format(field=size) for size in SIZES}
    labels[NO_SWEEP] = _("current settings")
    with columns[0]:
        field = controls.choice(
            "sweep",
            _("Sizes"),
            names=labels,
            help=_("Race once at the sidebar's sizes, or once for each of several values of one size."),
        )
    if field == NO_SWEEP:
        return None
    labels = {"sweep_from": _("From"), "sweep_to": _("To"), "sweep_points": _("Number of values")}
    for column, (name, label) in zip(columns[1:], labels.items(), strict=True):
        with column:
            controls.number(name, label)
    low, high, points = (st.session_state[name] for name in labels)
    return logarithmic(field, low, high, points)
