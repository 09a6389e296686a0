"""The row above a race: the buttons, what it will take, who takes part, how many rounds, a sweep."""

from functools import partial

import streamlit as st

from twolayer.dashboard.common import jobs, parameters, server, widgets
from twolayer.dashboard.common.parameters import NO_SWEEP
from twolayer.dashboard.i18n import _, say
from twolayer.dashboard.race import job
from twolayer.race.contenders import Contender, ContenderError, by_default, chosen, contenders
from twolayer.race.plan import SIZES, Plan, Sweep, logarithmic
from twolayer.training.config import Config
from twolayer.training.kernels import ON_DEMAND, why_missing
from twolayer.training.messages import Message, MessageError

ENDS = ("sweep_from", "sweep_to", "sweep_points")


@server.in_turn
def draw(plan: Plan | None, here: list[Contender], *, is_live: bool) -> None:
    """Draw what is in the row; `plan` is None if there can be no race, `here` is all who could take part."""
    st.button(
        _("Race"),
        key="race",
        type="primary",
        icon=":material/speed:",
        on_click=job.start,
        args=(plan,),
        disabled=plan is None,
    )
    stop = partial(jobs.stop, "race")
    st.button(_("Stop"), key="stop_race", icon=":material/stop:", on_click=stop, disabled=not is_live)
    if plan is not None:
        st.caption(_("about {seconds} s").format(seconds=f"{plan.seconds:.0f}"), width="content")
    picked = len(st.session_state["contender_pills"])
    label = _("All implementations")
    if picked < len(here):
        label = _("Implementations: {picked} of {all}").format(picked=picked, all=len(here))
    with st.popover(label, key="who"):
        _pills(here)
    with st.popover(_("Options"), key="options"):
        _rounds_and_sweep()


def plan(config: Config, here: list[Contender]) -> Plan | None:
    """Return the race that is set up; None (and a message) if there can be none."""
    try:
        return Plan(config, tuple(_taking_part(here)), parameters.mended("rounds"), _sweep())
    except MessageError as error:
        st.error(say(error.message))
        return None


def here(config: Config) -> list[Contender]:
    """Return everyone whom the workers have; until they have said so, whom they have in all likelihood."""
    known = server.engine().capabilities
    missing = _missing()
    likely = [(library, ("cpu",)) for library in ("numpy", "torch", *ON_DEMAND) if library not in missing]
    return contenders(known.machine.devices if known else likely, config)


def _missing() -> dict[str, Message]:
    """Return why the workers lack a library, by its name; until they have said so, why this process does."""
    known = server.engine().capabilities
    if known:
        return dict(known.missing)
    return {library: why for library in ("torch", *ON_DEMAND) if (why := why_missing(library))}


def _taking_part(here: list[Contender]) -> list[Contender]:
    """Return those whom the address and the pills name, and set the pills to them."""
    asked, picked = st.session_state["contenders"], by_default(here)
    if asked:
        try:
            picked = chosen(asked, here, _missing())
        except ContenderError as error:
            st.warning(say(error.message))
            picked = [contender for contender in here if contender.key in asked.split(",")] or picked
    keys = [contender.key for contender in picked]
    if st.session_state.get("contender_pills") != keys:
        st.session_state["contender_pills"] = keys
    return picked


def _pills(here: list[Contender]) -> None:
    names = {contender.key: contender.name for contender in here}
    default = [contender.key for contender in by_default(here)]

    def pick() -> None:
        # Without anyone there is no race: when the last is taken out, those of the default are back
        now = [key for key in names if key in st.session_state["contender_pills"]]
        st.session_state["contenders"] = "" if now in ([], default) else ",".join(now)

    st.pills(
        _("Implementations"),
        list(names),
        selection_mode="multi",
        default=st.session_state["contender_pills"],
        format_func=lambda key: names.get(key, key),
        key="contender_pills",
        on_change=pick,
        help=_(
            "Every backend, device and method available on this server, plus torch autograd, the code a "
            "PyTorch user would normally write. JAX takes part only if you pick it, since it takes a "
            "few seconds to compile."
        ),
    )
    for why in _missing().values():
        st.caption(say(why))


def _rounds_and_sweep() -> None:
    rounds = _(
        "Each round times every implementation once, in random order. A verdict needs at least 8 rounds."
    )
    widgets.number("rounds", _("Rounds"), help=rounds)
    labels = {NO_SWEEP: _("current settings")}
    labels |= {size: _("sweep {field}").format(field=size) for size in SIZES}
    field = widgets.choice(
        "sweep",
        _("Sizes"),
        names=labels,
        help=_("Race once at the sidebar's sizes, or once for each of several values of one size."),
    )
    if field != NO_SWEEP:
        for name, label in zip(ENDS, (_("From"), _("To"), _("Number of values")), strict=True):
            widgets.number(name, label)


def _sweep() -> Sweep | None:
    """Return the sweep over one dimension, if one is chosen. Raises `PlanError`."""
    field = parameters.mended("sweep")
    if field == NO_SWEEP:
        return None
    low, high, points = (parameters.mended(name) for name in ENDS)
    return logarithmic(field, low, high, points)
