"""The race of this visitor: started on the engine, stopped, and what of it has arrived."""

from dataclasses import dataclass, field

import streamlit as st

from twolayer.dashboard.common import server
from twolayer.engine.job import Job
from twolayer.race.plan import Plan, Task, perform
from twolayer.race.result import Race
from twolayer.training.messages import Message, MessageError


@dataclass
class Heat:
    """A race on the engine."""

    plan: Plan
    job: Job
    _put_together: tuple[int, list[Race]] = field(default_factory=lambda: (0, []))

    @property
    def races(self) -> list[Race]:
        """What has been found so far, a race for each size that has a round."""
        results = self.job.results()
        if len(results) != self._put_together[0]:
            self._put_together = (len(results), self.plan.collect(dict(results)))
        return self._put_together[1]

    @property
    def now(self) -> Task:
        """The task that runs or comes next; the tasks run one after the other."""
        return self.plan.tasks[min(self.job.done, self.job.total - 1)]


def current() -> Heat | None:
    """The race of this page, if there is one."""
    heat: Heat | None = st.session_state.get("heat")
    return heat


def start(plan: Plan) -> None:
    """Start a race in place of the one before. A refusal is kept for `refusal`."""
    stop()
    st.session_state["race_refusal"] = None
    try:
        _check(plan)
        job = server.engine().map(
            perform,
            [(task,) for task in plan.tasks],
            server.viewer(),
            memory_bytes=plan.run_bytes,
            exclusive=True,
        )
    except MessageError as error:
        st.session_state["race_refusal"] = error.message
        return
    st.session_state["heat"] = Heat(plan, job)


def _check(plan: Plan) -> None:
    """Raise for a race that the server would not take, or that its workers cannot do."""
    engine = server.engine()
    limit = engine.settings.max_seconds
    if plan.seconds > limit:
        raise MessageError(
            Message.of(
                "This race would take about {seconds:.0f} s, and this server allows {limit} s. Choose fewer "
                "rounds or contenders, or smaller dimensions.",
                seconds=plan.seconds,
                limit=limit,
            )
        )
    if engine.capabilities is not None:
        for config in plan.configs:
            engine.capabilities.require(config)


def refusal() -> Message | None:
    """Why the last race was not started, if it was not."""
    message: Message | None = st.session_state.get("race_refusal")
    return message


def stop() -> None:
    """Stop the race of this page, if it is live; what has arrived stays."""
    heat = current()
    if heat is not None:
        server.engine().stop(heat.job)
