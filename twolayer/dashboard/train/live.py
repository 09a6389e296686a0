"""A run on the page: its figures, its progress, its charts, and what is to be said of it."""

from time import monotonic
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from twolayer.dashboard.common import controls, jobs, server
from twolayer.dashboard.common.history import Entry
from twolayer.dashboard.i18n import _, say
from twolayer.dashboard.plot import plot
from twolayer.dashboard.train import charts
from twolayer.engine.run import Run
from twolayer.rates.outcomes import CONVERGES, SLOW, verdict
from twolayer.training.edits import Edit
from twolayer.training.pace import step_seconds

SILENT_SECONDS = 2.5
SILENT_STEPS = 5


@server.in_turn
def show(run: Run | None, entries: list[Entry]) -> None:
    """Draw all of a run as it is now, and the curves of `entries`; the same places are there before the
    first run."""
    _figures(run)
    logarithmic, by_seconds = (
        st.session_state.get(key, key == "log_loss") for key in ("log_loss", "by_seconds")
    )
    left, right = st.columns([3, 2], gap="medium")
    with left:
        charts.loss_chart(entries, run, logarithmic=logarithmic, by_seconds=by_seconds)
    with right:
        charts.time_chart(entries, run)
        charts.dead_chart(entries, run)
    _verdict(run)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.toggle(_("Logarithmic"), value=True, key="log_loss")
        st.toggle(_("By time"), key="by_seconds")
        for chart in ("loss_chart", "time_chart", "dead_chart"):
            _numbers(run, chart)
    st.caption(_shown(run))


def _shown(run: Run | None) -> str:
    """Which run the figures are of, and what was changed in it on the way."""
    if run is None:
        return _("No run yet")
    text = _("Charts show: {summary}").format(summary=controls.summary(run.config))
    if run.edits:
        edits = "; ".join(_edit(edit) for edit in run.edits)
        text += " — " + _("**edited during the run**: {edits}").format(edits=edits)
    return text


def _edit(edit: Edit) -> str:
    if edit.field == "steps":
        return _("total steps set to {value} at step {step}").format(
            value=f"{edit.value:,}", step=f"{edit.step:,}"
        )
    return _("learning rate {value} from step {step}").format(value=repr(edit.value), step=f"{edit.step:,}")


def _numbers(run: Run | None, chart: str) -> None:
    """The table beside a chart, of the current run."""
    titles = {"loss_chart": _("Loss"), "time_chart": _("Time per step"), "dead_chart": _("Dead hidden units")}
    columns: dict[str, dict[str, NDArray[Any]]] = {}
    if run is not None and run.step:
        losses, laps, dead = run.losses, run.laps, run.dead
        columns = {
            "loss_chart": {_("step"): np.arange(len(losses)), _("loss"): losses},
            "time_chart": {_("step"): laps[:, 0], _("µs per step"): laps[:, 1] * 1e6},
            "dead_chart": {_("step"): dead[:, 0], _("dead units"): dead[:, 1]},
        }
    plot.numbers(columns.get(chart), key=chart, title=titles[chart], titled=True)


def _progress(run: Run | None) -> None:
    if run is None:
        st.progress(0.0, text=_("No run yet"))
        return
    steps, done, began = run.steps, run.step, run.began
    text = _("{done} of {steps} steps").format(done=f"{done:,}", steps=f"{steps:,}")
    if run.live and run.speed:
        text += " · " + _("slow motion, {speed:g} steps per second").format(speed=run.speed)
    elif run.live and run.pause_at is None:
        text += jobs.time_left(began, done - run.began_step, steps - run.began_step)
    st.progress(min(1.0, done / steps), text=text)


def _figures(run: Run | None) -> None:
    step, loss, time, dead, state = "–", "–", "–", "–", _("ready")
    if run is not None:
        state = _(jobs.STATES[run.state])
        losses = run.losses
        if len(losses):
            step, loss = f"{len(losses):,}", f"{losses[-1]:.4g}"
            time = f"{run.step_seconds * 1e6:,.0f} µs"
            dead = _("{dead} of {H}").format(dead=f"{run.dead[-1, 1]:.0f}", H=run.config.H)
    helps = {
        "metric_dead": _(
            "Dead ReLUs: hidden units that output 0 for every sample. No gradient reaches their weights, so "
            "they stay dead."
        )
    }
    figures = (
        ("metric_step", _("Steps done"), step),
        ("metric_loss", _("Loss"), loss),
        ("metric_step_time", _("Median step time"), time),
        ("metric_dead", _("Dead units"), dead),
        ("metric_state", _("Status"), state),
    )
    with st.container(horizontal=True, gap="small", vertical_alignment="center", key="figures"):
        for key, label, value in figures:
            with st.container(key=key, width=112):
                st.metric(label, value, help=helps.get(key))
        with st.container(width=160):
            _progress(run)


def _verdict(run: Run | None) -> None:
    """One box that is always there, so that nothing moves when a run ends."""
    if run is None:
        st.info(_("Press Train. The default settings are those of the tutorial."))
        return
    trouble = server.engine().trouble
    if run.live and trouble is not None:
        st.warning(_("{reason} Retrying; results so far are kept.").format(reason=say(trouble)))
    elif run.state == "queued":
        st.info(jobs.state(run))
    elif run.state == "running" and (silent := monotonic() - run.heard) > _patience(run):
        text = _(
            "No new data for {seconds} s. Other runs are being computed, or a worker failed and is being "
            "replaced. Results so far are kept."
        )
        st.warning(text.format(seconds=f"{silent:.0f}"))
    elif run.state == "running":
        st.info(_("Training: each step is one forward pass, one backward pass, and one weight update."))
    elif run.state == "paused":
        text = _(
            "Paused after {step} steps. Resume, advance step by step, or change the remaining settings "
            "with Extend run."
        )
        st.info(text.format(step=f"{run.step:,}"))
    elif run.state == "diverged":
        text = _(
            "Diverged: the loss is not finite from step {step} on. See below the charts for the cause and "
            "a learning rate that works."
        )
        st.error(text.format(step=f"{run.diverged_at:,}"))
    elif run.state == "failed":
        reason = say(run.message) if run.message else ""
        st.error(_("Failed: {reason}").format(reason=reason))
    elif run.state == "stopped":
        st.warning(say(run.message) if run.message else _("Stopped. Results so far are kept."))
    else:
        _finished(run)


def _patience(run: Run) -> float:
    """Seconds without news after which a visitor wonders. Large steps take long, and with many runs each
    waits for its turn."""
    return SILENT_SECONDS + server.redraw_seconds() + SILENT_STEPS * step_seconds(run.config)


def _finished(run: Run) -> None:
    """What came of a run that was taken to its end."""
    kind, sentences = verdict(run.config, run.losses, int(run.dead[-1, 1]), run.zero_loss or 0.0, run.seconds)
    box = st.success if kind == CONVERGES else st.info if kind == SLOW else st.warning
    box(" ".join(say(sentence) for sentence in sentences))
