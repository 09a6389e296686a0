"""Why a run diverged, and what to do: found out by a worker, shown under the run's figures."""

from collections.abc import Iterator

import numpy as np
import streamlit as st

from twolayer.dashboard.common import jobs
from twolayer.dashboard.common.jobs import Question
from twolayer.dashboard.i18n import _, unbroken
from twolayer.engine.run import Run
from twolayer.rates import curvature, divergence
from twolayer.training import methods
from twolayer.training.data import own


def diagnose(run: Run | None) -> Question | None:
    """Ask why a run diverged; None if it did not."""
    if run is None or run.diverged_at is None:
        return None
    arguments = (run.config, run.edits, run.diverged_at)
    memory = max(methods.run_bytes(run.config), curvature.memory_bytes(run.config))
    with own.in_use(run.table):
        return jobs.ask("diagnosis", divergence.diagnose, arguments, memory)


def is_pending(run: Run | None) -> bool:
    """Return whether the diagnosis of a run is still to come."""
    question = diagnose(run)
    return question is not None and question.live


def show(run: Run | None) -> None:
    """Show what is known of why a run diverged."""
    question = diagnose(run)
    if run is None or question is None:
        return
    is_live = question.live  # before the answer is read: it may come in between
    found: divergence.Diagnosis | None = question.answer
    with st.container(key="diagnosis"):
        if is_live:
            st.markdown(_("Finding the first non-finite value and a learning rate that works …"))
        elif found is None:
            st.markdown(_("The cause could not be determined."))
        else:
            st.markdown(unbroken(" ".join((*_where(run, found), *_rate(run, found)))))


def cure(run: Run | None) -> None:
    """Draw a button that sets a learning rate that works, once one is known."""
    question = diagnose(run)
    if question is not None and question.answer is not None and question.answer.rate is not None:
        rate = question.answer.rate
        st.button(
            _("Set learning rate to {rate}").format(rate=f"{rate:g}"),
            key="use_rate",
            icon=":material/build:",
            help=_("A learning rate that works, found in short runs with these sizes and three seeds."),
            on_click=_use,
            args=(rate,),
        )


def _where(run: Run, found: divergence.Diagnosis) -> Iterator[str]:
    """Sentences on where it broke."""
    if found.place is not None:
        text = _("The first non-finite value appeared at step {step} in `{tensor}`.")
        yield text.format(step=f"{found.place[0]:,}", tensor=found.place[1])
    if run.step:
        peak = int(np.argmax(run.losses))
        text = _("The largest finite loss was {loss}, at step {step}.")
        yield text.format(loss=f"{run.losses[peak]:.3g}", step=f"{peak:,}")


def _rate(run: Run, found: divergence.Diagnosis) -> Iterator[str]:
    """Sentences on the rate against the curvature."""
    if found.curvature is not None:
        text = _(
            "The initial curvature is λmax = {value}. Above 2/λmax = {threshold}, each step overshoots the "
            "minimum by more than the last. This run's learning rate is {times} times that limit."
        )
        yield text.format(
            value=f"{found.curvature.value:.3g}",
            threshold=f"{found.curvature.threshold:.2g}",
            times=f"{run.value('learning_rate') / found.curvature.threshold:.3g}",
        )


def _use(rate: float) -> None:
    st.session_state["learning_rate"] = rate
    st.rerun()
