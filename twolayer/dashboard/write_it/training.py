"""Train with one's own program beside the right one, and take the program away as a script."""

from dataclasses import dataclass
from functools import partial

import numpy as np
import streamlit as st

from twolayer.backprop import own_training
from twolayer.backprop.exercise import Report
from twolayer.backprop.levels import Exercise, Texts
from twolayer.backprop.own_training import Curves
from twolayer.backprop.terms import LineError
from twolayer.dashboard.common import jobs, server
from twolayer.dashboard.common.jobs import PageJob
from twolayer.dashboard.i18n import _, say
from twolayer.dashboard.plot import figure, plot
from twolayer.dashboard.write_it.view import words
from twolayer.export.own_script import own_script
from twolayer.training.config import Config

NAME = "own_training"
PART_OF_LIMIT = 4
"""A part of a training may take this fraction of the time of a run: all parts together stay within it."""
HEIGHT = 280


@dataclass
class Training(PageJob):
    """A training with a program, and the job that computes it."""

    config: Config
    exercise: Exercise
    texts: Texts

    @property
    def curves(self) -> Curves | None:
        """The longest curves that have arrived."""
        found = [result for _index, result in self.job.results()]
        return max(found, key=lambda curves: max(len(curves.own), len(curves.right)), default=None)


def start(config: Config, exercise: Exercise, texts: Texts) -> None:
    """Train with the lines as they are now."""
    jobs.guarded(NAME, lambda: _start(config, exercise, texts))


def _start(config: Config, exercise: Exercise, texts: Texts) -> None:
    seconds = server.engine().settings.max_seconds / PART_OF_LIMIT / len(own_training.parts(config))
    items = [(config, exercise, texts, steps, seconds) for steps in own_training.parts(config)]
    made = partial(Training, config=config, exercise=exercise, texts=texts)
    memory = own_training.memory_bytes(config) * min(len(items), server.engine().settings.workers)
    jobs.start(NAME, made, own_training.train, items, memory_bytes=memory).wait(jobs.REDRAW_SECONDS)


def buttons(config: Config, exercise: Exercise, texts: Texts, report: Report | None) -> None:
    """Draw the buttons that train and that take the program away."""
    ready = report is not None and report.runs
    with st.container(horizontal=True, gap="small", key="own"):
        st.button(
            _("Train with it"),
            key="train_own",
            icon=":material/play_arrow:",
            on_click=start,
            args=(config, exercise, texts),
            disabled=not ready,
            help=_("Trains with your lines beside the right ones, as soon as every line can be computed."),
        )
        if jobs.is_live(NAME):
            st.button(_("Stop"), key="stop_own", icon=":material/stop:", on_click=jobs.stop, args=(NAME,))
        try:
            text = own_script(config, exercise, texts)
        except LineError:
            text = ""
        st.download_button(
            _("Download as script"),
            text,
            f"own_{exercise.dialect}.py",
            "text/x-python",
            key="take_away",
            icon=":material/download:",
            disabled=not ready,
            on_click="ignore",
            help=_("Your program as a script of its own, with its check in it."),
        )
    jobs.show_refusal(NAME)


def show(config: Config, exercise: Exercise, texts: Texts) -> None:
    """Draw both curves of the training, as far as they have arrived, and say if its lines were others."""
    training: Training | None = jobs.current(NAME)
    if training is None:
        return
    if (training.config, training.exercise, training.texts) != (config, exercise, texts):
        st.caption(
            _("This training was with other lines or settings. To see those of now, press Train with it.")
        )
    if training.job.message is not None:
        st.error(say(training.job.message))
    curves = training.curves
    if curves is None:
        st.caption(_("Training…"))
        return
    said = words(own_training.says(curves, max(len(curves.own), len(curves.right))))
    traces = [
        figure.scatter(
            np.arange(len(losses), dtype=float),
            losses,
            name=name,
            line={"color": f"theme:{colour}", "width": width, "dash": dash},
        )
        for name, losses, colour, width, dash in (
            (_("right program"), curves.right, 0, 4, "solid"),
            (_("your program"), curves.own, 1, 2, "dash"),
        )
    ]
    layout = {
        "xaxis": figure.axis(_("step")),
        "yaxis": figure.axis(_("loss"), log=True),
        "showlegend": True,
        "legend": figure.LEGEND,
        "margin": {"l": 70, "r": 16, "t": 40, "b": 48},
    }
    plot.draw(traces, layout, key="own_chart", alt=said, height=HEIGHT)
    st.caption(said)
