"""What a run has learned: a picture of it, and how it does on rows that do not train."""

import numpy as np
import streamlit as st

from twolayer.dashboard.i18n import _, say
from twolayer.dashboard.train import learned_charts
from twolayer.engine.run import MOST_PICTURES, Run
from twolayer.rates.outcomes import written
from twolayer.training import data, learned
from twolayer.training.config import RANDOM, Config
from twolayer.training.methods import held_out_rows

WHOLE = 100
MEMORIZED = 0.1
"""A loss on the batch below this share of that on fresh random numbers is memory."""


def show(config: Config, run: Run | None) -> None:
    """Draw what a run had learned at the chosen place of its course."""
    missing = data.why_missing(config.data, config.table)
    if missing is not None:
        st.caption(say(missing))
        return
    learned_charts.chart(config, picture_at(run, st.session_state.get("picture_at", WHOLE)))


def picture_at(run: Run | None, percent: int) -> learned.Picture | None:
    """Return the newest picture of a run, or the one nearest to a share of its steps."""
    if run is None or not run.pictures:
        return None
    if percent >= WHOLE:
        return run.pictures[-1]
    return min(run.pictures, key=lambda picture: abs(picture.step - percent / WHOLE * run.steps))


def slider(config: Config | None) -> None:
    """Draw the choice of a picture of the run's course, where there are pictures."""
    if config is not None and config.data != RANDOM:
        st.slider(
            _("Picture at this share of the steps; the newest at 100 %"),
            0,
            WHOLE,
            WHOLE,
            WHOLE // MOST_PICTURES,
            format="%d %%",
            key="picture_at",
            width=220,
            label_visibility="collapsed",
        )


def accuracy(run: Run | None) -> str:
    """In how many of the rows that do not train a run is right, where rows have classes."""
    if run is None or not _has_scores(run) or not learned.has_classes(run.config):
        return ""
    text = _("{right} of {rows} held-out rows have the right class.")
    return text.format(right=f"{run.held_out[-1, 2]:.2%}", rows=f"{held_out_rows(run.config):,}")


def held_out(run: Run | None) -> str:
    """What a run makes of rows that do not train."""
    if run is not None and run.over and not _has_scores(run):
        return _("The run ended before there was a finite loss on held-out rows.")
    if run is None or not _has_scores(run):
        return _(
            "The dotted curve is the loss on held-out rows, which do not train, scaled as if they were "
            "as many as those that do."
        )
    step, loss, _right = run.held_out[-1]
    entries = run.config.N * run.config.D_out
    trained = run.losses[min(int(step), run.step - 1)] / entries
    text = _("Mean loss per entry: {trained} on the rows that train, {loss} on held-out rows (dotted).")
    if run.config.data == RANDOM and trained < MEMORIZED * loss:
        text = _(
            "Mean loss per entry: {trained} on the batch, {loss} on held-out rows (dotted), fresh random "
            "numbers: the network only memorizes its batch."
        )
    return text.format(loss=written(loss), trained=written(trained))


def _has_scores(run: Run) -> bool:
    """Whether there are scores that mean something: those of weights that are not finite do not."""
    return len(run.held_out) > 0 and bool(np.isfinite(run.held_out[-1, 1]))
