"""A run on the page: its figures, its progress, its charts, and what is to be said of it."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from time import monotonic
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray
from streamlit.delta_generator import DeltaGenerator

from twolayer.dashboard.common import address, controls, jobs, parameters, server
from twolayer.dashboard.common.history import Entry
from twolayer.dashboard.i18n import _, say, unbroken
from twolayer.dashboard.plot import plot
from twolayer.dashboard.train import charts, diagnosis, example, learned_charts, learned_view
from twolayer.engine.run import Run
from twolayer.rates.outcomes import CONVERGES, SLOW, verdict, written
from twolayer.training.config import RANDOM
from twolayer.training.edits import Edit
from twolayer.training.figures import DEAD, FIGURES, LOSS, STEP_TIME, STEPS
from twolayer.training.pace import step_seconds

DONE, WARNING, ERROR = (
    f":{colour}[:material/{icon}:]"
    for colour, icon in (("green", "check_circle"), ("orange", "warning"), ("red", "error"))
)
DISTURBED, LEAST_LAPS = 1.6, 20
"""Times are called disturbed from this ratio of the 90th percentile to the 10th, and this many laps."""
LOGARITHMIC, BY_TIME = "logarithmic", "by time"
"""The choices for the axes of the loss chart."""
GAP = 16
"""Pixels between two charts, one above the other."""
BLANK = "\N{NO-BREAK SPACE}"
"""What stands where there will be a line."""
SILENT_SECONDS = 2.5
SILENT_STEPS = 5


@server.in_turn
def show(run: Run | None, entries: Sequence[Entry]) -> None:
    """Draw all of a run as it is now, and the curves of `entries`; the same places are there before the
    first run, with an example."""
    state = _("ready") if run is None else jobs.state(run)  # before all figures, which may be newer
    state_place = _figures(run)
    entries = example.or_example(entries, run)
    chosen = parameters.meant("axes", st.session_state.get("axes", [LOGARITHMIC]))
    logarithmic, by_seconds = (axis in chosen for axis in (LOGARITHMIC, BY_TIME))
    charts.loss_chart(entries, run, logarithmic=logarithmic, by_seconds=by_seconds)
    config = run.config if run is not None else address.current_config_or_none()
    if config is not None and config.data != RANDOM:
        charts.time_chart(entries, run, height=charts.TALL - learned_charts.HEIGHT - GAP)
        learned_view.show(config, run)
    elif any(len(entry.run.dead) and entry.run.dead[:, 1].any() for entry in entries):
        charts.time_chart(entries, run, height=charts.SMALL)
        charts.dead_chart(entries, run)
    else:
        charts.time_chart(entries, run, height=charts.TALL)
    with st.container(horizontal=True, vertical_alignment="center", key="verdict"):
        mark, text = _verdict(run)
        text = " ".join(filter(None, (learned_view.accuracy(run), text)))
        below = (f":small[{line}]" for line in (learned_view.held_out(run), _shown(run)))
        st.markdown(unbroken("  \n".join([f"{mark} {text}".strip(), *below])))
        diagnosis.cure(run)
    # Last, so that the curves are whole when the state says that the run has ended.
    state_place.metric(_("Status"), state)


def options(run: Run | None) -> None:
    """Draw how the charts are drawn, and their numbers. Apart from the rest, for none of it changes with a
    redraw."""
    labels = {LOGARITHMIC: _("Logarithmic"), BY_TIME: _("By time")}
    st.pills(
        _("Axes of the loss chart"),
        list(labels),
        selection_mode="multi",
        default=[LOGARITHMIC],
        format_func=parameters.words("axes", labels),
        key="axes",
        label_visibility="collapsed",
        width="content",
    )
    learned_view.slider(run.config if run is not None else address.current_config_or_none())
    plot.numbers(partial(_tables, run), key="train", ready=run is not None)


def _shown(run: Run | None) -> str:
    """Which run the figures are of, and what was changed in it on the way."""
    if run is None:
        return BLANK
    text = _("Charts show: {summary}").format(summary=controls.summary(run.config))
    if run.edits:
        edits = "; ".join(_edit(edit) for edit in run.edits)
        text += " — " + _("**edited during the run**: {edits}").format(edits=edits)
    return ". ".join(filter(None, (text, _disturbance(run))))


def _disturbance(run: Run) -> str:
    """How disturbed the machine was, if it was."""
    if len(run.laps) < LEAST_LAPS:
        return ""
    low, _median, high = run.spread
    ratio = high / low
    if ratio < DISTURBED:
        return ""
    text = _(
        "The server was busy with other work: the slowest tenth of the steps took at least {ratio} times as "
        "long as the fastest tenth."
    )
    return text.format(ratio=f"{ratio:,.1f}")


def _edit(edit: Edit) -> str:
    if edit.field == "steps":
        return _("total steps set to {value} at step {step}").format(
            value=f"{edit.value:,}", step=f"{edit.step:,}"
        )
    return _("learning rate {value} from step {step}").format(value=repr(edit.value), step=f"{edit.step:,}")


def _tables(run: Run | None) -> dict[str, dict[str, NDArray[Any]]]:
    """Return the numbers of the charts, of the current run."""
    if run is None:
        return {}
    losses, laps, dead = run.losses, run.laps, run.dead
    return {
        _("Loss"): {_("step"): np.arange(len(losses)), _("loss"): losses},
        _("Time per step"): {_("step"): laps[:, 0], _("µs per step"): laps[:, 1] * 1e6},
        _("Dead hidden units"): {_("step"): dead[:, 0], _("dead units"): dead[:, 1]},
    }


def _progress(run: Run | None) -> None:
    if run is None:
        st.progress(0.0, text=_("No run yet"), width=160)
        return
    steps, done, began = run.steps, run.step, run.began
    text = _("of {steps} steps").format(steps=f"{steps:,}")
    if run.live and run.speed:
        text += " · " + _("slow motion, {speed:g} steps per second").format(speed=run.speed)
    elif run.live and run.pause_at is None:
        text += jobs.time_left(began, done - run.began_step, steps - run.began_step)
    st.progress(min(1.0, done / steps), text=text, width=160)


def figure(loss: float) -> str:
    """Return four digits of a loss for people, and for programs that read the page: 0.00004138, or 4.138e-09
    where that is shorter."""
    return written(loss).replace(",", "") if 1e-6 <= loss < 1e7 else f"{loss:.4g}"


CARDS: Mapping[str, tuple[str, int, Callable[[float], str]]] = {
    STEPS: ("metric_step", 112, "{:,}".format),
    LOSS: ("metric_loss", 128, figure),
    STEP_TIME: ("metric_step_time", 112, "{:,.0f}".format),
    DEAD: ("", 112, "{:.0f}".format),
}
"""The figures that have cards: the key of a container, which some have, the width, and how it is written."""


def _figures(run: Run | None) -> DeltaGenerator:
    """Draw the figures, and return the place of the run's state."""
    about = _(
        "Dead ReLUs: hidden units that output 0 for every sample. No gradient reaches their weights, so "
        "they stay dead."
    )
    with st.container(horizontal=True, gap="xsmall", vertical_alignment="center", key="figures"):
        for name, (key, width, form) in CARDS.items():
            one = FIGURES[name]
            text = "–"
            if run is not None and run.step:
                text = f"{form(one.of(run.config, run))} {one.unit}".strip()
                text += f" / {run.config.H}" if name == DEAD else ""
            if key:
                st.container(key=key, width=width).metric(_(one.label), text)
            else:
                st.metric(_(one.label), text, help=about, width=width)
        state_place = st.container(key="metric_state", width=112)
        _progress(run)
    return state_place


