"""A run on the page: its figures, its progress, its charts, and what is to be said of it."""

from time import monotonic

import numpy as np
import streamlit as st

from twolayer.dashboard import charts, server
from twolayer.dashboard.frame import summary
from twolayer.dashboard.translations import Translate, say
from twolayer.messages import N_
from twolayer.run import Run

STATES = {
    "queued": N_("queued"),
    "running": N_("running"),
    "finished": N_("finished"),
    "diverged": N_("diverged"),
    "stopped": N_("stopped"),
    "failed": N_("failed"),
}


@server.in_turn
def show(_: Translate, run: Run | None) -> None:
    """Draw all of a run as it is now; the same places are there before the first run."""
    _progress(_, run)
    _figures(_, run)
    _verdict(_, run)
    left, right = st.columns([3, 2], gap="medium")
    with left:
        with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
            st.subheader(_("Loss"), anchor=False, width="content")
            logarithmic = st.toggle(_("Logarithmic"), value=True, key="log_loss")
        charts.loss_chart(_, run, logarithmic=logarithmic)
    with right:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.subheader(_("Time per step"), anchor=False, width="content")
        charts.time_chart(_, run)
    st.caption(_("Shown: {summary}").format(summary=summary(_, run.config)) if run else _("No run yet"))


def _progress(_: Translate, run: Run | None) -> None:
    if run is None:
        st.progress(0.0, text=_("No run yet"))
        return
    steps = run.config.steps
    text = _("{done} of {steps} steps").format(done=f"{run.step:,}", steps=f"{steps:,}")
    if not run.over and run.began is not None and run.step:
        left = (monotonic() - run.began) / run.step * (steps - run.step)
        text += " · " + _("{seconds} s left").format(seconds=f"{left:.0f}")
    st.progress(min(1.0, run.step / steps), text=text)


def _figures(_: Translate, run: Run | None) -> None:
    step, loss, time, speed, state = "–", "–", "–", "–", _("ready")
    if run is not None:
        state = _(STATES[run.state])
        losses = run.losses
        if len(losses):
            seconds = float(np.median(run.laps[:, 1]))
            step, loss = f"{len(losses):,}", f"{losses[-1]:.4g}"
            time, speed = f"{seconds * 1e6:,.0f} µs", f"{run.config.flops_per_step / seconds / 1e9:.1f}"
    figures = (
        ("metric_step", _("Steps done"), step),
        ("metric_loss", _("Loss"), loss),
        ("metric_step_time", _("Median step"), time),
        ("metric_gflops", _("GFLOP/s"), speed),
        ("metric_state", _("State"), state),
    )
    with st.container(horizontal=True, gap="small"):
        for key, label, value in figures:
            with st.container(key=key, border=True, width=150):
                st.metric(label, value)


def _verdict(_: Translate, run: Run | None) -> None:
    """One box that is always there, so that nothing moves when a run ends."""
    if run is None:
        st.info(_("Press Train. The settings are those of the tutorial until you change them."))
        return
    if run.state == "queued":
        st.info(_("Waiting for a free worker."))
    elif run.state == "running":
        st.info(_("Training: each step is one pass forward, one backward, one update of the weights."))
    elif run.state == "diverged":
        smaller = f"{run.config.learning_rate / 10:.0e}"
        st.error(
            _(
                "Diverged: from step {step} on the loss is no longer a finite number. The learning rate "
                "is too large for these sizes; try {smaller}."
            ).format(step=f"{run.diverged_at:,}", smaller=smaller)
        )
    elif run.state == "failed":
        reason = say(_, run.message) if run.message else ""
        st.error(_("Failed: {reason}").format(reason=reason))
    elif run.state == "stopped":
        st.warning(say(_, run.message) if run.message else _("Stopped. What was computed is kept."))
    elif run.losses[-1] < run.losses[0]:
        st.success(
            _("Finished: the loss fell from {first} to {last} in {seconds} s of computing.").format(
                first=f"{run.losses[0]:.4g}", last=f"{run.losses[-1]:.4g}", seconds=f"{run.seconds:.3g}"
            )
        )
    else:
        st.warning(
            _("Finished, but the loss did not fall: {first} to {last}. Try a smaller learning rate.").format(
                first=f"{run.losses[0]:.4g}", last=f"{run.losses[-1]:.4g}"
            )
        )
