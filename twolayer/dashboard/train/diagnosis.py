"""Why a run diverged, and what to do: found out by a worker, shown under the run's figures."""

from collections.abc import Iterator

import numpy as np
import streamlit as st

from twolayer.dashboard.common import frame, server
from twolayer.dashboard.i18n import _
from twolayer.engine.engine import LimitError
from twolayer.engine.job import Job
from twolayer.engine.run import Run
from twolayer.rates import curvature, divergence

PATIENCE_SECONDS = 0.5


def diagnose(run: Run | None) -> Job | None:
    """The job that looks into a run that diverged: begun once for each run."""
    if run is None or run.diverged_at is None:
        return None
    jobs: dict[str, Job] = st.session_state.setdefault("diagnoses", {})
    if run.name not in jobs:
        try:
            jobs[run.name] = server.engine().map(
                divergence.diagnose,
                [(run.config, run.edits, run.diverged_at)],
                server.viewer(),
                memory_bytes=max(run.config.run_bytes, curvature.memory_bytes(run.config)),
            )
        except LimitError:
            return None
        jobs[run.name].wait(PATIENCE_SECONDS)
    return jobs[run.name]


def is_pending(run: Run | None) -> bool:
    """Whether the diagnosis of a run is still to come."""
    job = diagnose(run)
    return job is not None and not job.over


def show(run: Run | None) -> None:
    """What is known of why a run diverged, and a button that sets a rate that works."""
    job = diagnose(run)
    if run is None or job is None:
        return
    with st.container(border=True, key="diagnosis"):
        if not job.over:
            st.markdown(_("Looking for the first value that is not finite, and for a rate that works …"))
            return
        if job.state != "finished":
            st.markdown(_("What went wrong could not be computed."))
            return
        found: divergence.Diagnosis = job.results()[0][1]
        st.markdown(" ".join((*_where(run, found), *_rate(run, found))))
        if found.rate is not None:
            st.caption(_("A rate that works, found by short trainings with these sizes and three seeds:"))
            st.button(
                _("Set the learning rate to {rate}").format(rate=f"{found.rate:g}"),
                key="use_rate",
                icon=":material/build:",
                on_click=_use,
                args=(found.rate,),
            )


def _where(run: Run, found: divergence.Diagnosis) -> Iterator[str]:
    """Sentences on where it broke."""
    if found.place is not None:
        text = _("The first value that is not finite arose in step {step}, in `{tensor}`.")
        yield text.format(step=f"{found.place[0]:,}", tensor=found.place[1])
    if run.step:
        peak = int(np.argmax(run.losses))
        text = _("The highest finite loss was {loss}, at step {step}.")
        yield text.format(loss=f"{run.losses[peak]:.3g}", step=f"{peak:,}")


def _rate(run: Run, found: divergence.Diagnosis) -> Iterator[str]:
    """Sentences on the rate against the curvature."""
    if found.curvature is not None:
        text = _(
            "The curvature of the loss at the start, λmax = {value}, makes steps overshoot from 2/λmax = "
            "{threshold} on; this run's rate is {times} times that."
        )
        yield text.format(
            value=f"{found.curvature.value:.3g}",
            threshold=f"{found.curvature.threshold:.2g}",
            times=f"{run.value('learning_rate') / found.curvature.threshold:.3g}",
        )


def _use(rate: float) -> None:
    st.session_state["learning_rate"] = rate
    frame.whole_page()