def _verdict(run: Run | None) -> tuple[str, str]:
    """A mark and a line that is always there, so that nothing moves when a run ends."""
    if run is None:
        return "", _("Press Train. The default settings are those of the tutorial.")
    trouble = server.engine().trouble
    if run.live and trouble is not None:
        return WARNING, _("{reason} Retrying; results so far are kept.").format(reason=say(trouble))
    if run.state == "queued":
        return "", jobs.awaited(run) or jobs.state(run)
    if run.state == "running" and (silent := monotonic() - run.heard) > _patience(run):
        text = _(
            "No new data for {seconds} s. Other runs are being computed, or a worker failed and is being "
            "replaced. Results so far are kept."
        )
        return WARNING, text.format(seconds=f"{silent:.0f}")
    if run.state == "running":
        return "", _("Training: each step is one forward pass, one backward pass, and one weight update.")
    if run.state == "paused":
        text = _(
            "Paused after {step} steps. Resume, advance step by step, or continue with other settings "
            "under More."
        )
        return "", text.format(step=f"{run.step:,}")
    if run.state == "diverged":
        text = _("Diverged: the loss is not finite from step {step} on.")
        return ERROR, text.format(step=f"{run.diverged_at:,}")
    if run.state == "failed":
        reason = say(run.message) if run.message else ""
        return ERROR, _("Failed: {reason}").format(reason=reason)
    if run.state == "stopped":
        return WARNING, say(run.message) if run.message else _("Stopped. Results so far are kept.")
    return _finished(run)


def _patience(run: Run) -> float:
    """Seconds without news after which a visitor wonders. Large steps take long, and with many runs each
    waits for its turn."""
    return SILENT_SECONDS + server.redraw_seconds() + SILENT_STEPS * step_seconds(run.config)


def _finished(run: Run) -> tuple[str, str]:
    """What came of a run that was taken to its end."""
    kind, sentences = verdict(run.config, run.losses, int(run.dead[-1, 1]), run.zero_loss or 0.0, run.seconds)
    mark = DONE if kind == CONVERGES else "" if kind == SLOW else WARNING
    return mark, " ".join(say(sentence) for sentence in sentences)
