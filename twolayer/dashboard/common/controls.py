"""The controls of a run: one widget for each field of Config, with the field's name as its key."""

import secrets
from bisect import bisect
from collections.abc import Collection
from itertools import cycle

import streamlit as st
from babel.numbers import format_compact_decimal
from dask.utils import format_bytes

from twolayer.dashboard.common import frame, server
from twolayer.dashboard.i18n import _, say
from twolayer.training.config import DEFAULTS, FIELDS, Choice, Config, ConfigError, Real, Whole
from twolayer.training.messages import N_

RATES = [float(f"{mantissa}e{exponent}") for exponent in range(-10, 1) for mantissa in (1, 2, 5)]
"""The stops of the logarithmic learning-rate slider."""

LARGEST_NEW_SEED = 10_000
COMPUTE = {"backend", "device", "method", "dtype", "threads"}

METHOD_NAMES = {
    "tutorial": N_("As in the tutorial"),
    "fused": N_("Fused: arrays are reused"),
    "gram": N_("Gram: the dual form"),
    "auto": N_("Auto: the cheapest"),
}


@server.in_turn
def draw(leave_out: Collection[str] = ()) -> Config | None:
    """Draw the controls, and what the run will cost. None (and a message) if a value cannot be.

    The fields of `leave_out` have no control here; they keep the values that they came with.
    """
    st.subheader(_("Network"), anchor=False)
    sizes = {
        "N": (_("Samples N"), _("Rows of the one fixed random batch x, y.")),
        "D_in": (_("Inputs D_in"), _("Columns of x.")),
        "H": (_("Hidden units H"), _("Columns of w1: units of the ReLU layer.")),
        "D_out": (_("Outputs D_out"), _("Columns of y.")),
    }
    _wholes({field: texts for field, texts in sizes.items() if field not in leave_out})

    training = {"learning_rate", "steps", "seed"} - set(leave_out)
    if training:
        st.subheader(_("Training"), anchor=False)
    if "learning_rate" in training:
        _learning_rate()
    counts = {
        "steps": (_("Steps"), _("Updates of the weights, each from the whole batch.")),
        "seed": (_("Seed"), _("The same seed gives the same data and the same initial weights.")),
    }
    _wholes({field: texts for field, texts in counts.items() if field in training})
    if "seed" in training:
        st.button(
            _("New seed"), key="new_seed", icon=":material/casino:", on_click=_new_seed, width="stretch"
        )

    if COMPUTE - set(leave_out):
        st.subheader(_("Compute"), anchor=False)
        _compute(leave_out)

    try:
        config = frame.current_config()
    except ConfigError as error:
        frame.show_error(error)
        return None
    st.caption(
        _("{memory} of memory, {flops} floating-point operations per step").format(
            memory=format_bytes(config.run_bytes),
            flops=format_compact_decimal(
                config.flops_per_step, locale=st.session_state["lang"], fraction_digits=1
            ),
        )
    )
    return config


def _wholes(fields: dict[str, tuple[str, str]]) -> None:
    """Number inputs in two columns, row by row."""
    for column, (field, (label, help)) in zip(cycle(st.columns(2)), fields.items(), strict=False):
        with column:
            _whole(field, label, help)


def _whole(field: str, label: str, help: str) -> None:
    kind = FIELDS[field]
    assert isinstance(kind, Whole)
    st.number_input(
        label,
        min_value=kind.low,
        max_value=kind.high,
        value=DEFAULTS[field],
        step=1,
        key=field,
        help=help,
    )


def _learning_rate() -> None:
    kind = FIELDS["learning_rate"]
    assert isinstance(kind, Real)
    rate = st.session_state.get("learning_rate") or DEFAULTS["learning_rate"]
    st.session_state["learning_rate_scale"] = RATES[max(0, bisect(RATES, rate * 1.0001) - 1)]
    st.select_slider(
        _("Learning rate, logarithmic"),
        RATES,
        format_func=lambda value: f"{value:.0e}".replace("e-0", "e-").replace("e+00", ""),
        key="learning_rate_scale",
        on_change=_take_from_slider,
    )
    st.number_input(
        _("Learning rate, exact"),
        min_value=kind.low,
        max_value=kind.high,
        value=DEFAULTS["learning_rate"],
        step=DEFAULTS["learning_rate"] / 10,
        format="%e",
        key="learning_rate",
        help=_("How far a step goes against the gradient. Typed as 1e-6 or 0.000001."),
    )


def _take_from_slider() -> None:
    st.session_state["learning_rate"] = st.session_state["learning_rate_scale"]


def _new_seed() -> None:
    st.session_state["seed"] = secrets.randbelow(LARGEST_NEW_SEED)


def _compute(leave_out: Collection[str]) -> None:
    known = server.engine().capabilities
    if "backend" not in leave_out:
        missing = dict(known.missing) if known else {}
        here = [name for name in _options("backend") if name not in missing]
        _choice("backend", _("Backend"), frame.BACKENDS, here)
        for why in missing.values():
            st.caption(say(why))
    if "device" not in leave_out:
        backend = frame.value("backend")
        devices = dict(known.machine.devices).get(backend, ("cpu",)) if known else ("cpu",)
        if st.session_state.get("device") not in devices:
            st.session_state["device"] = devices[0]
        st.selectbox(
            _("Device"),
            devices,
            key="device",
            help=_("The devices that the computing processes of this server have."),
        )
    if "method" not in leave_out:
        st.selectbox(
            _("Method"),
            _options("method"),
            format_func={name: _(METHOD_NAMES[name]) for name in METHOD_NAMES}.__getitem__,
            key="method",
            help=_("How the same iteration is computed. The losses agree to rounding."),
        )
    if "dtype" not in leave_out:
        _choice("dtype", _("Number type"), {}, _options("dtype"))
    if "threads" not in leave_out:
        _whole("threads", _("Threads"), _("Threads of the matrix products of this run."))


def _options(field: str) -> list[str]:
    kind = FIELDS[field]
    assert isinstance(kind, Choice)
    return list(kind.options)


def _choice(field: str, label: str, names: dict[str, str], options: list[str]) -> None:
    if st.session_state.get(field) not in options:
        st.session_state[field] = options[0]
    st.segmented_control(
        label,
        options,
        format_func=lambda option: names.get(option, option),
        default=DEFAULTS[field],
        required=True,
        key=field,
    )
