"""What the Learning-rate page says: of a sweep, of one training and its curvature, of a grid."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import streamlit as st

from twolayer.dashboard.common import address, jobs, server
from twolayer.dashboard.i18n import _, say
from twolayer.dashboard.learning_rate import charts
from twolayer.dashboard.learning_rate.job import Focus, Search, look_at, to_train
from twolayer.dashboard.plot import plot
from twolayer.export import sweep_files, tables
from twolayer.rates import advice, curvature
from twolayer.rates.outcomes import OUTCOME_NAMES, OUTCOMES
from twolayer.rates.story import story
from twolayer.rates.sweep import Sweep
from twolayer.rates.zones import zones
from twolayer.training.config import Config


def progress(search: Search | None, name: str) -> None:
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
    with st.container(key=f"progress_{name}"):
        st.progress(sweep.done / sweep.grid.size, text=text + (left or f" · {state}"))
    if job.message is not None:
        st.error(say(job.message))


@server.in_turn
def sweep(config: Config) -> None:
    """The sweep as it is now: progress, advice, the points, their zones."""
    search, focus = jobs.current("scan"), jobs.current("focus")
    if search is not None:
        search.update()
    progress(search, "scan")
    found = None
    if search is not None and not search.live and search.sweep.done:
        found = advice.advise(search.sweep.grid, search.sweep.there)
    _advice(search, found, config)
    charts.sweep_chart(
        search.sweep if search else None,
        found,
        config.learning_rate,
        charts.threshold(config, focus),
        focus,
        _look_at,
    )
    if search is None:
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(
            _(
                "Each point is one training run of {N} × {D_in} → {H} → {D_out}, {dtype}, {steps} steps. "
                "Click a point to inspect it below."
            ).format(**vars(search.sweep.grid.base)),
            width="stretch",
        )
        _numbers(search)
        downloads(search, "scan")
    if not search.live:
        _zones(search)


def _look_at(index: int) -> None:
    search = jobs.current("scan")
    if search is not None:
        look_at(search.sweep.grid.config(index))


def _advice(search: Search | None, found: advice.Advice | None, config: Config) -> None:
    """One box that is always there, so that nothing moves when a sweep ends."""
    if search is None:
        st.info(_("Press Sweep to train every learning rate with every seed, to the end."))
    elif search.live:
        st.info(_("Sweeping learning rates. A recommendation appears when all runs are done."))
    elif found is None or found.rate is None:
        st.warning(say(found.reason) if found else _("Stopped. Results so far are kept."))
    else:
        base = search.sweep.grid.base
        recommended = [_("Recommended: **{rate}**.").format(rate=f"{found.rate:.2g}")]
        if found.low is not None and found.high is not None:
            band = _("Safe band: {low} to {high}.") if found.safe else _("Range: {low} to {high}.")
            recommended.append(band.format(low=f"{found.low:.3g}", high=f"{found.high:.3g}"))
        box = st.success if found.safe else st.warning
        box(" ".join((*recommended, say(found.reason))))
        with st.container(horizontal=True, vertical_alignment="center"):
            taken = replace(base, learning_rate=float(f"{found.rate:.2g}"))
            take(to_train(taken, config), "take_recommended")
            st.caption(
                _(
                    "If the loss were the mean of the squared errors instead of the sum: {rate}. Its "
                    "gradient is N·D_out = {outputs} times smaller, so the same steps need a learning rate "
                    "that much larger."
                ).format(
                    rate=f"{advice.mean_loss_rate(base, found.rate):.2g}",
                    outputs=f"{base.N * base.D_out:,}",
                ),
                width="stretch",
            )


def take(config: Config, key: str) -> None:
    """A button that goes to the Train page with this learning rate."""
    query = config.to_query() | address.language_query()
    label = _("Train with {rate}").format(rate=f"{config.learning_rate:.3g}")
    if st.button(label, key=key, icon=":material/play_arrow:"):
        st.switch_page("app.py", query_params=query)


def _numbers(search: Search) -> None:
    """The points as a table, for those who cannot see the chart."""
    rows, grid = search.sweep.there, search.sweep.grid
    places = np.unravel_index(rows["index"], grid.shape)
    columns = {axis.field: np.array(axis.values)[at] for axis, at in zip(grid.axes, places, strict=True)}
    columns[_("Outcome")] = np.array([_(OUTCOME_NAMES[name]) for name in OUTCOMES])[rows["outcome"]]
    columns[_("Final loss")] = rows["final"]
    plot.numbers(columns, key="scan_chart", title=_("Training runs of the sweep"))


def downloads(search: Search, name: str) -> None:
    """The trainings that are done as files; made when they are asked for."""
    sweep = search.sweep
    for label, ending, write in (("CSV", "csv", tables.csv), ("Parquet", "parquet", tables.parquet)):
        st.download_button(
            label,
            partial(_file, write, sweep),
            file_name=f"twolayer-{name}.{ending}",
            key=f"{name}_{ending}",
            icon=":material/download:",
            type="tertiary",
            on_click="ignore",
            disabled=not sweep.done,
        )


def _file(write: Callable[..., bytes], sweep: Sweep) -> bytes:
    return write(sweep_files.table(sweep))


def _zones(search: Search) -> None:
    """The zones of the learning rate in a few lines."""
    found = zones(search.sweep)
    if not found:
        return
    with st.expander(_("Outcome by learning rate"), expanded=False):
        st.dataframe(
            {
                _("From"): [f"{zone.low:.2g}" for zone in found],
                _("To"): [f"{zone.high:.2g}" for zone in found],
                _("Outcome"): [
                    " / ".join(_(OUTCOME_NAMES[name]) for name in zone.outcomes) for zone in found
                ],
            },
            hide_index=True,
        )
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
    current = jobs.current("focus")
    _story(current)
    left, right = st.columns(2, gap="medium")
    with left:
        st.subheader(_("Loss"), anchor=False)
        charts.loss_chart(current)
    with right:
        st.subheader(_("Sharpness λmax"), anchor=False)
        charts.curvature_chart(current)
    if current is None:
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(_measured(current), width="stretch")
        curve = current.curve
        if len(curve):
            plot.numbers(
                {
                    _("step"): curve["step"],
                    _("loss"): curve["loss"],
                    _("residual"): curve["residual"],
                    "λmax": curve["value"],
                },
                key="curvature_chart",
                title=_("λmax and its residual during training"),
            )
        take(to_train(current.config, config), "take_focus")


def _story(current: Focus | None) -> None:
    """Why it came out so, when all of it is there."""
    if current is None:
        st.info(_("Shows the run at the sidebar's learning rate, or the point you click."))
        return
    heading = _("η = {rate}, seed {seed}").format(
        rate=f"{current.config.learning_rate:.4g}", seed=current.config.seed
    )
    message = current.run.message or current.job.message
    if message is not None:
        st.error(say(message))
        return
    told = _("Training and measuring λmax.")
    if not current.live and len(current.curve):
        run = current.run
        dead = int(run.dead[-1, 1]) if len(run.dead) else 0
        zero = run.zero_loss or 0.0
        sentences = story(current.config, run.losses, run.diverged_at, dead, zero, current.curve)
        told = " ".join(say(sentence) for sentence in sentences)
    elif not current.live:
        told = _("Stopped. Results so far are kept.")
    st.info(" ".join((f"**{heading}.**", told)))


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
