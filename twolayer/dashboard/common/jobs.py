"""The jobs of a page: what it has the workers compute, kept in the visitor's session under a name."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any, TypeVar

import streamlit as st

from twolayer.dashboard.common import server, visitors
from twolayer.dashboard.i18n import _, say
from twolayer.engine.job import Job
from twolayer.engine.task import Task
from twolayer.training.messages import N_, Message, MessageError

T = TypeVar("T")

ANSWER_SECONDS = 0.5
"""How long a page waits for a quick answer before it is drawn without it."""
REDRAW_SECONDS = 0.2

STATES: Mapping[str, str] = {
    "queued": N_("queued"),
    "running": N_("running"),
    "paused": N_("paused"),
    "finished": N_("finished"),
    "diverged": N_("diverged"),
    "stopped": N_("stopped"),
    "failed": N_("failed"),
}
"""The states of runs and jobs in words, in English."""


def state(task: Task) -> str:
    """Return the state of a run or job in a word."""
    return _(STATES[task.state])


def awaited(task: Task) -> str:
    """Return what a run or job waits for, as a sentence; empty if it does not wait."""
    wait = server.engine().wait_of(task)
    return "" if wait is None else say(wait.message)


@dataclass
class PageJob:
    """A job of the engine; pages add what it is about and what they make of its results."""

    job: Job

    @property
    def live(self) -> bool:
        """Whether more results may come."""
        return not self.job.over


@dataclass(frozen=True)
class Question:
    """A single task whose answer stays until another question is asked."""

    arguments: tuple[Any, ...]
    job: Job | None
    """None where the server refused it."""
    refusal: Message | None = None
    before: Any = None
    """The answer to the question before this one."""

    @property
    def live(self) -> bool:
        """Whether the answer may still come."""
        return self.job is not None and not self.job.over

    @property
    def answer(self) -> Any:
        """The answer; while it is waited for, the one before it; None if there is none."""
        results = self.job.results() if self.job else []
        return results[0][1] if results else self.before if self.live else None

    @property
    def failure(self) -> Message | None:
        """Why there is no answer."""
        return self.job.message if self.job else self.refusal


def current(name: str) -> Any:
    """Return this session's job `name`, a `PageJob` as its page made it; None if there is none."""
    return st.session_state.get(f"job_{name}")


def is_live(name: str) -> bool:
    """Return whether the job `name` is being computed."""
    job = current(name)
    return job is not None and job.live


def stop(name: str) -> None:
    """Stop the job `name`; its results so far are kept."""
    job = current(name)
    if job is not None:
        server.engine().stop(job.job)


def refusal(name: str) -> Message | None:
    """Return why the server refused the job `name` that was asked for last, if it did."""
    message: Message | None = st.session_state.get(f"refusal_{name}")
    return message


def guarded(name: str, work: Callable[[], T]) -> T | None:
    """Return what `work` returns, or None if it raises a `MessageError`: the refusal of `name`."""
    st.session_state[f"refusal_{name}"] = None
    try:
        return work()
    except MessageError as error:
        st.session_state[f"refusal_{name}"] = error.message
        return None


def show_refusal(name: str) -> None:
    """Show why the server refused the job `name`, if it did."""
    message = refusal(name)
    if message is not None:
        st.error(say(message))


def start(
    name: str,
    made: Callable[[Job], PageJob],
    function: Callable[..., Any],
    items: Sequence[tuple[Any, ...]],
    **options: Any,
) -> Job:
    """Have the workers compute `function(*item)` for each item, in place of the job `name`.

    `made` makes the page's job of the engine's. `options` are those of `Engine.map`. Raises `MessageError`
    where the server refuses.
    """
    stop(name)
    job = server.engine().map(function, items, visitors.token(), **options)
    st.session_state[f"job_{name}"] = made(job)
    return job


def ask(name: str, function: Callable[..., Any], arguments: tuple[Any, ...], memory_bytes: int) -> Question:
    """Ask the workers for `function(*arguments)`, unless that is the question `name` already.

    Wait a moment for the answer.
    """
    last: Question | None = st.session_state.get(f"question_{name}")
    if last is not None and last.arguments == arguments and not (last.job and last.job.state == "stopped"):
        return last
    before = last.answer if last else None
    if last is not None and last.job is not None:
        server.engine().stop(last.job)
    try:
        job = server.engine().map(function, [arguments], visitors.token(), memory_bytes=memory_bytes)
        asked = Question(arguments, job, before=before)
    except MessageError as error:
        asked = Question(arguments, None, error.message)
    st.session_state[f"question_{name}"] = asked
    if asked.job is not None:
        asked.job.wait(ANSWER_SECONDS)
    return asked


def time_left(began: float | None, done: float, total: float) -> str:
    """Return the time left by the pace so far, as the end of a line; empty while it is not known.

    `began` is a time of the monotonic clock; `done` of `total` parts were done since.
    """
    if began is None or not done:
        return ""
    left = (monotonic() - began) / done * (total - done)
    return " · " + _("{seconds} s left").format(seconds=f"{left:.0f}")
