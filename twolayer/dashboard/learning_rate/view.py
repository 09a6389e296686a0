"""What the Learning-rate page says: of a sweep, and of one training and its curvature."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from twolayer.dashboard.common import address, jobs, server
from twolayer.dashboard.i18n import _, say, unbroken
from twolayer.dashboard.learning_rate import charts
from twolayer.dashboard.learning_rate.job import Focus, Search, example, look_at, open_why, to_train
from twolayer.dashboard.plot import plot
from twolayer.export import files
from twolayer.rates import advice, curvature
from twolayer.rates.grid import arithmetic
from twolayer.rates.outcomes import OUTCOME_NAMES, OUTCOMES
from twolayer.rates.story import story
from twolayer.rates.sweep import Sweep, zones
from twolayer.training.config import Config


def progress(search: Search | None) -> None:
    """Draw how far a sweep is; the place is there before the first one."""
    if search is None:
        st.progress(0.0, text=_("No training runs yet"))
        return
    sweep, job = search.sweep, search.job
    text = _("{done} of {total} runs").format(done=f"{sweep.done:,}", total=f"{sweep.grid.size:,}")
    left = jobs.time_left(job.began, sweep.done, sweep.grid.size) if search.live else ""
    state = jobs.state(job)
    if job.elapsed is not None:
        state = _("{state}, {seconds} s").format(state=state, seconds=f"{job.elapsed:.1f}")
    st.progress(sweep.done / sweep.grid.size, text=text + (left or f" · {state}"))
    if job.message is not None:
        st.error(say(job.message))


@server.in_turn
def sweep(config: Config) -> None:
    """Draw the sweep as it is now: progress, advice, the points. Before the first one, an example."""
    search = jobs.current("scan")
    if search is not None:
        search.update()
    progress(search)
    shown = search.sweep if search else example()
    found = advised(search) if search else advice.advise(shown.grid, shown.there)
    with st.container(key="advice", horizontal=True, vertical_alignment="center"):
        st.markdown(unbroken(_advice(search, found)), width="content")
        if found is not None and found.rate is not None:
            taken = replace(shown.grid.base, learning_rate=float(f"{found.rate:.2g}"))
            take(to_train(taken, config), "take_recommended", disabled=search is None)
    rate = None if search is None else config.learning_rate
    charts.sweep_chart(shown, found, rate, _look_at, focus=jobs.current("focus"))
    with st.container(horizontal=True, vertical_alignment="center", key="scan_caption"):
        text = _(
            "Each point is one training run of {N} × {D_in} → {H} → {D_out}, {dtype}, {steps} steps. "
            "Click a point to inspect it below. ≈ 2/λmax: on a quadratic, gradient descent would diverge "
            "above it; λmax is the sharpness expected from the sizes."
        )
        fields = vars(shown.grid.base) | {"dtype": arithmetic(shown.grid.base)}
        st.caption(unbroken(text.format(**fields)), width="stretch")
        _numbers(shown)
        downloads(shown, "scan", disabled=search is None)


def advised(search: Search | None) -> advice.Advice | None:
    """Return the advice of a sweep that is over."""
    if search is None or search.live or not search.sweep.done:
        return None
    return advice.advise(search.sweep.grid, search.sweep.there)


def _look_at(index: int) -> None:
    search = jobs.current("scan")
    if search is not None:
        open_why()
        look_at(search.sweep.grid.config(index))
        st.rerun()


def _advice(search: Search | None, found: advice.Advice | None) -> str:
    """Return the one line of advice, as Markdown: amber where not every seed does."""
    if search is not None and search.live:
        return jobs.awaited(search.job) or _(
            "Sweeping learning rates. A recommendation appears when all runs are done."
        )
    if search is not None and not search.sweep.done:
        return ""  # it was refused, or stopped at once
    if found is None or found.rate is None:
        return f":orange[{say(found.reason) if found else _('Stopped. Results so far are kept.')}]"
    text = _("Recommended: **{rate}**.").format(rate=f"{found.rate:.2g}")
    if found.low is not None and found.high is not None:
        band = _("Safe band: {low} to {high}.") if found.safe else _("Range: {low} to {high}.")
        text += " " + band.format(low=f"{found.low:.2g}", high=f"{found.high:.2g}")
    if search is None:
        return ":gray[{}]".format(" ".join((_("**Example**: the default settings."), text)))
    return text if found.safe else f":orange[{text}]"


def take(config: Config, key: str, *, disabled: bool = False) -> None:
    """A link to the Train page with this learning rate.

    Not `st.switch_page`: called in a fragment, it left the browser with an empty page now and then.
    """
    query = config.to_query() | address.language_query()
    label = _("Train with {rate}").format(rate=f"{config.learning_rate:.3g}")
    with st.container(key=key, width="content"):
        icon = ":material/play_arrow:"
        st.page_link("app.py", label=label, icon=icon, query_params=query, disabled=disabled)


def _numbers(sweep: Sweep) -> None:
    """The points as a table, for those who cannot see the chart."""
    plot.numbers(partial(_columns, sweep), key="scan_chart", ready=True)


def _columns(sweep: Sweep) -> dict[str, dict[str, NDArray[Any]]]:
    rows, grid = sweep.there, sweep.grid
    places = np.unravel_index(rows["index"], grid.shape)
    columns = {axis.field: np.array(axis.values)[at] for axis, at in zip(grid.axes, places, strict=True)}
    columns[_("Outcome")] = np.array([_(OUTCOME_NAMES[name]) for name in OUTCOMES])[rows["outcome"]]
    columns[_("Final loss")] = rows["final"]
    return {_("Training runs of the sweep"): columns}


def downloads(sweep: Sweep, name: str, *, disabled: bool = False) -> None:
    """The trainings that are done as files; made when they are asked for."""
    for label, ending, write in (("CSV", "csv", files.csv), ("Parquet", "parquet", files.parquet)):
        st.download_button(
            label,
            partial(_file, write, sweep),
            file_name=f"twolayer-{name}.{ending}",
            key=f"{name}_{ending}",
            icon=":material/download:",
            type="tertiary",
            on_click="ignore",
            disabled=disabled or not sweep.done,
        )


def _file(write: Callable[..., bytes], sweep: Sweep) -> bytes:
    return write(files.sweep_table(sweep))


def reasons(search: Search | None) -> None:
    """Say how the rate was chosen, what it would be for a mean loss, and which rates have which outcome."""
    found = advised(search)
    if search is None or found is None:
        st.caption(_("No training runs yet"))
        return
    st.markdown(say(found.reason))
    base = search.sweep.grid.base
    if found.rate is not None:
        text = _(
            "If the loss were the mean of the squared errors instead of the sum: {rate}. Its gradient is "
            "N·D_out = {outputs} times smaller, so the same steps need a learning rate that much larger."
        )
        rate = f"{advice.mean_loss_rate(base, found.rate):.2g}"
        st.markdown(text.format(rate=rate, outputs=f"{base.N * base.D_out:,}"))
    rows = [
        {
            _("From"): f"{zone.low:.2g}",
            _("To"): f"{zone.high:.2g}",
            _("Outcome"): " / ".join(_(OUTCOME_NAMES[name]) for name in zone.outcomes),
        }
        for zone in zones(search.sweep)
    ]
    st.dataframe(rows, hide_index=True)
    st.caption(
        _(
            "In mixed zones the outcome depends on the seed. There is no sharp threshold: 2/λmax is "
            "where gradient descent on a quadratic starts to diverge, but this loss is not quadratic."
        )
    )


@server.in_turn
def focus(config: Config) -> None:
    """One training closely: its losses, λmax along it, and what these have to do with each other."""
    jobs.show_refusal("focus")
    current: Focus | None = jobs.current("focus")
    if current is None:
        return
    with st.container(key="focus_story"):
        _story(current)
    left, right = st.columns(2, gap="medium")
    with left:
        charts.loss_chart(current)
    with right:
        charts.curvature_chart(current)
    with st.container(horizontal=True, vertical_alignment="center", key="focus_caption"):
        curve = current.curve
        st.caption(_measured(current), width="stretch")
        fields = {_("step"): "step", _("loss"): "loss", _("residual"): "residual", "λmax": "value"}
        columns = {name: curve[field] for name, field in fields.items()}
        tables = {_("λmax and its residual during training"): columns}
        plot.numbers(lambda: tables, key="curvature_chart", ready=bool(len(curve)))
        take(to_train(current.config, config), "take_focus")


def _story(current: Focus) -> None:
    """Why it came out so, when all of it is there."""
    message = current.run.message or current.job.message
    if message is not None:
        st.error(say(message))
        return
    rate = f"{current.config.learning_rate:.4g}"
    heading = _("η = {rate}, seed {seed}").format(rate=rate, seed=current.config.seed)
    told = _("Training and measuring λmax.")
    if not current.live and len(current.curve):
        run = current.run
        dead = int(run.dead[-1, 1]) if len(run.dead) else 0
        zero = run.zero_loss or 0.0
        sentences = story(current.config, run.losses, run.diverged_at, dead, zero, current.curve)
        told = " ".join(say(sentence) for sentence in sentences)
    elif not current.live:
        told = _("Stopped. Results so far are kept.")
    st.markdown(" ".join((f"**{heading}.**", told)))


def _measured(current: Focus) -> str:
    """How good the eigenvalue is, and what the sizes let expect."""
    curve = current.curve
    if not len(curve):
        return ""
    return _(
        "λmax at step {step}: {value} (residual ‖H·v − λmax·v‖ = {residual}), by the Lanczos method with "
        "exact Hessian-vector products in float64. Expected at initialization from the sizes alone: "
        "{expected}, of which N·H·D_in/π is the largest part when N is large. So the usable learning rates "
        "shrink as N, H or D_in grows."
    ).format(
        step=int(curve[0]["step"]),
        value=f"{curve[0]['value']:.6g}",
        residual=f"{curve[0]['residual']:.2g}",
        expected=f"{curvature.expected(current.config):.3g}",
    )
