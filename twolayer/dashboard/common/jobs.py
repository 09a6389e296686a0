"""What a page asks of a worker: one task, whose answer stays until another question is asked."""

from collections.abc import Callable
from typing import Any

import streamlit as st

from twolayer.dashboard.common import server
from twolayer.engine.job import Job
from twolayer.training.messages import Message, MessageError

MOMENT_SECONDS = 0.5
REDRAW_SECONDS = 0.2


class Question:
    """A function of the library with its arguments, on its way to an answer."""

    def __init__(self, item: tuple[Any, ...], job: Job | None, refusal: Message | None, before: Any) -> None:
        self.item, self._job, self._refusal, self._before = item, job, refusal, before

    @property
    def waiting(self) -> bool:
        """Whether the answer may still come."""
        return self._job is not None and not self._job.over

    @property
    def stopped(self) -> bool:
        """Whether it was dropped without an answer, as when its visitor was away for long."""
        return self._job is not None and self._job.state == "stopped"

    @property
    def answer(self) -> Any:
        """The answer; while it is waited for, the one before it; None if there is none."""
        results = self._job.results() if self._job is not None else []
        if results:
            return results[0][1]
        return self._before if self.waiting else None

    @property
    def failure(self) -> Message | None:
        """Why there is no answer."""
        return self._refusal or (self._job.message if self._job is not None else None)

    def drop(self) -> None:
        """Stop waiting."""
        if self._job is not None:
            server.engine().stop(self._job)


def ask(name: str, function: Callable[..., Any], item: tuple[Any, ...], memory_bytes: int) -> Question:
    """The question `name` of this visitor: asked anew if its arguments are others than last time.

    Waits a moment for the answer, so that a quick one is drawn at once.
    """
    key = f"question_{name}"
    question: Question | None = st.session_state.get(key)
    if question is not None and question.item == item and not question.stopped:
        return question
    before = None
    if question is not None:
        before = question.answer
        question.drop()
    job = refusal = None
    try:
        job = server.engine().map(function, [item], server.viewer(), memory_bytes=memory_bytes)
    except MessageError as error:
        refusal = error.message
    asked = Question(item, job, refusal, before)
    st.session_state[key] = asked
    if job is not None:
        job.wait(MOMENT_SECONDS)
    return asked
