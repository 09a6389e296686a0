"""The controls of a run: one widget for each field of Config, with the field's name as its key."""

from collections.abc import Collection, Iterator
from dataclasses import asdict

import streamlit as st
from babel.numbers import format_compact_decimal
from dask.utils import format_bytes

from twolayer.dashboard.common import address, data_controls, own_file, server
from twolayer.dashboard.common.parameters import now
from twolayer.dashboard.common.widgets import choice, number, segments
from twolayer.dashboard.i18n import _, plain, say
from twolayer.engine import limits
from twolayer.training import methods
from twolayer.training.config import BACKENDS, DEFAULTS, FIELDS, Config
from twolayer.training.fields import Choice, ConfigError
from twolayer.training.messages import N_

COMPUTE = ("backend", "device", "method", "dtype", "threads")
"""How a run is computed: folded, for a first visitor need not know."""

METHOD_NAMES = {
    "tutorial": N_("Tutorial"),
    "fused": N_("Fused (reuses arrays)"),
    "gram": N_("Gram (dual form)"),
    "auto": N_("Auto (fewest operations)"),
}


@server.in_turn
def draw(leave_out: Collection[str] = ()) -> Config | None:
    """Draw the controls, and what the run will cost. None (and a message) if a value cannot be.

    The fields of `leave_out`, of those of `COMPUTE`, have no control here; they keep the values that they
    came with, as all of `COMPUTE` do while that is folded.
    """
    data_controls.draw()
    with st.grid(2, min_column_width=100, vertical_alignment="bottom", key="fields"):
        _fields()
    data_controls.describe()
    inside = [field for field in COMPUTE if field not in leave_out]
    if inside:
        with st.expander(_("Compute"), key="compute", on_change="rerun") as part:
            if part.open:
                _compute(inside)
            else:
                address.keep(inside)
    try:
        config = address.current_config()
    except ConfigError as error:
        st.error(say(error.message))
        return None
    if own_file.is_wanted():
        return None
    st.caption(_in_short(config, inside) + "".join(_costs(config)))
    data_controls.advise(config)
    return config


def _fields() -> None:
    """Draw what a run is: the sizes of the network, and how it is trained."""
    texts = {
        "N": (_("Samples N"), _("Number of samples: rows of the fixed batch x, y.")),
        "D_in": (_("Inputs D_in"), _("Number of input features: columns of x.")),
        "H": (_("Hidden units H"), _("Number of units in the ReLU layer: columns of w1.")),
        "D_out": (_("Outputs D_out"), _("Number of outputs: columns of y.")),
        "steps": (
            _("Steps"),
            _("Number of weight updates. Each uses the full batch (gradient descent, not minibatch SGD)."),
        ),
        "seed": (_("Seed"), _("The same seed gives the same data and the same initial weights.")),
    }
    fixed = address.fixed_by_the_data()
    for field, (label, help) in texts.items():
        if field == "steps":
            _learning_rate()
        if field not in fixed:
            number(field, label, help=help)


def _in_short(config: Config, fields: Collection[str]) -> str:
    """Return how a run is computed, in some of the fields of `COMPUTE`, as the beginning of a line."""
    words = {
        "backend": BACKENDS[config.backend],
        "device": "CPU" if config.device == "cpu" else plain(config.device),
        "method": "" if config.method == DEFAULTS["method"] else _(METHOD_NAMES[config.method]),
        "dtype": config.dtype,
        "threads": "" if config.threads == 1 else _("{count} threads").format(count=config.threads),
    }
    return ", ".join(filter(None, (words[field] for field in fields))) + " · " if fields else ""


def _costs(config: Config) -> Iterator[str]:
    """Say what the run will cost, and by how much another method is cheaper."""

    def compact(count: int) -> str:
        return str(format_compact_decimal(count, locale=st.session_state["lang"], fraction_digits=1))

    once = methods.flops_once(config)
    costs = _("{memory} of memory, {flops} FLOPs per step")
    if once:
        costs = _("{memory} of memory, {flops} FLOPs per step, {once} FLOPs once for x·xᵀ and x·w1")
    memory = format_bytes(limits.engine_bytes(config))
    yield costs.format(memory=memory, flops=compact(methods.flops_per_step(config)), once=compact(once))
    if (gain := methods.gain_of_auto(config)) > 1:
        text = _(
            "Auto is faster at these sizes and steps: Gram takes an estimated {gain} times as many FLOPs "
            "in the whole run."
        )
        yield "\n\n" + text.format(gain=f"{gain:.3g}")


def _learning_rate() -> None:
    number(
        "learning_rate",
        _("Learning rate"),
        step=now("learning_rate") / 2,
        format="%e",
        help=_(
            "The step size: weights change by −learning rate × gradient. Enter 1e-6 or 0.000001; − halves it."
        ),
    )


def _compute(fields: Collection[str]) -> None:
    """Draw the controls of how a run is computed."""
    if "backend" in fields:
        _backend()
        devices = address.available_devices(address.value("backend"))
        if st.session_state["device"] not in devices:
            st.session_state["device"] = devices[0]
        at = devices.index(st.session_state["device"])
        st.selectbox(
            _("Device"), devices, at, key="device", help=_("Devices available to the worker processes.")
        )
        choice(
            "method",
            _("Method"),
            names={name: _(METHOD_NAMES[name]) for name in METHOD_NAMES},
            help=_("How each iteration is computed. All methods give the same losses up to rounding."),
        )
    segments("dtype", _("Precision (dtype)"), _options("dtype"))
    if "threads" in fields:
        number("threads", _("Threads"), help=_("Threads used for matrix products."))


def _backend() -> None:
    known = server.engine().capabilities
    missing = dict(known.missing) if known else {}
    here = [name for name in _options("backend") if name not in missing]
    segments("backend", _("Backend"), here, BACKENDS)
    for backend, why in missing.items():
        if backend in BACKENDS:
            st.caption(say(why))


def _options(field: str) -> list[str]:
    kind = FIELDS[field]
    assert isinstance(kind, Choice)
    return list(kind.options)


def summary(config: Config) -> str:
    """Return a Config in one line, as Markdown."""
    text = _(
        "{N} samples, {D_in} → {H} → {D_out}, learning rate {rate}, seed {seed}; "
        "{backend} ({method}), {dtype}, {device}, threads: {threads}"
    )
    if config.data != DEFAULTS["data"] or config.init != DEFAULTS["init"]:
        text = _("data {data}, initial weights {init};") + " " + text
    method = config.method if config.method == methods.used(config) else f"auto → {methods.used(config)}"
    shown = {"backend": BACKENDS[config.backend], "device": plain(config.device), "method": method}
    return text.format(**asdict(config) | shown, rate=repr(config.learning_rate))
